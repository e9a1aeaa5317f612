"""All entities at one moment, typed and immutable: what the compiler reads.

Fields are named as in Kong's Admin API (shared contract, admin-api.md §2). `from_document` takes a
document that has passed its schema; it does not check again. Fields that change nothing
(`request_buffering`: ADR 16) are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from scopegate.entities.filling import default_of
from scopegate.entities.routes import ROUTES
from scopegate.entities.schema import EntitySchema
from scopegate.entities.services import SERVICES

Document = Mapping[str, Any]


def _foreign(value: Mapping[str, str] | None) -> str | None:
    return value["id"] if value else None


def _set(schema: EntitySchema, document: Document, name: str) -> Any:
    """The value; of a field that was set to null the default, as Kong takes it."""
    value = document[name]
    return default_of(schema.fields[name]) if value is None else value


def _strings(value: list[str] | None) -> tuple[str, ...]:
    return tuple(value or ())


@dataclass(frozen=True, slots=True)
class Service:
    """An upstream API. Timeouts in milliseconds."""

    id: str
    name: str | None
    protocol: str
    host: str
    port: int
    path: str | None
    retries: int
    connect_timeout: int
    write_timeout: int
    read_timeout: int
    tls_verify: bool | None
    enabled: bool

    @classmethod
    def from_document(cls, document: Document) -> Self:
        return cls(**{name: _set(SERVICES, document, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Route:
    """Which requests go to a service."""

    id: str
    name: str | None
    protocols: tuple[str, ...]
    methods: tuple[str, ...]
    hosts: tuple[str, ...]
    paths: tuple[str, ...]
    headers: Mapping[str, tuple[str, ...]]
    snis: tuple[str, ...]
    https_redirect_status_code: int
    regex_priority: int
    strip_path: bool
    preserve_host: bool
    service_id: str | None

    @classmethod
    def from_document(cls, document: Document) -> Self:
        headers = document["headers"] or {}
        return cls(
            id=document["id"],
            name=document["name"],
            protocols=_strings(document["protocols"]),
            methods=_strings(document["methods"]),
            hosts=_strings(document["hosts"]),
            paths=_strings(document["paths"]),
            headers=MappingProxyType({name: tuple(values) for name, values in headers.items()}),
            snis=_strings(document["snis"]),
            https_redirect_status_code=document["https_redirect_status_code"],
            regex_priority=_set(ROUTES, document, "regex_priority"),
            strip_path=document["strip_path"],
            preserve_host=document["preserve_host"],
            service_id=_foreign(document["service"]),
        )


@dataclass(frozen=True, slots=True)
class Consumer:
    """Somebody whom the operator knows by name."""

    id: str
    username: str | None
    custom_id: str | None
    tags: tuple[str, ...]

    @classmethod
    def from_document(cls, document: Document) -> Self:
        return cls(
            id=document["id"],
            username=document["username"],
            custom_id=document["custom_id"],
            tags=_strings(document["tags"]),
        )


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plugin configured for everything, a service, a route, a consumer or a mix of these."""

    id: str
    name: str
    instance_name: str | None
    enabled: bool
    protocols: tuple[str, ...]
    config: Document = field(repr=False)
    service_id: str | None
    route_id: str | None
    consumer_id: str | None
    created_at: int

    @classmethod
    def from_document(cls, document: Document) -> Self:
        return cls(
            id=document["id"],
            name=document["name"],
            instance_name=document["instance_name"],
            enabled=document["enabled"],
            protocols=_strings(document["protocols"]),
            config=document["config"],
            service_id=_foreign(document["service"]),
            route_id=_foreign(document["route"]),
            consumer_id=_foreign(document["consumer"]),
            created_at=document["created_at"],
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All entities by id after change number `version`.

    cluster_secret   32 random bytes that the cluster made once, root of session keys (hex)
    former_session_secrets   per plugin id, the session secrets that were replaced, newest first:
                             (secret or None for the cluster's own, unix seconds of the change)
    """

    version: int = 0
    services: Mapping[str, Service] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)
    consumers: Mapping[str, Consumer] = field(default_factory=dict)
    plugins: Mapping[str, Plugin] = field(default_factory=dict)
    cluster_secret: str = field(default="", repr=False)
    former_session_secrets: Mapping[str, tuple[tuple[str | None, int], ...]] = field(
        default_factory=dict, repr=False
    )
