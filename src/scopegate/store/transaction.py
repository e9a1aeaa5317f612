"""Reads and writes inside one database transaction.

Writers run one after the other, so what a write has asked for still holds when it writes: the
checks here give the errors, the constraints of the database stand behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from scopegate.store.driver import database_errors, to_the_end
from scopegate.store.protocol import (
    Complete,
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
from scopegate.store.tables import (
    ENTITY_TABLES,
    EntityTable,
    Reference,
    changes,
    facts,
    former_session_secrets,
    tags,
)

FORMER_SECRETS_KEPT_S = 31 * 24 * 3600
"""No session outlives this, so no former secret needs to."""

CHANGES_KEPT = 10_000
"""A reader that is further behind starts from scratch."""


class SqlTransaction:
    """`store.protocol.Transaction` on a connection that has begun.

    writable   False in `Store.read()`, where a write would go past the other writers
    complete   what every document passes through when it is read
    """

    def __init__(
        self, connection: AsyncConnection, *, writable: bool, now_s: int, complete: Complete
    ) -> None:
        self._connection = connection
        self._writable = writable
        self._now_s = now_s
        self.complete = complete
        self._broken = False
        self.last_change: int | None = None

    async def get(self, kind: Kind, key: Mapping[str, Any]) -> Document | None:
        entity = ENTITY_TABLES[kind]
        ((field, value),) = key.items()
        if field != "id" and field not in entity.unique_fields:
            raise ValueError(f"{field!r} does not identify one of the {kind}")
        found = await self.execute(
            sa.select(entity.table.c.document).where(entity.column(field) == value)
        )
        document: Document | None = found.scalar_one_or_none()
        return None if document is None else self.complete(kind, document)

    async def page(
        self,
        kind: Kind,
        *,
        size: int,
        after: str | None = None,
        tags: TagFilter | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Page:
        entity = ENTITY_TABLES[kind]
        table = entity.table
        query = sa.select(table.c.id, table.c.document).order_by(table.c.id).limit(size + 1)
        if after is not None:
            query = query.where(table.c.id > after)
        if tags is not None:
            query = query.where(*_tag_conditions(entity, tags))
        for field, value in (where or {}).items():
            query = query.where(entity.column(field) == value)
        rows = (await self.execute(query)).all()
        documents = [self.complete(kind, row.document) for row in rows[:size]]
        return Page(documents, rows[size - 1].id if len(rows) > size else None)

    async def insert(self, kind: Kind, document: Document) -> None:
        entity = ENTITY_TABLES[kind]
        row = entity.row(document)
        await self._check(entity, row, document, replacing=False)
        await self.execute(sa.insert(entity.table).values(row))
        await self._put_tags(kind, document)
        await self._record(kind, document["id"], "insert")

    async def replace(self, kind: Kind, document: Document) -> None:
        entity = ENTITY_TABLES[kind]
        row = entity.row(document)
        await self._check(entity, row, document, replacing=True)
        if kind == "plugins":
            await self._remember_session_secret(document)
        await self.execute(
            sa.update(entity.table).where(entity.table.c.id == document["id"]).values(row)
        )
        await self._drop_tags(kind, document["id"])
        await self._put_tags(kind, document)
        await self._record(kind, document["id"], "replace")

    async def delete(self, kind: Kind, id_: str) -> bool:
        self._must_be_writable()
        table = ENTITY_TABLES[kind].table
        if (await self.execute(sa.select(table.c.id).where(table.c.id == id_))).first() is None:
            return False
        doomed: dict[tuple[Kind, str], sa.Table] = {}
        await self._gather(ENTITY_TABLES[kind], id_, doomed)
        for (doomed_kind, doomed_id), doomed_table in reversed(doomed.items()):
            await self._drop_tags(doomed_kind, doomed_id)
            await self.execute(sa.delete(doomed_table).where(doomed_table.c.id == doomed_id))
            await self._record(doomed_kind, doomed_id, "delete")
        return True

    async def facts(self) -> dict[str, Mapping[str, Any]]:
        """All facts by key."""
        return {row.key: row.value for row in await self.execute(sa.select(facts))}

    async def put_fact(self, key: str, value: Mapping[str, Any] | None) -> None:
        """Remember or forget (None) a fact; no change when it is as before."""
        found = (await self.execute(sa.select(facts.c.value).where(facts.c.key == key))).first()
        if value is None:
            if found is not None:
                await self.execute(sa.delete(facts).where(facts.c.key == key))
                await self._record("facts", key, "delete")
        elif found is None:
            await self.execute(sa.insert(facts).values(key=key, value=value))
            await self._record("facts", key, "insert")
        elif found.value != value:
            await self.execute(sa.update(facts).where(facts.c.key == key).values(value=value))
            await self._record("facts", key, "replace")

    async def finish(self) -> None:
        """Forget what has grown too old; the last thing before the commit.

        Raises StoreUnavailable when a statement of this transaction has failed, even if somebody
        swallowed that error: some failures (a full disk) make SQLite roll back on its own, and a
        commit would then answer yes to a write that is half there or not at all.
        """
        if self._broken:
            raise StoreUnavailable("an earlier statement of this transaction failed")
        await self._purge_session_secrets()
        if self.last_change is not None:
            too_old = self.last_change - CHANGES_KEPT
            await self.execute(sa.delete(changes).where(changes.c.number <= too_old))

    async def execute(
        self, statement: sa.Executable, parameters: Sequence[Mapping[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        """Run one statement of the store's own.

        Raises StoreUnavailable, also for every statement after one that failed.
        """
        if self._broken:
            raise StoreUnavailable("an earlier statement of this transaction failed")
        try:
            with database_errors():
                result: sa.CursorResult[Any] = await to_the_end(
                    self._connection.execute(statement, parameters)
                )
        except BaseException:
            self._broken = True
            raise
        return result

    def _must_be_writable(self) -> None:
        if not self._writable:
            raise RuntimeError("writes belong in Store.write(), where they wait for their turn")

    async def _check(
        self, entity: EntityTable, row: Mapping[str, Any], document: Document, *, replacing: bool
    ) -> None:
        """Raise what the write would violate; all questions go in one statement."""
        self._must_be_writable()
        kind, table, id_ = entity.kind, entity.table, document["id"]
        refusals: list[tuple[sa.ColumnElement[bool], Callable[[], Exception]]] = []
        this = sa.exists().where(table.c.id == id_)
        if replacing:
            refusals.append((~this, lambda: LookupError(f"no {id_} among the {kind}")))
        else:
            refusals.append((this, lambda: PrimaryKeyViolation(kind, id_)))
        for column, key in _unique_keys(entity, row, document):
            taken = sa.exists().where(table.c[column] == row[column], table.c.id != id_)
            refusals.append((taken, lambda key=key: UniqueViolation(kind, key)))  # type: ignore[misc]
        for reference in entity.references:
            target = row[reference.column]
            if target is not None:
                there = sa.exists().where(ENTITY_TABLES[reference.kind].table.c.id == target)
                refusals.append((~there, _dangling(kind, reference, target)))
        answers = (await self.execute(sa.select(*(condition for condition, _ in refusals)))).one()
        for refused, (_, error) in zip(answers, refusals, strict=True):
            if refused:
                raise error()

    async def _gather(
        self, entity: EntityTable, id_: str, doomed: dict[tuple[Kind, str], sa.Table]
    ) -> None:
        """Add the entity and all that goes with it, parents first. Raises StillReferenced."""
        doomed[entity.kind, id_] = entity.table
        for child in ENTITY_TABLES.values():
            for reference in child.references:
                if reference.kind != entity.kind:
                    continue
                ids = child.table.c.id
                children = sa.select(ids).where(child.table.c[reference.column] == id_)
                found = (await self.execute(children.order_by(ids))).scalars().all()
                if found and not reference.cascades:
                    raise StillReferenced(entity.kind, child.kind)
                for child_id in found:
                    await self._gather(child, child_id, doomed)

    async def _put_tags(self, kind: Kind, document: Document) -> None:
        rows = [
            {"tag": tag, "kind": kind, "id": document["id"]}
            for tag in dict.fromkeys(document["tags"] or ())
        ]
        if rows:
            await self.execute(sa.insert(tags), rows)

    async def _drop_tags(self, kind: Kind, id_: str) -> None:
        await self.execute(sa.delete(tags).where(tags.c.kind == kind, tags.c.id == id_))

    async def _record(self, kind: Kind, id_: str, operation: str) -> None:
        self._must_be_writable()
        recorded = await self.execute(
            sa.insert(changes).values(kind=kind, id=id_, operation=operation)
        )
        assert recorded.inserted_primary_key is not None
        self.last_change = recorded.inserted_primary_key[0]

    async def _remember_session_secret(self, document: Document) -> None:
        """Keep the stored session secret when the new document has another one.

        A secret that comes back and goes again is kept once, with the later time.
        """
        stored = await self.get("plugins", {"id": document["id"]})
        if stored is None or "session_secret" not in stored["config"]:
            return
        secret = stored["config"]["session_secret"]
        if document["config"].get("session_secret") == secret:
            return
        former = former_session_secrets
        await self.execute(
            sa.delete(former).where(
                former.c.plugin_id == document["id"], former.c.secret.is_not_distinct_from(secret)
            )
        )
        await self.execute(
            sa.insert(former).values(
                plugin_id=document["id"], secret=secret, replaced_at_s=self._now_s
            )
        )

    async def _purge_session_secrets(self) -> None:
        former = former_session_secrets
        too_old = former.c.replaced_at_s <= self._now_s - FORMER_SECRETS_KEPT_S
        plugin_ids = sa.select(former.c.plugin_id).where(too_old).distinct()
        plugins = (await self.execute(plugin_ids)).scalars().all()
        if plugins:
            await self.execute(sa.delete(former).where(too_old))
        for plugin_id in plugins:
            # Snapshots carry former secrets with their plugin: those that hold it must be renewed.
            await self._record("plugins", plugin_id, "replace")


def _unique_keys(
    entity: EntityTable, row: Mapping[str, Any], document: Document
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(column, key as the error shows it) for each unique value that this document claims."""
    for field in entity.unique_fields:
        if row[field] is not None:
            yield field, {field: row[field]}
    if entity.composite_fields:
        key = {field: document[field] for field in sorted(entity.composite_fields)}
        yield "composite_key", key


def _dangling(kind: Kind, reference: Reference, target: str) -> Callable[[], Exception]:
    return lambda: ForeignKeyViolation(kind, reference.field, reference.kind, target)


def _tag_conditions(entity: EntityTable, filter_: TagFilter) -> Iterator[sa.ColumnElement[bool]]:
    def tagged(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        ids = sa.select(tags.c.id).where(tags.c.kind == entity.kind, condition)
        return entity.table.c.id.in_(ids)

    if filter_.all:
        yield from (tagged(tags.c.tag == tag) for tag in filter_.tags)
    else:
        yield tagged(tags.c.tag.in_(filter_.tags))
