"""A store on a file, and processes that share it."""

from __future__ import annotations

import multiprocessing
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from scopegate.store.sql import SqlStore
from scopegate.store.sqlite import open_sqlite

Opener = Callable[..., AbstractAsyncContextManager[SqlStore]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scopegate.db"


@pytest.fixture
def opened(path: Path) -> Opener:
    """`async with opened() as store`; any argument of open_sqlite can be given."""

    @asynccontextmanager
    async def open_and_close(**arguments: Any) -> AsyncIterator[SqlStore]:
        store = await open_sqlite(
            path,
            **{"random_bytes": secrets.token_bytes, "now_s": time.time} | arguments,
        )
        try:
            yield store
        finally:
            await store.close()

    return open_and_close


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Processes that start quickly: forked from one that has imported what they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "scopegate.store.sqlite"])
    return context
