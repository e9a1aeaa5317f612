"""Entities with Kong's defaults, for tests that say only what matters to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.entities.snapshot import Consumer, Plugin, Route, Service, Snapshot

_NAMESPACE = uuid.UUID("00000000-0000-4000-8000-000000000000")


def made_id(name: str) -> str:
    """The same id for the same name, every time."""
    return str(uuid.uuid5(_NAMESPACE, name))


def _reference(fields: dict[str, Any], *names: str) -> None:
    for name in names:
        value = fields.pop(name, None)
        fields[f"{name}_id"] = value if value is None else _id(value)


def _id(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        return made_id(value)


def service(**fields: Any) -> Service:
    name = fields.get("name", "service")
    defaults = {
        "id": made_id(name),
        "name": name,
        "protocol": "http",
        "host": "127.0.0.1",
        "port": {"https": 443, "grpcs": 443}.get(fields.get("protocol", "http"), 80),
        "path": None,
        "retries": 5,
        "connect_timeout": 60000,
        "write_timeout": 60000,
        "read_timeout": 60000,
        "tls_verify": None,
        "enabled": True,
    }
    return Service(**defaults | fields)


def route(**fields: Any) -> Route:
    name = fields.get("name", "route")
    _reference(fields, "service")
    for key in ("protocols", "methods", "hosts", "paths", "snis"):
        if fields.get(key) is not None:
            fields[key] = tuple(fields[key])
        else:
            fields.pop(key, None)
    if "headers" in fields:
        fields["headers"] = {key: tuple(values) for key, values in fields["headers"].items()}
    defaults = {
        "id": made_id(name),
        "name": name,
        "protocols": ("http", "https"),
        "methods": (),
        "hosts": (),
        "paths": (),
        "headers": {},
        "snis": (),
        "https_redirect_status_code": 426,
        "regex_priority": 0,
        "strip_path": True,
        "preserve_host": False,
    }
    return Route(**defaults | fields)


def plugin(**fields: Any) -> Plugin:
    _reference(fields, "service", "route", "consumer")
    if "protocols" in fields:
        fields["protocols"] = tuple(fields["protocols"])
    defaults = {
        "id": made_id("-".join(str(value) for value in fields.values())),
        "instance_name": None,
        "enabled": True,
        "protocols": ("grpc", "grpcs", "http", "https"),
        "config": {},
        "created_at": 1,
    }
    return Plugin(**defaults | fields)


def consumer(username: str, **fields: Any) -> Consumer:
    defaults = {"id": made_id(username), "username": username, "custom_id": None, "tags": ()}
    return Consumer(**defaults | fields)


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
