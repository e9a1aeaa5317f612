"""Databases to test stores on. A new one is a class here and a name in DATABASES."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from scopegate.store.protocol import Store
from scopegate.store.sqlite import open_sqlite


class Clock:
    """Unix seconds that stand still until a test moves them."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


class SqliteDatabase:
    """An empty database; every `open` gives another store on it, as another process would have."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self._path = folder / "scopegate.db"
        self._stores: list[Store] = []

    async def open(self, *, from_nothing: bool = False) -> Store:
        if not from_nothing and not self._path.exists():
            self._path.write_bytes(_empty_database())
            self._path.chmod(0o600)
        store = await _open(self._path, self.clock)
        self._stores.append(store)
        return store

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


@cache
def _empty_database() -> bytes:
    """Made once: migrations would take most of the time of most tests."""

    async def make(path: Path) -> None:
        await (await _open(path, Clock())).close()

    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        path = Path(folder, "scopegate.db")
        thread.submit(asyncio.run, make(path)).result()
        return path.read_bytes()


async def _open(path: Path, clock: Clock) -> Store:
    return await open_sqlite(
        path, random_bytes=secrets.token_bytes, now_s=clock, poll_interval_s=0.02
    )


DATABASES = {"sqlite": SqliteDatabase}
