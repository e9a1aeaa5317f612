"""Databases to test stores on. A new one is a class here and a name in DATABASES."""

from __future__ import annotations

import secrets
from pathlib import Path

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

    async def open(self) -> Store:
        store = await open_sqlite(
            self._path,
            random_bytes=secrets.token_bytes,
            now_s=self.clock,
            poll_interval_s=0.02,
        )
        self._stores.append(store)
        return store

    async def close(self) -> None:
        for store in self._stores:
            await store.close()


DATABASES = {"sqlite": SqliteDatabase}
