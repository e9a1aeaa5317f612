"""All or nothing, one writer after the other, readers undisturbed, listeners told."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest

from scopegate.store.protocol import Store, StoreUnavailable
from support.documents import consumer, service


class Failed(Exception):
    pass


async def test_an_exception_undoes_the_whole_block(store: Store) -> None:
    kept = service(name="kept", tags=["kept"])
    async with store.write() as transaction:
        await transaction.insert("services", kept)
    version = (await store.snapshot()).version
    with pytest.raises(Failed):
        async with store.write() as transaction:
            await transaction.insert("services", service(tags=["new"]))
            await transaction.replace("services", kept | {"name": "changed", "tags": []})
            await transaction.delete("services", kept["id"])
            raise Failed
    snapshot = await store.snapshot()
    assert snapshot.version == version
    assert [entity.name for entity in snapshot.services.values()] == ["kept"]
    assert [tag async for tag, _, _ in await store.tags()] == ["kept"]


async def test_a_refused_write_leaves_the_rest_of_its_block_alone(store: Store) -> None:
    async with store.write() as transaction:
        await transaction.insert("services", service(name="one"))
        with suppress(Exception):
            await transaction.insert("services", service(name="one"))
        await transaction.insert("services", service(name="two"))
    names = {entity.name for entity in (await store.snapshot()).services.values()}
    assert names == {"one", "two"}


async def test_two_writers_never_lose_an_update(database) -> None:
    stores = [await database.open(), await database.open()]
    counter = service(retries=0)
    async with stores[0].write() as transaction:
        await transaction.insert("services", counter)

    async def count(store: Store) -> None:
        async with store.write() as transaction:
            document = await transaction.get("services", {"id": counter["id"]})
            await asyncio.sleep(0)
            document["retries"] += 1
            await transaction.replace("services", document)

    await asyncio.gather(*(count(store) for store in stores * 20))
    assert (await stores[1].snapshot()).services[counter["id"]].retries == 40


async def test_a_reader_sees_one_moment_and_does_not_wait(database) -> None:
    store, other = await database.open(), await database.open()
    document = service(retries=1)
    async with store.write() as transaction:
        await transaction.insert("services", document)
    async with store.read() as reading:
        before = await reading.get("services", {"id": document["id"]})
        async with other.write() as writing:
            await writing.replace("services", document | {"retries": 2})
            assert await reading.get("services", {"id": document["id"]}) == before
            async with asyncio.timeout(5):
                assert (await store.snapshot()).services[document["id"]].retries == 1
        assert await reading.get("services", {"id": document["id"]}) == before
    assert (await store.snapshot()).services[document["id"]].retries == 2


async def test_a_writer_reads_what_it_wrote(store: Store) -> None:
    document = service(name="mine")
    async with store.write() as transaction:
        await transaction.insert("services", document)
        assert await transaction.get("services", {"name": "mine"}) == document
        assert (await transaction.page("services", size=1)).documents == [document]


async def test_a_reader_cannot_write(store: Store) -> None:
    document = service()
    async with store.read() as transaction:
        for attempt in (
            transaction.insert("services", document),
            transaction.replace("services", document),
            transaction.delete("services", document["id"]),
        ):
            with pytest.raises(RuntimeError, match=r"Store\.write"):
                await attempt


async def test_a_write_inside_a_write_is_told_so_instead_of_waiting_for_itself(
    store: Store,
) -> None:
    async with store.write():
        with pytest.raises(RuntimeError, match="already"):
            async with store.write():
                pass
    async with store.write() as transaction:
        await transaction.insert("services", service())


async def test_a_cancelled_writer_leaves_all_or_nothing_and_lets_the_next_one_in(
    database,
) -> None:
    store = await database.open()

    async def write_a_pair(number: int) -> None:
        async with store.write() as transaction:
            for half in ("a", "b"):
                await transaction.insert("consumers", consumer(username=f"{number}{half}"))

    for number in range(60):
        task = asyncio.create_task(write_a_pair(number))
        await asyncio.sleep(number * 0.0002)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # somebody who is in a hurry
        with suppress(asyncio.CancelledError):
            await task
        start_s = time.monotonic()
        async with store.write() as transaction:
            await transaction.insert("consumers", consumer(username=f"{number}next"))
        assert time.monotonic() - start_s < 2
    names = {entity.username for entity in (await store.snapshot()).consumers.values()}
    halves = {name for name in names if not name.endswith("next")}
    assert len(names - halves) == 60
    assert {f"{name[:-1]}{half}" for name in halves for half in "ab"} == halves
    scratch = await (await database.open()).snapshot()
    assert scratch == await store.snapshot()


class TestListeners:
    async def test_hear_of_a_commit_before_the_writer_goes_on(self, store: Store) -> None:
        heard: list[str] = []
        store.on_change(lambda: heard.append("one"))
        store.on_change(lambda: heard.append("two"))
        async with store.write() as transaction:
            await transaction.insert("services", service())
            assert heard == []
        assert heard == ["one", "two"]
        await asyncio.sleep(0.1)
        assert heard == ["one", "two"]

    async def test_hear_nothing_when_nothing_was_written(self, store: Store) -> None:
        heard: list[None] = []
        store.on_change(lambda: heard.append(None))
        with pytest.raises(Failed):
            async with store.write() as transaction:
                await transaction.insert("services", service())
                raise Failed
        async with store.write() as transaction:
            await transaction.get("services", {"name": "x"})
        async with store.read() as transaction:
            await transaction.get("services", {"name": "x"})
        assert heard == []

    async def test_hear_of_what_another_process_commits(self, database) -> None:
        store, other = await database.open(), await database.open()
        heard = asyncio.Event()
        store.on_change(heard.set)
        async with other.write() as transaction:
            await transaction.insert("services", document := service())
        async with asyncio.timeout(5):
            await heard.wait()
        assert document["id"] in (await store.snapshot()).services

    async def test_that_fail_harm_neither_the_write_nor_each_other(self, store: Store) -> None:
        heard: list[None] = []

        def fail() -> None:
            raise Failed

        store.on_change(fail)
        store.on_change(lambda: heard.append(None))
        async with store.write() as transaction:
            await transaction.insert("services", service())
        assert heard == [None]
        assert len((await store.snapshot()).services) == 1


async def test_what_was_written_is_there_after_reopening(database) -> None:
    store = await database.open()
    document = service()
    async with store.write() as transaction:
        await transaction.insert("services", document)
    before = await store.snapshot()
    await store.close()
    assert await (await database.open()).snapshot() == before


async def test_a_closed_store_refuses_everything(store: Store) -> None:
    await store.ping()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await store.snapshot()
    with pytest.raises(StoreUnavailable):
        async with store.write():
            pass
    await store.close()


async def test_closing_waits_for_the_transactions_under_way(database) -> None:
    store = await database.open()
    document = service()
    async with store.write() as transaction:
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        await transaction.insert("services", document)
    await closing
    assert document["id"] in (await (await database.open()).snapshot()).services
