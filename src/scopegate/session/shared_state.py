"""What all workers of a node (or of a fleet) know together: a small store with expiry.

It holds marks and leases and sealed values, never anything readable that would be worth a theft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

KEY_LIMIT_CHARS = 256
VALUE_LIMIT_BYTES = 131_072


class SharedStateUnavailable(Exception):
    """The store does not answer: what depends on it is refused (503), never guessed."""


class SharedState(Protocol):
    """A value per key until its time is over.

    Every call answers, or raises SharedStateUnavailable: within half a second where the store is
    gone, within three seconds where it hangs. Keys have at most KEY_LIMIT_CHARS, values at most
    VALUE_LIMIT_BYTES, `ttl_s` is above 0; otherwise ValueError.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none or its time is over."""
        ...

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        """The values of those keys that have one, for about the price of one `get`."""
        ...

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Write the value for `ttl_s` seconds, whatever was there."""
        ...

    async def put_if_absent(self, key: str, value: bytes, ttl_s: float) -> bool:
        """Write the value unless there is one whose time is not over; whether it was written.

        Of several that try at once, in whatever processes, one gets True.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget the value, if there is one."""
        ...

    async def close(self) -> None:
        """Let go of the store; twice is fine. Every other call raises from then on."""
        ...


def check_entry(key: str, value: bytes = b"", ttl_s: float = 1) -> None:
    """Raises ValueError for what no implementation takes."""
    if not key or len(key) > KEY_LIMIT_CHARS:
        raise ValueError(f"key: must have 1 to {KEY_LIMIT_CHARS} characters")
    if len(value) > VALUE_LIMIT_BYTES:
        raise ValueError(f"value: {len(value)} bytes; it may have {VALUE_LIMIT_BYTES}")
    if not ttl_s > 0:
        raise ValueError(f"ttl_s: {ttl_s}; must be above 0")
