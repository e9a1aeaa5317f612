"""Entities with Kong's defaults, for tests that say only what matters to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.entities.snapshot import Consumer, Plugin, Route, Service, Snapshot
from support import documents

_NAMESPACE = uuid.UUID("00000000-0000-4000-8000-000000000000")


def made_id(name: str) -> str:
    """The same id for the same name, every time."""
    return str(uuid.uuid5(_NAMESPACE, name))


def _reference(name: str | None) -> dict[str, str] | None:
    """A reference to what has that id, or was made under that name."""
    if name is None:
        return None
    try:
        return {"id": str(uuid.UUID(name))}
    except ValueError:
        return {"id": made_id(name)}


def service(**fields: Any) -> Service:
    name = fields.get("name", "service")
    defaults = {
        "id": made_id(name),
        "name": name,
        "host": "127.0.0.1",
        "port": {"https": 443, "grpcs": 443}.get(fields.get("protocol", "http"), 80),
    }
    return Service.from_document(documents.service(**defaults | fields))


def route(**fields: Any) -> Route:
    name = fields.get("name", "route")
    fields["service"] = _reference(fields.get("service"))
    return Route.from_document(
        documents.route(**{"id": made_id(name), "name": name, "paths": None} | fields)
    )


def plugin(**fields: Any) -> Plugin:
    """Its id is made of its fields: two that are alike need ids of their own."""
    references = {
        kind: _reference(fields.pop(kind, None)) for kind in ("service", "route", "consumer")
    }
    named = [*fields.values(), *(found and found["id"] for found in references.values())]
    defaults = {"id": made_id("-".join(map(str, named))), "config": {}, "created_at": 1}
    return Plugin.from_document(documents.plugin(**defaults | fields | references))


def consumer(username: str, **fields: Any) -> Consumer:
    defaults = {"id": made_id(username), "username": username}
    return Consumer.from_document(documents.consumer(**defaults | fields))


def snapshot(
    *,
    services: Iterable[Service] = (),
    routes: Iterable[Route] = (),
    plugins: Iterable[Plugin] = (),
    consumers: Iterable[Consumer] = (),
    former_session_secrets: Mapping[str, tuple[tuple[str | None, int], ...]] | None = None,
) -> Snapshot:
    return Snapshot(
        version=1,
        services={entity.id: entity for entity in services},
        routes={entity.id: entity for entity in routes},
        plugins={entity.id: entity for entity in plugins},
        consumers={entity.id: entity for entity in consumers},
        cluster_secret="5e" * 32,
        former_session_secrets=former_session_secrets or {},
    )
