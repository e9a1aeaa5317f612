"""What was dear to work out and stays true, for some minutes: one memory for all of a worker.

Only what follows from its key alone belongs here (ADR 37): that these bytes were signed by a key of
this set, what this sealed text holds. Whoever takes it out asks clocks and states himself. What was
refused is not put in, so that nobody fills the memory who has no credential.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

KEPT_S = 300.0
ENTRIES_LIMIT = 50_000
BYTES_LIMIT = 32 << 20


class Remembered:
    """A bounded memory from which everything goes after KEPT_S, the oldest first.

    A key begins with whoever put it in, an object that is equal to nothing but itself: of another
    policy, or of other keys of an issuer, nothing is found.
    """

    def __init__(
        self,
        *,
        kept_s: float = KEPT_S,
        entries_limit: int = ENTRIES_LIMIT,
        bytes_limit: int = BYTES_LIMIT,
    ) -> None:
        self._kept_s = kept_s
        self._entries_limit = entries_limit
        self._bytes_limit = bytes_limit
        self._entries: dict[Hashable, tuple[Any, int, float]] = {}
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def get(self, key: Hashable) -> Any:
        """What was put in under an equal key, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry[0]

    def put(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Keep it. `size_bytes`: about what key and value take. Needs a running loop."""
        if key in self._entries:
            return
        loop = asyncio.get_running_loop()
        self._entries[key] = (value, size_bytes, loop.time() + self._kept_s)
        self._bytes += size_bytes
        while len(self._entries) > self._entries_limit or self._bytes > self._bytes_limit:
            self._forget_oldest()
        if self._timer is None:
            self._timer = loop.call_later(self._kept_s, self._forget_old)

    def _forget_old(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._entries:
            until_s = next(iter(self._entries.values()))[2]
            if until_s > loop.time():
                self._timer = loop.call_at(until_s, self._forget_old)
                return
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, size_bytes, _ = self._entries.pop(next(iter(self._entries)))
        self._bytes -= size_bytes
