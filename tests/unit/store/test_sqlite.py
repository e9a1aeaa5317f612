"""The file: its mode, its place, and what happens when it fails."""

from __future__ import annotations

import asyncio
import gc
import logging
import sqlite3
import stat
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from scopegate.store import transaction as transaction_module
from scopegate.store.protocol import StoreMisconfigured, StoreUnavailable
from scopegate.store.sqlite import open_sqlite
from support.documents import plugin, route, service


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestFile:
    async def test_only_the_owner_may_read_it_and_its_log(self, path, opened) -> None:
        async with opened() as store:
            async with store.write() as transaction:
                await transaction.insert("services", service())
            files = sorted(path.parent.iterdir())
            assert [file.name for file in files] == [
                "scopegate.db",
                "scopegate.db-shm",
                "scopegate.db-wal",
            ]
            assert [mode(file) for file in files] == [0o600] * 3

    async def test_permissions_of_others_are_taken_away(self, path, opened) -> None:
        async with opened():
            pass
        path.chmod(0o664)
        async with opened():
            assert mode(path) == 0o600

    async def test_commits_reach_the_disk_and_readers_go_on(self, opened) -> None:
        async with opened() as store, store.read() as transaction:
            values = {
                name: (await transaction.execute(sa.text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        full = 2
        assert values == {
            "journal_mode": "wal",
            "synchronous": full,
            "foreign_keys": 1,
            "busy_timeout": 10_000,
        }

    @pytest.mark.parametrize("name", ["a%20b?c=d#e.db", ":memory:", "file:x.db", "ü.db"])
    async def test_may_have_any_name(self, tmp_path, name) -> None:
        store = await open_sqlite(tmp_path / name, random_bytes=bytes, now_s=time.time)
        await store.close()
        assert [file.name for file in tmp_path.iterdir()] == [name]


class TestRefusals:
    async def refused(self, path: Path) -> str:
        with pytest.raises(StoreMisconfigured) as refused:
            await open_sqlite(path, random_bytes=bytes, now_s=time.time)
        return str(refused.value)

    async def test_no_folder(self, tmp_path) -> None:
        path = tmp_path / "missing" / "scopegate.db"
        text = f"database {path}: the folder {path.parent} does not exist; create it"
        assert await self.refused(path) == text

    async def test_a_folder_in_the_place_of_the_file(self, tmp_path) -> None:
        assert await self.refused(tmp_path) == f"database {tmp_path}: is not a file; name one"

    async def test_a_place_where_no_file_can_be_made(self) -> None:
        # The kernel's own file system refuses even root.
        path = Path("/proc/scopegate.db")
        text = await self.refused(path)
        assert text.startswith(f"database {path}: ")
        assert "cannot be created" in text or "not writable" in text

    @pytest.mark.parametrize(
        ("unwritable", "said"), [("folder", "is not writable"), ("file", "this user")]
    )
    async def test_what_this_user_may_not_write(
        self, path, monkeypatch: pytest.MonkeyPatch, unwritable, said
    ) -> None:
        # Root may write anywhere, so the answer of the system is put in its mouth.
        path.touch(mode=0o600)
        denied = {"folder": path.parent, "file": path}[unwritable]
        monkeypatch.setattr("os.access", lambda asked, _: asked != denied)
        text = await self.refused(path)
        assert str(denied) in text
        assert said in text

    async def test_a_place_that_may_not_be_looked_at(
        self, path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Path) -> bool:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "is_dir", refuse)
        assert await self.refused(path) == f"database {path}: Permission denied"

    async def test_others_permissions_that_cannot_be_taken_away(
        self, path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        path.touch(mode=0o644)
        monkeypatch.setattr(Path, "chmod", refuse)
        assert "cannot be changed to 0600" in await self.refused(path)

    async def test_a_place_without_wal(self, monkeypatch: pytest.MonkeyPatch, path) -> None:
        # What SQLite answers where it has no shared memory: the mode stays as it was.
        connect = sqlite3.connect
        monkeypatch.setattr(sqlite3, "connect", lambda *_, **options: connect(":memory:"))
        assert "journal mode memory only, not WAL" in await self.refused(path)

    async def test_a_lock_that_cannot_be_waited_for_is_asked_for_again(
        self, path, opened, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # SQLite refuses at once, without its busy timeout, when two go over to WAL together.
        connect, refusals = sqlite3.connect, []

        def refuse_twice(*arguments: Any, **options: Any) -> sqlite3.Connection:
            if len(refusals) < 2:
                refusals.append(sqlite3.OperationalError("database is locked"))
                refusals[-1].sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
                raise refusals[-1]
            return connect(*arguments, **options)

        monkeypatch.setattr(sqlite3, "connect", refuse_twice)
        async with opened() as store:
            await store.ping()
        assert len(refusals) == 2

    async def test_a_random_source_that_gives_too_little(self, path) -> None:
        with pytest.raises(ValueError, match="random source"):
            await open_sqlite(path, random_bytes=lambda _: b"short", now_s=time.time)


@contextmanager
def on_connect(act: Callable[[Any], None]) -> Iterator[None]:
    """Do something with each database connection that is made meanwhile."""

    def listener(connection: Any, _: object) -> None:
        act(connection)

    event.listen(sa.Engine, "connect", listener)
    try:
        yield
    finally:
        event.remove(sa.Engine, "connect", listener)


class TestFailures:
    async def test_a_full_disk_writes_nothing(self, path, opened) -> None:
        kept = service(name="kept")
        async with opened() as store, store.write() as transaction:
            await transaction.insert("services", kept)

        def limit(connection: Any) -> None:
            connection.execute("PRAGMA max_page_count = 60")

        with on_connect(limit):
            async with opened() as store:
                with pytest.raises(StoreUnavailable, match="full"):
                    async with store.write() as transaction:
                        await transaction.insert("services", service(name="small"))
                        await transaction.insert("services", service(path="/" + "x" * 500_000))
                snapshot = await store.snapshot()
                assert list(snapshot.services) == [kept["id"]]
                async with store.write() as transaction:
                    await transaction.delete("services", kept["id"])
                assert (await store.snapshot()).services == {}

    async def test_a_failure_that_was_swallowed_is_no_yes(self, opened) -> None:
        # SQLite rolls back by itself on a full disk: what follows would be committed one by one.
        def limit(connection: Any) -> None:
            connection.execute("PRAGMA max_page_count = 60")

        with on_connect(limit):
            async with opened() as store:
                with pytest.raises(StoreUnavailable):
                    async with store.write() as transaction:
                        await transaction.insert("services", service(name="before"))
                        with suppress(StoreUnavailable):
                            await transaction.insert("services", service(path="/" + "x" * 500_000))
                        with suppress(StoreUnavailable):
                            await transaction.insert("services", service(name="after"))
                assert (await store.snapshot()).services == {}

    async def test_a_locked_database_is_waited_for_and_then_unavailable(self, path, opened) -> None:
        async with opened(busy_timeout_s=0.05) as store:
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="locked"):
                async with store.write() as transaction:
                    await transaction.insert("services", service())
            assert (await store.snapshot()).services == {}
            other.execute("ROLLBACK")
            other.close()
            async with store.write() as transaction:
                await transaction.insert("services", service())
            assert len((await store.snapshot()).services) == 1

    async def test_a_file_that_is_no_database(self, path, opened) -> None:
        path.write_bytes(b"this is not a database, it only lies in its place" * 100)
        with pytest.raises(StoreMisconfigured) as refused:
            async with opened():
                pass
        assert str(refused.value) == (
            f"database {path}: cannot be read as a database (file is not a database); name another"
            " file, or restore a backup"
        )

    async def test_a_damaged_database(self, path, opened) -> None:
        async with opened() as store, store.write() as transaction:
            for _ in range(50):
                await transaction.insert("services", service(path="/" + "x" * 2000))
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            for page in range(8192, size, 4096):
                file.seek(page)
                file.write(b"\xff" * 4096)
        with pytest.raises(StoreUnavailable):
            async with opened() as store:
                await store.snapshot()

    async def test_a_damaged_document(self, path, opened) -> None:
        document = service()
        async with opened() as store:
            async with store.write() as transaction:
                await transaction.insert("services", document)
            with sqlite3.connect(path) as other:
                other.execute("UPDATE services SET document = '{'")
            other.close()
            with pytest.raises(StoreUnavailable, match="damaged"):
                await store.snapshot()

    async def test_more_readers_than_connections_wait_and_are_then_refused(self, opened) -> None:
        async with opened(busy_timeout_s=0.05) as store:
            readers = [store.read() for _ in range(20)]
            for reader in readers:
                await reader.__aenter__()
            with pytest.raises(StoreUnavailable, match="no database connection"):
                await store.ping()
            for reader in readers:
                await reader.__aexit__(None, None, None)
            await store.ping()


class TestConstraintsOfTheDatabase:
    """They stand behind the checks, should a check ever be wrong."""

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO plugins (id, name, composite_key, document)"
            " SELECT 'x', name, composite_key, document FROM plugins",
            "INSERT INTO services (id, name, document) SELECT 'x', name, document FROM services",
            "UPDATE routes SET service_id = 'nowhere'",
            "UPDATE plugins SET service_id = 'nowhere'",
            "DELETE FROM services",
        ],
    )
    async def test_hold(self, path, opened, statement) -> None:
        async with opened() as store, store.write() as transaction:
            await transaction.insert("services", target := service(name="s"))
            await transaction.insert("routes", route(service=target["id"]))
            await transaction.insert("plugins", plugin(service=target["id"]))
        other = sqlite3.connect(path)
        other.execute("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(statement)
        other.close()


async def test_the_record_of_changes_stays_bounded(
    path, opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_module, "CHANGES_KEPT", 5)
    async with opened() as store:
        for _ in range(20):
            async with store.write() as transaction:
                await transaction.insert("services", service())
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT number FROM changes").fetchall() == [
            (number,) for number in range(16, 21)
        ]


async def test_no_secret_reaches_a_log_or_an_error(
    path, opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "Gpdc7xXp5z"
    document = plugin(config={"client_secret": secret, "session_secret": secret})
    async with opened() as store:
        async with store.write() as transaction:
            await transaction.insert("plugins", document)
            await transaction.replace("plugins", document | {"config": {"session_secret": None}})
        with pytest.raises(sa.exc.IntegrityError) as failed:
            async with store.write() as transaction:
                values = {"id": document["id"], "document": secret}
                table = sa.table("plugins", *map(sa.column, values))
                await transaction.execute(sa.insert(table).values(values))
        cluster_secret = (await store.snapshot()).cluster_secret
    assert secret not in repr(failed.value) + str(failed.value)
    assert secret not in caplog.text
    assert cluster_secret not in caplog.text


async def test_closing_leaves_no_thread_task_or_warning(opened) -> None:
    def driver_threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if "connection" in thread.name]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with opened() as store:
            async with store.write() as transaction:
                await transaction.insert("services", service())
            await store.snapshot()
            assert driver_threads()
        gc.collect()
    assert driver_threads() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_with_ten_thousand_routes_one_change_costs_little(path, opened) -> None:
    async with opened() as store:
        async with store.write() as transaction:
            await transaction.insert("routes", document := route())
        with sqlite3.connect(path) as other:
            other.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)"
                " INSERT INTO routes (id, document)"
                " SELECT 'r' || i, json_set(document, '$.id', 'r' || i) FROM routes, n"
            )
        other.close()
        start_s = time.perf_counter()
        assert len((await store.snapshot()).routes) == 10_000
        from_scratch_s = time.perf_counter() - start_s
        costs_s = []
        for number in range(10):
            async with store.write() as transaction:
                await transaction.replace("routes", document | {"regex_priority": number})
            start_s = time.perf_counter()
            snapshot = await store.snapshot()
            costs_s.append(time.perf_counter() - start_s)
            assert snapshot.routes[document["id"]].regex_priority == number
        assert len(snapshot.routes) == 10_000
        print(
            f"incremental {min(costs_s) * 1000:.1f} ms, from scratch {from_scratch_s * 1000:.0f} ms"
        )
        # Some 3 ms against 200; as a ratio, since a busy machine slows both.
        assert min(costs_s) < from_scratch_s / 10
