"""A database of each sort, empty, and a store on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scopegate.store.protocol import Store
from support.stores import DATABASES, SqliteDatabase


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = DATABASES[request.param](tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def store(database: SqliteDatabase) -> Store:
    return await database.open()
