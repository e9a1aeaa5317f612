"""The embedded database: one SQLite file, readable by its owner only."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from scopegate.store.driver import database_errors, to_the_end
from scopegate.store.migrations import check_revisions, upgrade
from scopegate.store.protocol import (
    Complete,
    StoreMisconfigured,
    StoreUnavailable,
    as_stored,
)
from scopegate.store.sql import SqlStore

_NO_DATABASE = "cannot be read as a database ({}); name another file, or restore a backup"

# aiosqlite logs every statement with its values, secrets included, at level DEBUG.
logging.getLogger("aiosqlite").setLevel(logging.WARNING)


async def open_sqlite(
    path: Path,
    *,
    random_bytes: Callable[[int], bytes],
    now_s: Callable[[], float],
    complete: Complete = as_stored,
    busy_timeout_s: float = 10.0,
    poll_interval_s: float = 0.5,
) -> SqlStore:
    """Open or create the database at `path` and bring it up to date.

    random_bytes      gives that many bytes fit for a secret (`secrets.token_bytes`)
    now_s             unix seconds (`time.time`)
    complete          what every document passes through when it is read
    busy_timeout_s    how long a writer waits for the writers of other processes
    poll_interval_s   how often to look for changes of other processes

    Raises StoreMisconfigured when the place does not serve or a newer version wrote the database,
    StoreUnavailable when it is locked or damaged; both name the path.
    """
    try:
        await asyncio.to_thread(_prepare_file, path)
        await asyncio.to_thread(_enter_wal, path, busy_timeout_s)
        await to_the_end(_migrate(path, busy_timeout_s))
        engine = _engine(path, busy_timeout_s, foreign_keys=True)
        store = SqlStore(engine, now_s=now_s, complete=complete, poll_interval_s=poll_interval_s)
        await store.open(random_bytes=random_bytes)
    except OSError as error:
        raise StoreMisconfigured(f"database {path}: {error.strerror}") from error
    except StoreUnavailable as error:
        raise type(error)(f"database {path}: {error}") from error
    return store


def check_sqlite(path: Path) -> None:
    """Look whether `open_sqlite` would work, as far as that can be seen without touching anything.

    Raises StoreMisconfigured, which names the path.
    """
    try:
        _check_folder(path.parent)
        if path.exists():
            _check_file(path)
            check_revisions(_revisions(path))
    except StoreMisconfigured as error:
        raise StoreMisconfigured(f"database {path}: {error}") from error


def _revisions(path: Path) -> list[str]:
    """What Alembic wrote; none in a new file. `immutable`: not even a lock is taken."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as file:
            (there,) = file.execute(
                "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
            ).fetchone()
            rows = file.execute("SELECT version_num FROM alembic_version") if there else ()
            return [revision for (revision,) in rows]
    except sqlite3.DatabaseError as error:
        raise StoreMisconfigured(_NO_DATABASE.format(error)) from error


def _prepare_file(path: Path) -> None:
    """Create the file, or take others' permissions from it. Raises StoreMisconfigured.

    An existing file is never opened here: closing it would drop the locks that another connection
    of this process holds on it (SQLite, "How To Corrupt An SQLite Database File" §2.2).
    """
    _check_folder(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        _restrict(path)
    except OSError as error:
        raise StoreMisconfigured(f"cannot be created: {error.strerror}") from error


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise StoreMisconfigured(f"the folder {folder} does not exist; create it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreMisconfigured(
            f"the folder {folder} is not writable; SQLite keeps its log beside the database"
        )


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise StoreMisconfigured("is not a file; name one")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreMisconfigured("is not readable and writable by this user")


def _restrict(path: Path) -> None:
    if not path.is_file():
        raise StoreMisconfigured("is not a file; name one")
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            if file.stat().st_mode & 0o077:
                file.chmod(0o600)
        except FileNotFoundError:
            continue  # the log goes when its last reader does
        except OSError as error:
            raise StoreMisconfigured(
                f"others may read {file}, which holds secrets, and its mode cannot be changed "
                f"to 0600: {error.strerror}"
            ) from error
    _check_file(path)


def _enter_wal(path: Path, busy_timeout_s: float) -> None:
    """Have the file use a write-ahead log, so that readers go on while somebody writes.

    Asked again while locked: two processes that try this at the same moment are both refused at
    once, whatever their busy timeout.
    """
    deadline_s = time.monotonic() + busy_timeout_s
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=busy_timeout_s)) as connection:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
                raise StoreMisconfigured(_NO_DATABASE.format(error)) from error
            locked = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not locked or time.monotonic() > deadline_s:
                raise StoreUnavailable(f"the database does not answer: {error}") from error
        time.sleep(0.01)
    if mode != "wal":
        raise StoreMisconfigured(f"its place allows journal mode {mode} only, not WAL")


async def _migrate(path: Path, busy_timeout_s: float) -> None:
    """Bring the tables up to date, in one transaction that keeps other processes waiting.

    Without foreign keys: SQLite changes a table by building it anew, and dropping the old one would
    cascade to everything that refers to it.
    """
    engine = _engine(path, busy_timeout_s, foreign_keys=False)
    try:
        with database_errors():
            async with engine.connect() as connection:
                await connection.execution_options(writes=True)
                async with connection.begin():
                    await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def _engine(path: Path, busy_timeout_s: float, *, foreign_keys: bool) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(path.absolute())),
        connect_args={"isolation_level": None, "timeout": busy_timeout_s},
        pool_size=4,
        max_overflow=16,
        pool_timeout=busy_timeout_s,
        hide_parameters=True,  # an error's text would hold documents, and secrets with them
        json_serializer=_to_json,
        json_deserializer=_from_json,
    )

    def set_pragmas(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")  # a commit is on the disk when it is answered
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _begin(connection: sa.Connection) -> None:
    """The driver begins nothing by itself (`isolation_level` None)."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Without its cause, which carries the whole document.
        raise StoreUnavailable("a stored document is damaged") from None
