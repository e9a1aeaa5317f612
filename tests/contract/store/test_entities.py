"""What a store takes, gives back and refuses. Source: contract admin-api.md §2."""

from __future__ import annotations

from uuid import uuid4

import pytest

from scopegate.store.protocol import (
    ForeignKeyViolation,
    PrimaryKeyViolation,
    StillReferenced,
    Store,
    UniqueViolation,
)
from support.documents import Document, consumer, plugin, route, service


async def insert(store: Store, kind: str, *documents: Document) -> None:
    async with store.write() as transaction:
        for document in documents:
            await transaction.insert(kind, document)


async def get(store: Store, kind: str, **key: str) -> Document | None:
    async with store.read() as transaction:
        return await transaction.get(kind, key)


async def test_a_document_comes_back_as_it_was_written(store: Store) -> None:
    document = service(name="ünï", tags=["b", "a"], port=8080, path="/\u0000😀")
    await insert(store, "services", document)
    found = await get(store, "services", id=document["id"])
    assert found == document
    assert list(found) == list(document)


@pytest.mark.parametrize(
    ("kind", "build", "field"),
    [
        ("services", service, "name"),
        ("routes", route, "name"),
        ("consumers", consumer, "username"),
        ("consumers", consumer, "custom_id"),
        ("plugins", plugin, "instance_name"),
    ],
)
class TestUniqueFields:
    async def test_find_their_entity(self, store, kind, build, field) -> None:
        document = build(**{field: "one"})
        await insert(store, kind, document)
        assert await get(store, kind, **{field: "one"}) == document
        assert await get(store, kind, **{field: "One"}) is None

    async def test_are_refused_to_a_second_entity(self, store, kind, build, field) -> None:
        await insert(store, kind, build(**{field: "one"}))
        second = build(**{field: "one"})
        if kind == "plugins":
            second["name"] = "cors"
        with pytest.raises(UniqueViolation) as refused:
            await insert(store, kind, second)
        assert (refused.value.kind, refused.value.key) == (kind, {field: "one"})
        assert await get(store, kind, id=second["id"]) is None

    async def test_are_refused_to_another_entity_on_replace(
        self, store, kind, build, field
    ) -> None:
        second = build(**{field: "two"})
        if kind == "plugins":
            second["name"] = "cors"
        await insert(store, kind, build(**{field: "one"}), second)
        with pytest.raises(UniqueViolation) as refused:
            async with store.write() as transaction:
                await transaction.replace(kind, second | {field: "one"})
        assert refused.value.key == {field: "one"}
        assert await get(store, kind, id=second["id"]) == second

    async def test_can_be_kept_changed_and_used_again(self, store, kind, build, field) -> None:
        document = build(**{field: "one"})
        await insert(store, kind, document)
        async with store.write() as transaction:
            await transaction.replace(kind, document)
            await transaction.replace(kind, document | {field: "two"})
        assert await get(store, kind, **{field: "one"}) is None
        other = build(**{field: "one"})
        if kind == "plugins":
            other["name"] = "cors"
        await insert(store, kind, other)
        assert await get(store, kind, **{field: "one"}) == other


async def test_unset_unique_fields_do_not_collide(store: Store) -> None:
    await insert(store, "services", service(name=None), service(name=None))
    async with store.read() as transaction:
        assert len((await transaction.page("services", size=10)).documents) == 2


async def test_an_id_is_taken_once(store: Store) -> None:
    document = service(name="first")
    await insert(store, "services", document)
    with pytest.raises(PrimaryKeyViolation) as refused:
        await insert(store, "services", service(id=document["id"], name="first"))
    assert (refused.value.kind, refused.value.id) == ("services", document["id"])


async def test_only_a_unique_field_identifies_an_entity(store: Store) -> None:
    with pytest.raises(ValueError, match="'host'"):
        await get(store, "services", host="example.test")


async def test_what_is_not_there_cannot_be_replaced(store: Store) -> None:
    with pytest.raises(LookupError):
        async with store.write() as transaction:
            await transaction.replace("services", service())
    assert (await store.snapshot()).services == {}


class TestPluginUniqueness:
    async def test_one_plugin_of_a_name_for_everything(self, store: Store) -> None:
        await insert(store, "plugins", plugin(name="cors"))
        with pytest.raises(UniqueViolation) as refused:
            await insert(store, "plugins", plugin(name="cors"))
        assert refused.value.kind == "plugins"
        assert list(refused.value.key.items()) == [
            ("consumer", None),
            ("name", "cors"),
            ("route", None),
            ("service", None),
        ]

    async def test_the_key_shows_what_the_plugin_is_for(self, store: Store) -> None:
        target = service()
        await insert(store, "services", target)
        await insert(store, "plugins", plugin(service=target["id"]))
        with pytest.raises(UniqueViolation) as refused:
            await insert(store, "plugins", plugin(service=target["id"]))
        assert refused.value.key == {
            "consumer": None,
            "name": "openid-connect",
            "route": None,
            "service": {"id": target["id"]},
        }

    async def test_every_combination_is_its_own(self, store: Store) -> None:
        a_service, a_route, a_consumer = service(), route(), consumer()
        await insert(store, "services", a_service)
        await insert(store, "routes", a_route)
        await insert(store, "consumers", a_consumer)
        plugins = [
            plugin(
                service=a_service["id"] if bits & 1 else None,
                route=a_route["id"] if bits & 2 else None,
                consumer=a_consumer["id"] if bits & 4 else None,
            )
            for bits in range(8)
        ]
        await insert(store, "plugins", *plugins, plugin(name="cors"))
        assert len((await store.snapshot()).plugins) == 9

    async def test_a_replace_cannot_take_the_place_of_another(self, store: Store) -> None:
        target = route()
        await insert(store, "routes", target)
        narrow = plugin(route=target["id"])
        await insert(store, "plugins", plugin(), narrow)
        with pytest.raises(UniqueViolation):
            async with store.write() as transaction:
                await transaction.replace("plugins", narrow | {"route": None})


class TestReferences:
    @pytest.mark.parametrize(
        ("kind", "build", "field", "referenced"),
        [
            ("routes", route, "service", "services"),
            ("plugins", plugin, "service", "services"),
            ("plugins", plugin, "route", "routes"),
            ("plugins", plugin, "consumer", "consumers"),
        ],
    )
    @pytest.mark.parametrize("replacing", [False, True], ids=["insert", "replace"])
    async def test_must_exist(self, store, kind, build, field, referenced, replacing) -> None:
        document, missing = build(), str(uuid4())
        if replacing:
            await insert(store, kind, document)
        with pytest.raises(ForeignKeyViolation) as refused:
            async with store.write() as transaction:
                changed = document | {field: {"id": missing}}
                await (transaction.replace if replacing else transaction.insert)(kind, changed)
        error = refused.value
        assert (error.kind, error.field, error.referenced, error.id) == (
            kind,
            field,
            referenced,
            missing,
        )

    async def test_a_service_with_routes_stays(self, store: Store) -> None:
        target = service()
        await insert(store, "services", target)
        await insert(store, "routes", route(service=target["id"]))
        await insert(store, "plugins", plugin(service=target["id"]))
        with pytest.raises(StillReferenced) as refused:
            async with store.write() as transaction:
                await transaction.delete("services", target["id"])
        assert (refused.value.kind, refused.value.by) == ("services", "routes")
        snapshot = await store.snapshot()
        assert (len(snapshot.services), len(snapshot.plugins)) == (1, 1)

    @pytest.mark.parametrize(
        ("kind", "build", "field"),
        [
            ("services", service, "service"),
            ("routes", route, "route"),
            ("consumers", consumer, "consumer"),
        ],
    )
    async def test_plugins_go_with_what_they_are_for(self, store, kind, build, field) -> None:
        target, kept = build(), plugin(tags=["kept"])
        doomed = [
            plugin(**{field: target["id"]}, tags=["gone"]),
            plugin(**{field: target["id"]}, name="cors", tags=["gone"]),
        ]
        await insert(store, kind, target)
        await insert(store, "plugins", *doomed, kept)
        assert len((await store.snapshot()).plugins) == 3
        async with store.write() as transaction:
            assert await transaction.delete(kind, target["id"]) is True
            assert await transaction.get("plugins", {"id": doomed[0]["id"]}) is None
        assert list((await store.snapshot()).plugins) == [kept["id"]]
        assert [tag async for tag in await store.tags()] == [("kept", "plugins", kept["id"])]

    async def test_a_reference_can_move(self, store: Store) -> None:
        first, second = service(), service()
        moving = route(service=first["id"])
        await insert(store, "services", first, second)
        await insert(store, "routes", moving)
        async with store.write() as transaction:
            await transaction.replace("routes", moving | {"service": {"id": second["id"]}})
            assert await transaction.delete("services", first["id"]) is True
        assert list((await store.snapshot()).services) == [second["id"]]


async def test_deleting_what_is_not_there_says_so(store: Store) -> None:
    async with store.write() as transaction:
        assert await transaction.delete("services", str(uuid4())) is False
