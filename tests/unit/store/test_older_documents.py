"""Documents that lack fields, because the version that wrote them did not know these."""

from __future__ import annotations

from typing import Any

from scopegate.entities.kinds import completion, entity_schemas
from scopegate.plugins.registry import PLUGIN_TYPES
from support.documents import consumer, plugin, route, service

COMPLETE = completion(entity_schemas(PLUGIN_TYPES))


def _without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


async def test_every_reader_sees_every_field(opened) -> None:
    older = {
        "services": _without(service(), "enabled", "retries"),
        "routes": _without(route(), "regex_priority", "preserve_host"),
        "consumers": _without(consumer(), "created_at"),
        "plugins": _without(plugin(), "protocols", "enabled"),
    }
    async with opened() as store, store.write() as transaction:
        for kind, document in older.items():
            await transaction.insert(kind, document)

    async with opened(complete=COMPLETE) as store:
        async with store.read() as transaction:
            for kind, document in older.items():
                found = await transaction.get(kind, {"id": document["id"]})
                assert found == COMPLETE(kind, document) != document
                assert (await transaction.page(kind, size=1)).documents == [found]
        snapshot = await store.snapshot()
        (target,) = snapshot.services.values()
        assert (target.enabled, target.retries) == (True, 5)
        (way,) = snapshot.routes.values()
        assert (way.regex_priority, way.preserve_host) == (0, False)
        (guard,) = snapshot.plugins.values()
        assert guard.enabled
        assert guard.protocols == ("grpc", "grpcs", "http", "https")
        assert guard.config["scopes"] == ["openid"]

        async with store.write() as transaction:
            await transaction.insert("routes", later := _without(route(), "strip_path"))
        assert (await store.snapshot()).routes[later["id"]].strip_path is True
