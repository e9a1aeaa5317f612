"""Snapshots: typed, immutable, numbered, and the same by whichever way they were made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scopegate.entities.snapshot import Consumer, Plugin, Route, Service
from scopegate.store import transaction as transaction_module
from scopegate.store.protocol import (
    ForeignKeyViolation,
    PrimaryKeyViolation,
    StillReferenced,
    Store,
    UniqueViolation,
)
from support.documents import consumer, plugin, route, service
from support.stores import DATABASES

BUILDERS = {"services": service, "routes": route, "consumers": consumer, "plugins": plugin}


async def test_hold_typed_entities(store: Store) -> None:
    a_service = service(name="s", host="upstream.test")
    a_route = route(service=a_service["id"], headers={"x-a": ["1", "2"]}, hosts=["a.test"])
    a_consumer = consumer(username="ann", tags=["vip"])
    a_plugin = plugin(route=a_route["id"], config={"issuer": "https://idp.test"})
    async with store.write() as transaction:
        await transaction.insert("services", a_service)
        await transaction.insert("routes", a_route)
        await transaction.insert("consumers", a_consumer)
        await transaction.insert("plugins", a_plugin)
    snapshot = await store.snapshot()
    assert snapshot.services == {a_service["id"]: Service.from_document(a_service)}
    assert snapshot.routes == {a_route["id"]: Route.from_document(a_route)}
    assert snapshot.consumers == {a_consumer["id"]: Consumer.from_document(a_consumer)}
    assert snapshot.plugins == {a_plugin["id"]: Plugin.from_document(a_plugin)}
    assert snapshot.routes[a_route["id"]].service_id == a_service["id"]


async def test_are_the_same_object_while_nothing_changes(store: Store) -> None:
    first = await store.snapshot()
    assert await store.snapshot() is first


async def test_do_not_change_once_they_are_handed_out(store: Store) -> None:
    async with store.write() as transaction:
        await transaction.insert("services", document := service())
    before = await store.snapshot()
    async with store.write() as transaction:
        await transaction.delete("services", document["id"])
    after = await store.snapshot()
    assert document["id"] in before.services
    assert document["id"] not in after.services
    assert after.version > before.version
    with pytest.raises(TypeError):
        before.services[document["id"]] = None  # type: ignore[index]


async def test_are_ordered_by_id(store: Store) -> None:
    documents = [service() for _ in range(20)]
    await store.snapshot()
    for document in documents:
        async with store.write() as transaction:
            await transaction.insert("services", document)
        services = (await store.snapshot()).services
        assert list(services) == sorted(services)
    assert len(services) == 20


async def test_leave_untouched_kinds_as_they_were(store: Store) -> None:
    async with store.write() as transaction:
        await transaction.insert("routes", route())
    before = await store.snapshot()
    async with store.write() as transaction:
        await transaction.insert("services", service())
    assert (await store.snapshot()).routes is before.routes


async def test_versions_go_on_after_reopening(database) -> None:
    store = await database.open()
    async with store.write() as transaction:
        await transaction.insert("services", document := service())
        await transaction.delete("services", document["id"])
    version = (await store.snapshot()).version
    await store.close()
    reopened = await database.open()
    assert (await reopened.snapshot()).version == version
    async with reopened.write() as transaction:
        await transaction.insert("services", service())
    assert (await reopened.snapshot()).version > version


async def test_asked_for_by_many_at_once_are_made_once(store: Store) -> None:
    async with store.write() as transaction:
        await transaction.insert("services", service())
    snapshots = await asyncio.gather(*(store.snapshot() for _ in range(20)))
    assert all(snapshot is snapshots[0] for snapshot in snapshots)


async def test_start_from_scratch_when_they_are_too_far_behind(
    database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction_module, "CHANGES_KEPT", 5)
    store, other = await database.open(), await database.open()
    async with store.write() as transaction:
        await transaction.insert("services", gone := service())
    await store.snapshot()
    async with other.write() as transaction:
        await transaction.delete("services", gone["id"])
    for _ in range(10):
        async with other.write() as transaction:
            await transaction.insert("services", service())
    snapshot = await store.snapshot()
    assert snapshot == await other.snapshot()
    assert gone["id"] not in snapshot.services
    assert len(snapshot.services) == 10


identities = st.integers(0, 2)
references = st.none() | identities
operations = st.lists(
    st.tuples(
        st.sampled_from(("insert", "replace", "replace", "delete")),
        st.sampled_from(tuple(BUILDERS)),
        identities,
        st.fixed_dictionaries({"service": references, "route": references, "consumer": references}),
        st.sampled_from((None, "x", "y")),
    ),
    max_size=12,
)
FULL_HOUSE = (
    ("services", {}),
    ("routes", {"service": 0}),
    ("consumers", {}),
    ("plugins", {"service": 1, "route": 1, "consumer": 1}),
)
histories = st.lists(st.tuples(st.integers(0, 1), operations, st.booleans()), max_size=5)


def _id(kind: str, number: int) -> str:
    return str(UUID(int=number + 16 * list(BUILDERS).index(kind)))


def _document(kind: str, number: int, references: dict[str, int | None], value: str | None):
    fields: dict[str, object] = {"id": _id(kind, number)}
    for field, referenced in references.items():
        allowed = kind == "plugins" or (kind == "routes" and field == "service")
        if allowed and referenced is not None:
            fields[field] = _id(f"{field}s", referenced)
    if kind == "plugins":
        fields["config"] = {"session_secret": value}
        fields["name"] = f"plugin-{number}"
    elif kind == "consumers":
        fields["username"] = f"user-{number}"
    else:
        fields["name"] = value
    return BUILDERS[kind](**fields)


@pytest.mark.slow
@pytest.mark.parametrize("name", DATABASES)
@settings(max_examples=10, deadline=None, phases=set(Phase) - {Phase.explain})
@given(history=histories)
def test_incremental_ones_equal_those_from_scratch(name: str, history) -> None:
    """Two processes write at random; each snapshot must be what a newcomer would read."""

    async def run() -> None:
        with TemporaryDirectory() as folder:
            database = DATABASES[name](Path(folder))
            try:
                stores = [await database.open(), await database.open()]
                async with stores[0].write() as transaction:
                    for kind, references in FULL_HOUSE:
                        for number in range(3):
                            document = _document(kind, number, references, None)
                            await transaction.insert(kind, document)
                for store in stores:
                    await store.snapshot()
                for writer, operations, look in history:
                    database.clock.now_s += 1
                    async with stores[writer].write() as transaction:
                        for operation in operations:
                            await apply(transaction, *operation)
                    if look:
                        await compare(await database.open(), *stores)
                await compare(await database.open(), *stores)
            finally:
                await database.close()

    async def apply(transaction, operation, kind, number, references, value) -> None:
        try:
            if operation == "delete":
                await transaction.delete(kind, _id(kind, number))
            else:
                document = _document(kind, number, references, value)
                await getattr(transaction, operation)(kind, document)
        except (
            ForeignKeyViolation,
            LookupError,
            PrimaryKeyViolation,
            StillReferenced,
            UniqueViolation,
        ):
            pass

    async def compare(newcomer: Store, *stores: Store) -> None:
        scratch = await newcomer.snapshot()
        for store in stores:
            snapshot = await store.snapshot()
            assert snapshot == scratch
            for kind in BUILDERS:
                assert list(getattr(snapshot, kind)) == list(getattr(scratch, kind))

    asyncio.run(run())
