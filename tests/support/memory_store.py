"""A store in memory that keeps the promises of `store.protocol`, for tests of what stands on it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from scopegate.entities.snapshot import Consumer, Plugin, Route, Service, Snapshot
from scopegate.store.protocol import (
    Document,
    ForeignKeyViolation,
    Kind,
    Page,
    PrimaryKeyViolation,
    StillReferenced,
    StoreUnavailable,
    TagFilter,
    UniqueViolation,
)

KINDS = ("services", "routes", "consumers", "plugins")
UNIQUE = {
    "services": ("name",),
    "routes": ("name",),
    "consumers": ("username", "custom_id"),
    "plugins": ("instance_name",),
}
REFERENCES = {
    "services": {},
    "routes": {"service": "services"},
    "consumers": {},
    "plugins": {"service": "services", "route": "routes", "consumer": "consumers"},
}
CASCADES = {"plugins"}
PLUGIN_KEY = ("consumer", "name", "route", "service")

Tables = dict[Kind, dict[str, Document]]


class MemoryTransaction:
    """Works on a copy that replaces the tables at commit."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    async def get(self, kind: Kind, key: Mapping[str, Any]) -> Document | None:
        for document in self.tables[kind].values():
            if all(document[name] == value for name, value in key.items()):
                return copy.deepcopy(document)
        return None

    async def page(
        self,
        kind: Kind,
        *,
        size: int,
        after: str | None = None,
        tags: TagFilter | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Page:
        found = [
            document
            for id_, document in sorted(self.tables[kind].items())
            if (after is None or id_ > after)
            and _tagged(document, tags)
            and all(_plain(document[name]) == value for name, value in (where or {}).items())
        ]
        more = len(found) > size
        return Page(copy.deepcopy(found[:size]), found[size - 1]["id"] if more else None)

    async def insert(self, kind: Kind, document: Document) -> None:
        if document["id"] in self.tables[kind]:
            raise PrimaryKeyViolation(kind, document["id"])
        self._put(kind, document)

    async def replace(self, kind: Kind, document: Document) -> None:
        assert document["id"] in self.tables[kind]
        self._put(kind, document)

    async def delete(self, kind: Kind, id_: str) -> bool:
        if id_ not in self.tables[kind]:
            return False
        for child, references in REFERENCES.items():
            for field in [name for name, parent in references.items() if parent == kind]:
                for child_id, document in list(self.tables[child].items()):
                    if _plain(document[field]) == id_:
                        if child not in CASCADES:
                            raise StillReferenced(kind, child)
                        await self.delete(child, child_id)
        del self.tables[kind][id_]
        return True

    def _put(self, kind: Kind, document: Document) -> None:
        others = [other for id_, other in self.tables[kind].items() if id_ != document["id"]]
        keys = [(name,) for name in UNIQUE[kind] if document[name] is not None]
        if kind == "plugins":
            keys.append(PLUGIN_KEY)
        for names in keys:
            key = {name: document[name] for name in names}
            if any({name: other[name] for name in names} == key for other in others):
                raise UniqueViolation(kind, key)
        for field, parent in REFERENCES[kind].items():
            id_ = _plain(document[field])
            if id_ is not None and id_ not in self.tables[parent]:
                raise ForeignKeyViolation(kind, field, parent, id_)
        self.tables[kind][document["id"]] = copy.deepcopy(document)


class MemoryStore:
    """See `scopegate.store.protocol.Store`. `broken`: the database does not answer."""

    def __init__(self) -> None:
        self.tables: Tables = {kind: {} for kind in KINDS}
        self.broken = False
        self.version = 0
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._listeners: list[Callable[[], None]] = []
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[MemoryTransaction]:
        await self.ping()
        yield MemoryTransaction(self.tables)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[MemoryTransaction]:
        await self.ping()
        async with self._writing:
            transaction = MemoryTransaction(copy.deepcopy(self.tables))
            yield transaction
            self.tables = transaction.tables
            self.version += 1
        for listener in self._listeners:
            listener()

    async def snapshot(self) -> Snapshot:
        await self.ping()

        def typed(kind: Kind, type_: Any) -> dict[str, Any]:
            return {
                id_: type_.from_document(document) for id_, document in self.tables[kind].items()
            }

        return Snapshot(
            version=self.version,
            services=typed("services", Service),
            routes=typed("routes", Route),
            consumers=typed("consumers", Consumer),
            plugins=typed("plugins", Plugin),
            cluster_secret="00" * 32,
        )

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def facts(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(self._facts)

    async def put_fact(self, key: str, value: Mapping[str, Any] | None) -> None:
        if value is None:
            self._facts.pop(key, None)
        else:
            self._facts[key] = value

    async def tags(self) -> AsyncIterator[tuple[str, Kind, str]]:
        await self.ping()
        uses = sorted(
            (tag, kind, id_)
            for kind, table in self.tables.items()
            for id_, document in table.items()
            for tag in document["tags"] or ()
        )

        async def iterate() -> AsyncIterator[tuple[str, Kind, str]]:
            for use in uses:
                yield use

        return iterate()

    async def ping(self) -> None:
        if self.broken:
            raise StoreUnavailable("switched off by the test")

    async def close(self) -> None:
        self._listeners.clear()


def _plain(value: Any) -> Any:
    return value["id"] if isinstance(value, dict) else value


def _tagged(document: Document, tags: TagFilter | None) -> bool:
    if tags is None:
        return True
    has = [tag in (document["tags"] or ()) for tag in tags.tags]
    return all(has) if tags.all else any(has)
