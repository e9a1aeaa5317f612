"""What the cluster remembers beside the entities."""

from __future__ import annotations

import asyncio

import pytest

from scopegate.store.protocol import Store
from support.documents import plugin, service

DAY_S = 24 * 3600


class TestClusterSecret:
    async def test_is_made_once_and_is_the_same_for_every_process(self, database) -> None:
        stores = await asyncio.gather(*(database.open(from_nothing=True) for _ in range(3)))
        secrets = {(await store.snapshot()).cluster_secret for store in stores}
        assert len(secrets) == 1
        assert len(bytes.fromhex(secrets.pop())) == 32

    async def test_outlives_changes_and_a_restart(self, database) -> None:
        store = await database.open()
        secret = (await store.snapshot()).cluster_secret
        async with store.write() as transaction:
            await transaction.insert("services", service())
        assert (await store.snapshot()).cluster_secret == secret
        await store.close()
        assert (await (await database.open()).snapshot()).cluster_secret == secret


class TestFormerSessionSecrets:
    async def set_secret(self, store: Store, document: dict, secret: str | None) -> None:
        config = document["config"] | {"session_secret": secret}
        async with store.write() as transaction:
            await transaction.replace("plugins", document | {"config": config})

    @pytest.fixture
    async def document(self, store: Store) -> dict:
        document = plugin()
        async with store.write() as transaction:
            await transaction.insert("plugins", document)
        return document

    async def former(self, store: Store) -> dict:
        return dict((await store.snapshot()).former_session_secrets)

    async def test_are_remembered_newest_first(self, database, store, document) -> None:
        now_s = int(database.clock.now_s)
        await store.snapshot()
        await self.set_secret(store, document, "one")
        assert await self.former(store) == {document["id"]: ((None, now_s),)}
        await self.set_secret(store, document, "two")
        database.clock.now_s += 7.9
        await self.set_secret(store, document, None)
        expected = (("two", now_s + 7), ("one", now_s), (None, now_s))
        assert await self.former(store) == {document["id"]: expected}

    async def test_are_not_remembered_when_nothing_changed(self, store, document) -> None:
        await self.set_secret(store, document, None)
        async with store.write() as transaction:
            await transaction.replace("plugins", document | {"enabled": False})
        assert await self.former(store) == {}

    async def test_are_forgotten_with_the_write_that_failed(self, store, document) -> None:
        with pytest.raises(ZeroDivisionError):
            async with store.write() as transaction:
                config = {"session_secret": "new"}
                await transaction.replace("plugins", document | {"config": config})
                raise ZeroDivisionError
        assert await self.former(store) == {}

    async def test_that_come_and_go_are_kept_once(self, database, store, document) -> None:
        for secret in ("one", None, "one", "two", "one", "two"):
            database.clock.now_s += 1
            await self.set_secret(store, document, secret)
        now_s = int(database.clock.now_s)
        expected = (("one", now_s), ("two", now_s - 1), (None, now_s - 3))
        assert await self.former(store) == {document["id"]: expected}

    async def test_of_plugins_without_such_a_field_do_not_exist(self, store) -> None:
        document = plugin(name="cors", config={"origins": None})
        async with store.write() as transaction:
            await transaction.insert("plugins", document)
            await transaction.replace("plugins", document | {"config": {"origins": ["*"]}})
        assert await self.former(store) == {}

    async def test_go_with_their_plugin(self, store, document) -> None:
        await self.set_secret(store, document, "one")
        async with store.write() as transaction:
            await transaction.delete("plugins", document["id"])
        assert await self.former(store) == {}
        async with store.write() as transaction:
            await transaction.insert("plugins", document)
        assert await self.former(store) == {}

    async def test_go_after_31_days_with_any_write(self, database, store, document) -> None:
        await self.set_secret(store, document, "one")
        database.clock.now_s += 10 * DAY_S
        await self.set_secret(store, document, "two")
        database.clock.now_s += 21 * DAY_S - 1
        async with store.write() as transaction:
            await transaction.insert("services", service())
        assert len((await self.former(store))[document["id"]]) == 2
        database.clock.now_s += 1
        async with store.write() as transaction:
            await transaction.insert("services", service())
        assert [secret for secret, _ in (await self.former(store))[document["id"]]] == ["one"]

    async def test_go_after_31_days_without_any_write(self, database, store, document) -> None:
        await self.set_secret(store, document, "one")
        await store.snapshot()
        heard = asyncio.Event()
        store.on_change(heard.set)
        database.clock.now_s += 31 * DAY_S
        async with asyncio.timeout(5):
            await heard.wait()
        assert await self.former(store) == {}


class TestFacts:
    async def test_are_kept_replaced_and_forgotten(self, database) -> None:
        store = await database.open()
        await store.put_fact("a", {"keys": [1, {"x": None}]})
        await store.put_fact("b", {})
        await store.put_fact("b", {"new": True})
        await store.put_fact("c", {"gone": 1})
        await store.put_fact("c", None)
        await store.put_fact("never there", None)
        expected = {"a": {"keys": [1, {"x": None}]}, "b": {"new": True}}
        assert await store.facts() == expected
        await store.close()
        assert await (await database.open()).facts() == expected

    async def test_tell_the_listeners_only_when_they_change(self, store: Store) -> None:
        heard: list[None] = []
        store.on_change(lambda: heard.append(None))
        await store.put_fact("a", {"n": 1})
        await store.put_fact("a", {"n": 1})
        await store.put_fact("b", None)
        assert len(heard) == 1
        await store.put_fact("a", {"n": 2})
        await store.put_fact("a", None)
        assert len(heard) == 3

    async def test_move_the_version_on_and_no_entity(self, store: Store) -> None:
        async with store.write() as transaction:
            await transaction.insert("services", service())
        before = await store.snapshot()
        await store.put_fact("a", {"n": 1})
        after = await store.snapshot()
        assert after.version > before.version
        assert after.services is before.services
