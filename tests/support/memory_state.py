"""The shared state of a single process: for tests, and for one worker alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from scopegate.session.shared_state import SharedStateUnavailable, check_entry

_PURGE_EVERY_S = 60


class MemoryState:
    """A dictionary with expiry. `now_s` gives the time."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._purged_at_s = now_s()
        self._is_closed = False

    async def get(self, key: str) -> bytes | None:
        return (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        for key in keys:
            check_entry(key)
        self._check_open()
        found = {key: self._entries[key] for key in keys if key in self._entries}
        now_s = self._now_s()
        return {key: value for key, (value, expires_at_s) in found.items() if expires_at_s > now_s}

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        check_entry(key, value, ttl_s)
        self._check_open()
        self._purge()
        self._entries[key] = (value, self._now_s() + ttl_s)

    async def put_if_absent(self, key: str, value: bytes, ttl_s: float) -> bool:
        if await self.get(key) is not None:
            return False
        await self.put(key, value, ttl_s)
        return True

    async def delete(self, key: str) -> None:
        check_entry(key)
        self._check_open()
        self._entries.pop(key, None)

    async def close(self) -> None:
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise SharedStateUnavailable("the shared state is closed")

    def _purge(self) -> None:
        now_s = self._now_s()
        if now_s - self._purged_at_s < _PURGE_EVERY_S:
            return
        self._purged_at_s = now_s
        self._entries = {key: entry for key, entry in self._entries.items() if entry[1] > now_s}
