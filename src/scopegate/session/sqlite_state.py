"""The shared state of one machine: a SQLite file in WAL mode that its workers share.

Statements take some ten microseconds each, in a thread of their own: a disk that hangs costs the
requests that need it two seconds, then nothing, and no other request anything. A writer that finds
another at work gives the thread back while it waits. What was read is known without the thread
until somebody writes (`known_entries`). Source: https://sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scopegate.session.disk_thread import DiskHangs, DiskThread
from scopegate.session.known_entries import CREATE as CREATE_CHANGES
from scopegate.session.known_entries import KnownEntries, Look
from scopegate.session.shared_state import SharedStateUnavailable, check_entry
from scopegate.session.wal_index import WalIndex

WAIT_LIMIT_S = 0.5
HANG_LIMIT_S = 2.0
_RETRY_S = 0.01
_PURGE_EVERY_S = 60
_PURGE_ROWS = 1000
_BUSY_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_Result = TypeVar("_Result")

_CREATE = """
CREATE TABLE IF NOT EXISTS entry (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, expires_at_s REAL NOT NULL
) WITHOUT ROWID
"""
_CREATE_INDEX = "CREATE INDEX IF NOT EXISTS entry_expires_at_s ON entry (expires_at_s)"
_PUT = """
INSERT INTO entry (key, value, expires_at_s) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at_s = excluded.expires_at_s
"""
_PUT_IF_ABSENT = f"{_PUT} WHERE entry.expires_at_s <= ?"
# Its time is over: a change that others learn of, and a row that is purged.
_DELETE = "UPDATE entry SET value = x'', expires_at_s = 0 WHERE key = ?"
_PURGE = """
DELETE FROM entry WHERE key IN (SELECT key FROM entry WHERE expires_at_s <= ? LIMIT ?)
"""


class SqliteState:
    """One file for all workers of a machine. Open it after a fork, use it from one event loop."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Nothing is opened yet. `now_s`: wall clock, since other processes read the times."""
        self._path = path
        self._now_s = now_s
        self._open: _Open | None = None
        self._known = KnownEntries(None)
        self._purged_at_s = now_s()
        self._disk = DiskThread(HANG_LIMIT_S)
        self._is_closed = False

    async def get(self, key: str) -> bytes | None:
        return (await self.get_many((key,))).get(key)

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        for key in keys:
            check_entry(key)
        known = None if self._is_closed else self._known.get(keys)
        if known is not None:
            now_s = self._now_s()
        else:

            def look(connection: sqlite3.Connection) -> tuple[KnownEntries, Look, float]:
                assert self._open is not None
                return self._open.known, self._open.known.look(connection, keys), self._now_s()

            self._known, looked, now_s = await self._run(look)
            self._known.take(looked)
            known = looked.entries
        return {key: entry[0] for key, entry in known.items() if entry and entry[1] > now_s}

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        check_entry(key, value, ttl_s)

        def put(connection: sqlite3.Connection) -> None:
            connection.execute(_PUT, (key, value, self._now_s() + ttl_s))
            self._purge(connection)

        await self._run(put)

    async def put_if_absent(self, key: str, value: bytes, ttl_s: float) -> bool:
        check_entry(key, value, ttl_s)

        def put(connection: sqlite3.Connection) -> bool:
            now_s = self._now_s()
            cursor = connection.execute(_PUT_IF_ABSENT, (key, value, now_s + ttl_s, now_s))
            is_written = cursor.rowcount == 1
            self._purge(connection)
            return is_written

        return await self._run(put)

    async def delete(self, key: str) -> None:
        check_entry(key)
        await self._run(lambda c: c.execute(_DELETE, (key,)))

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            with suppress(DiskHangs):
                await self._disk.run(self._let_go)
            self._disk.leave()

    async def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run what takes microseconds; retry while another process writes, for half a second."""
        if self._is_closed:
            raise SharedStateUnavailable("the shared state is closed")
        now_s = asyncio.get_running_loop().time
        give_up_at_s = now_s() + WAIT_LIMIT_S
        try:
            while True:
                try:
                    return await self._disk.run(lambda: self._work(work))
                except sqlite3.OperationalError as error:
                    if not _is_busy(error):
                        raise
                if now_s() >= give_up_at_s:
                    raise SharedStateUnavailable(
                        f"another process kept the shared state locked for {WAIT_LIMIT_S} s"
                    )
                await asyncio.sleep(_RETRY_S)
        except DiskHangs as problem:
            raise SharedStateUnavailable(f"the shared state hangs: {problem}") from None
        except (sqlite3.Error, OSError) as error:
            raise SharedStateUnavailable(f"the shared state cannot be used: {error}") from error

    def _work(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """In the thread: one attempt; after a failure the next one opens the file anew."""
        try:
            return work(self._connection())
        except (sqlite3.Error, OSError) as error:
            if not _is_busy(error):
                self._let_go()
            raise

    def _connection(self) -> sqlite3.Connection:
        # A file that was replaced under us would part us from the other workers.
        if self._open is not None and self._open.file_id != _file_id(self._path):
            self._let_go()
        if self._open is None:
            _create_private(self._path)
            file_id = _file_id(self._path)
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._open = _Open(connection, file_id, KnownEntries(_index_of(self._path)))
        return self._open.connection

    def _let_go(self) -> None:
        if self._open is not None:
            self._open.connection.close()
            self._open.known.close()
            self._open = None

    def _purge(self, connection: sqlite3.Connection) -> None:
        now_s = self._now_s()
        if now_s - self._purged_at_s < _PURGE_EVERY_S:
            return
        # What was asked for is written; when another process is at work the next write purges.
        with suppress(sqlite3.OperationalError):
            if connection.execute(_PURGE, (now_s, _PURGE_ROWS)).rowcount < _PURGE_ROWS:
                self._purged_at_s = now_s


def _is_busy(error: Exception) -> bool:
    return (
        isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in _BUSY_CODES
    )


_FileId = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Open:
    """An open file, and what was read through this connection."""

    connection: sqlite3.Connection
    file_id: _FileId | None
    known: KnownEntries


def _index_of(path: Path) -> WalIndex | None:
    """None where it cannot be mapped: then every question is for the file."""
    try:
        return WalIndex(path)
    except (OSError, ValueError):
        return None


def _file_id(path: Path) -> _FileId | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _create_private(path: Path) -> None:
    """Make sure of a regular file of mode 0600; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        # Not through a descriptor: closing one would drop SQLite's locks on the file.
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            raise OSError(f"{path} is not a regular file") from None
        if mode & 0o077:
            path.chmod(0o600)


def _prepare(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.DatabaseError(f"journal mode is {mode}; the file system must allow WAL")
    # A crash of a process loses nothing; a power cut may lose the last moments, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(_CREATE)
    connection.execute(_CREATE_INDEX)
    for statement in CREATE_CHANGES:
        connection.execute(statement)
