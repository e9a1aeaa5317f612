"""A store on a SQL database, whichever it is.

What differs between databases is the engine: how it connects, and how a transaction that writes
takes its turn. A connection with the execution option `writes` set must, when it begins, wait until
no other writer of any process is left (SQLite: BEGIN IMMEDIATE).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from scopegate.entities.snapshot import Snapshot
from scopegate.store import snapshots
from scopegate.store.driver import database_errors, to_the_end
from scopegate.store.protocol import Complete, Kind, StoreUnavailable
from scopegate.store.tables import secrets, tags
from scopegate.store.transaction import SqlTransaction

log = structlog.get_logger(__name__)

TAGS_AT_ONCE = 1000

PURGE_EVERY_S = 3600
"""How often old secrets are looked for while nothing is written."""


class SqlStore:
    """`store.protocol.Store`. `open` before use, `close` after; both on the same event loop.

    now_s             unix seconds
    complete          what every document passes through when it is read
    poll_interval_s   how often to look for changes of other processes
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        now_s: Callable[[], float],
        complete: Complete,
        poll_interval_s: float,
    ) -> None:
        self._engine = engine
        self._now_s = now_s
        self._complete = complete
        self._poll_interval_s = poll_interval_s
        self._write_turn = asyncio.Lock()
        self._writing_task: asyncio.Task[Any] | None = None
        self._snapshot: Snapshot | None = None
        self._snapshot_turn = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._announced = 0
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False
        self._transactions = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self, *, random_bytes: Callable[[int], bytes]) -> None:
        """Make the cluster's secret if there is none yet, start watching for changes.

        The tables are there and up to date. Raises StoreUnavailable, and is closed then.
        """
        try:
            async with self._begin(writes=True) as transaction:
                await _make_cluster_secret(transaction, random_bytes)
            async with self.write():
                pass  # purges what grew too old while nobody was here
            async with self._begin() as transaction:
                self._announced = await snapshots.last_change(transaction)
        except BaseException:
            await self.close()
            raise
        self._watcher = asyncio.create_task(self._watch(), name="store watcher")

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlTransaction]:
        """A consistent read."""
        async with self._begin() as transaction:
            yield transaction

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlTransaction]:
        """A write: commits at the end of the block, rolls back on an exception.

        RuntimeError when the task is writing already: it would wait for itself.
        """
        task = asyncio.current_task()
        if task is self._writing_task:
            raise RuntimeError("this task is inside Store.write() already")
        async with self._write_turn:
            self._writing_task = task
            try:
                async with self._begin(writes=True) as transaction:
                    yield transaction
                    await transaction.finish()
            finally:
                self._writing_task = None
        if transaction.last_change is not None:
            self._announce(transaction.last_change)

    async def snapshot(self) -> Snapshot:
        """All entities as of the last committed change; the same object while nothing changes."""
        async with self._snapshot_turn, self._begin() as transaction:
            if self._snapshot is None:
                self._snapshot = await snapshots.load(transaction)
            else:
                self._snapshot = await snapshots.refresh(transaction, self._snapshot)
            return self._snapshot

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every commit, of this process or of another."""
        self._listeners.append(listener)

    async def facts(self) -> Mapping[str, Mapping[str, Any]]:
        """What the outside told us, by key; survives restarts."""
        async with self.read() as transaction:
            return await transaction.facts()

    async def put_fact(self, key: str, value: Mapping[str, Any] | None) -> None:
        """Remember a fact, or forget it (None). Not a change when it is as before."""
        async with self.write() as transaction:
            await transaction.put_fact(key, value)

    async def tags(self) -> AsyncIterator[tuple[str, Kind, str]]:
        """(tag, kind, id) of every tagged entity, in this order.

        Read in portions, each consistent in itself, so that nobody who stops in the middle holds a
        connection.
        """
        return self._tags()

    async def _tags(self) -> AsyncIterator[tuple[str, Kind, str]]:
        columns = (tags.c.tag, tags.c.kind, tags.c.id)
        query = sa.select(*columns).order_by(*columns).limit(TAGS_AT_ONCE)
        portion = query
        while True:
            async with self._begin() as transaction:
                rows = (await transaction.execute(portion)).all()
            for row in rows:
                yield row.tag, row.kind, row.id
            if len(rows) < TAGS_AT_ONCE:
                return
            last = rows[-1]
            portion = query.where(sa.tuple_(*columns) > sa.tuple_(last.tag, last.kind, last.id))

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        async with self._begin() as transaction:
            await snapshots.last_change(transaction)

    async def close(self) -> None:
        """Take no more transactions, wait for those that are under way, let go of the database."""
        self._closed = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait({self._watcher})
        await self._idle.wait()
        await to_the_end(self._engine.dispose())

    @asynccontextmanager
    async def _begin(self, *, writes: bool = False) -> AsyncIterator[SqlTransaction]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._transactions += 1
        self._idle.clear()
        connection = self._engine.connect()
        try:
            with database_errors():
                await to_the_end(_start(connection, writes=writes))
            yield SqlTransaction(
                connection, writable=writes, now_s=int(self._now_s()), complete=self._complete
            )
            with database_errors():
                await to_the_end(connection.commit())
        finally:
            try:
                if connection.sync_connection is not None:
                    await to_the_end(connection.close())  # rolls back what was not committed
            finally:
                self._transactions -= 1
                if self._transactions == 0:
                    self._idle.set()

    async def _watch(self) -> None:
        """Announce changes of other processes, and purge old secrets now and then."""
        next_purge_s = self._now_s() + PURGE_EVERY_S
        silent = False
        while True:
            await asyncio.sleep(self._poll_interval_s)
            try:
                async with self._begin() as transaction:
                    newest = await snapshots.last_change(transaction)
                self._announce(newest)
                if self._now_s() >= next_purge_s:
                    async with self.write():
                        next_purge_s = self._now_s() + PURGE_EVERY_S
            except StoreUnavailable as error:
                if not silent:
                    log.warning("store_unavailable", detail=str(error))
                silent = True
            except Exception:
                # A watcher that died would leave this process with an old configuration for good.
                log.exception("store_watch_failed")
            else:
                silent = False

    def _announce(self, newest: int) -> None:
        """Tell the listeners, once per change; the write stands whatever they do."""
        if newest <= self._announced:
            return
        self._announced = newest
        for listener in self._listeners:
            try:
                listener()
            except Exception:
                log.exception("store_listener_failed")


async def _start(connection: AsyncConnection, *, writes: bool) -> None:
    await connection.start()
    await connection.execution_options(writes=writes)
    await connection.begin()


async def _make_cluster_secret(
    transaction: SqlTransaction, random_bytes: Callable[[int], bytes]
) -> None:
    name = snapshots.CLUSTER_SECRET
    known = sa.select(secrets.c.name).where(secrets.c.name == name)
    if (await transaction.execute(known)).first() is None:
        secret = random_bytes(32)
        if len(secret) != 32:
            raise ValueError("the random source must give as many bytes as it is asked for")
        await transaction.execute(sa.insert(secrets).values(name=name, value=secret.hex()))
