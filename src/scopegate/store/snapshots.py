"""Rows into the typed Snapshot: from scratch, or only what has changed since the last one.

Both ways give the same: mappings ordered by id, and the same entities in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from scopegate.entities.snapshot import Consumer, Plugin, Route, Service, Snapshot
from scopegate.store.protocol import Document, Kind
from scopegate.store.tables import ENTITY_TABLES, changes, former_session_secrets, secrets
from scopegate.store.transaction import SqlTransaction

CLUSTER_SECRET = "cluster_secret"  # noqa: S105 (a name)

ROWS_AT_ONCE = 500
"""Rows per statement: bounds what one statement holds and how long typing them takes the loop."""

TYPES: Mapping[Kind, Callable[[Document], Any]] = {
    "services": Service.from_document,
    "routes": Route.from_document,
    "consumers": Consumer.from_document,
    "plugins": Plugin.from_document,
}

FormerSecrets = Mapping[str, tuple[tuple[str | None, int], ...]]


async def last_change(transaction: SqlTransaction) -> int:
    """The number of the newest change; 0 before the first."""
    return (await transaction.execute(sa.select(sa.func.max(changes.c.number)))).scalar() or 0


async def load(transaction: SqlTransaction) -> Snapshot:
    """The snapshot from scratch."""
    version = await last_change(transaction)
    secret = sa.select(secrets.c.value).where(secrets.c.name == CLUSTER_SECRET)
    entities = {kind: MappingProxyType(await _load_all(transaction, kind)) for kind in TYPES}
    return Snapshot(
        version=version,
        cluster_secret=(await transaction.execute(secret)).scalar_one(),
        former_session_secrets=await _former_secrets(transaction),
        **entities,
    )


async def refresh(transaction: SqlTransaction, snapshot: Snapshot) -> Snapshot:
    """The snapshot with all changes since `snapshot`; the same object when there are none.

    From scratch where the record of changes does not reach back that far.
    """
    newest = await last_change(transaction)
    if newest == snapshot.version:
        return snapshot
    since = sa.select(changes).where(changes.c.number > snapshot.version)
    rows = (await transaction.execute(since.order_by(changes.c.number))).all()
    if not rows or rows[0].number != snapshot.version + 1:
        return await load(transaction)
    latest: dict[Kind, dict[str, str]] = {}
    for row in rows:
        latest.setdefault(row.kind, {})[row.id] = row.operation
    renewed: dict[str, Any] = {
        kind: MappingProxyType(
            await _apply(transaction, kind, getattr(snapshot, kind), latest[kind])
        )
        for kind in TYPES
        if kind in latest
    }
    if "plugins" in latest:
        renewed["former_session_secrets"] = await _former_secrets(transaction)
    return replace(snapshot, version=newest, **renewed)


async def _load_all(transaction: SqlTransaction, kind: Kind) -> dict[str, Any]:
    table = ENTITY_TABLES[kind].table
    query = sa.select(table.c.id, table.c.document).order_by(table.c.id).limit(ROWS_AT_ONCE)
    entities: dict[str, Any] = {}
    rows = (await transaction.execute(query)).all()
    while rows:
        entities.update(
            (row.id, TYPES[kind](transaction.complete(kind, row.document))) for row in rows
        )
        rows = (await transaction.execute(query.where(table.c.id > rows[-1].id))).all()
    return _by_id(entities)


async def _apply(
    transaction: SqlTransaction,
    kind: Kind,
    before: Mapping[str, Any],
    operations: Mapping[str, str],
) -> dict[str, Any]:
    entities = dict(before)
    table = ENTITY_TABLES[kind].table
    written = [id_ for id_, operation in operations.items() if operation != "delete"]
    for id_ in operations.keys() - set(written):
        entities.pop(id_, None)
    for ids in _batches(written):
        query = sa.select(table.c.id, table.c.document).where(table.c.id.in_(ids))
        for row in await transaction.execute(query):
            entities[row.id] = TYPES[kind](transaction.complete(kind, row.document))
    return entities if entities.keys() <= before.keys() else _by_id(entities)


async def _former_secrets(transaction: SqlTransaction) -> FormerSecrets:
    query = sa.select(former_session_secrets).order_by(former_session_secrets.c.number.desc())
    former: dict[str, list[tuple[str | None, int]]] = {}
    for row in await transaction.execute(query):
        former.setdefault(row.plugin_id, []).append((row.secret, row.replaced_at_s))
    return MappingProxyType({id_: tuple(former[id_]) for id_ in sorted(former)})


def _by_id(entities: dict[str, Any]) -> dict[str, Any]:
    """Ordered here and not by the database, whose collation may be another."""
    return {id_: entities[id_] for id_ in sorted(entities)}


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), ROWS_AT_ONCE):
        yield ids[start : start + ROWS_AT_ONCE]
