"""The tables, and what the store must know of each kind of entity.

An entity is a row: its id, its document, and a column for each field that is a key or a reference.
The database itself holds uniqueness and references; `transaction` asks before it writes, so that
the error can name the field. Source: contract admin-api.md §2 (cascade, restrict) and §4
(a plugin is unique over name, service, route and consumer, unset counting as equal).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from scopegate.store.protocol import Document, Kind

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: `field` of the document is None or `{"id": <id of an entity of kind>}`.

    cascades   deleting the entity it points to deletes this one too; otherwise it is refused
    """

    field: str
    kind: Kind
    cascades: bool

    @property
    def column(self) -> str:
        """`service` lives in the column `service_id`."""
        return f"{self.field}_id"


@dataclass(frozen=True, slots=True)
class EntityTable:
    """One kind of entity.

    unique_fields   each names at most one entity, None aside
    plain_fields    columns to filter by
    composite_fields    together they name at most one entity, None counting as a value
    """

    kind: Kind
    table: sa.Table
    unique_fields: tuple[str, ...] = ()
    plain_fields: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    composite_fields: tuple[str, ...] = ()

    def row(self, document: Document) -> dict[str, Any]:
        """The column values of a document."""
        values: dict[str, Any] = {"id": document["id"], "document": document}
        for field in (*self.unique_fields, *self.plain_fields):
            values[field] = document[field]
        for reference in self.references:
            values[reference.column] = referenced_id(document[reference.field])
        if self.composite_fields:
            values["composite_key"] = self._composite_key(document)
        return values

    def _composite_key(self, document: Document) -> str:
        """One string for all composite fields: a UNIQUE over NULLs would let duplicates in.

        No part but the last, a name, can contain a slash: ids are UUIDs.
        """
        foreign = {reference.field for reference in self.references}
        return "/".join(
            (referenced_id(document[field]) or "") if field in foreign else document[field]
            for field in self.composite_fields
        )

    def column(self, field: str) -> sa.ColumnElement[Any]:
        """The column of a field that can be filtered by. ValueError for any other field."""
        for reference in self.references:
            if field == reference.field:
                return self.table.c[reference.column]
        if field in ("id", *self.unique_fields, *self.plain_fields):
            return self.table.c[field]
        raise ValueError(f"{self.kind} cannot be looked up by {field!r}")


def referenced_id(value: Mapping[str, str] | None) -> str | None:
    """The id in a reference field."""
    return value["id"] if value else None


def _entity_table(
    kind: Kind,
    *,
    unique_fields: tuple[str, ...] = (),
    plain_fields: tuple[str, ...] = (),
    references: tuple[Reference, ...] = (),
    composite_fields: tuple[str, ...] = (),
) -> EntityTable:
    columns = [sa.Column("id", sa.String, primary_key=True)]
    columns += [sa.Column(field, sa.String, unique=True) for field in unique_fields]
    columns += [sa.Column(field, sa.String, nullable=False) for field in plain_fields]
    for reference in references:
        rule = "CASCADE" if reference.cascades else "RESTRICT"
        key = sa.ForeignKey(f"{reference.kind}.id", ondelete=rule)
        columns.append(sa.Column(reference.column, key, index=True))
    if composite_fields:
        columns.append(sa.Column("composite_key", sa.String, nullable=False, unique=True))
    table = sa.Table(kind, metadata, *columns, sa.Column("document", sa.JSON, nullable=False))
    return EntityTable(kind, table, unique_fields, plain_fields, references, composite_fields)


ENTITY_TABLES: Mapping[Kind, EntityTable] = {
    table.kind: table
    for table in (
        _entity_table("services", unique_fields=("name",)),
        _entity_table(
            "routes",
            unique_fields=("name",),
            references=(Reference("service", "services", cascades=False),),
        ),
        _entity_table("consumers", unique_fields=("username", "custom_id")),
        _entity_table(
            "plugins",
            unique_fields=("instance_name",),
            plain_fields=("name",),
            references=(
                Reference("service", "services", cascades=True),
                Reference("route", "routes", cascades=True),
                Reference("consumer", "consumers", cascades=True),
            ),
            composite_fields=("service", "route", "consumer", "name"),
        ),
    )
}


tags = sa.Table(
    "tags",
    metadata,
    sa.Column("tag", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    sa.Index("ix_tags_entity", "kind", "id"),
)

# Numbers are never used twice, so a reader that remembers one can tell what came after it.
changes = sa.Table(
    "changes",
    metadata,
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("operation", sa.String, nullable=False),
    sqlite_autoincrement=True,
)

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)

# `number` tells apart what was replaced within one second.
former_session_secrets = sa.Table(
    "former_session_secrets",
    metadata,
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column(
        "plugin_id", sa.ForeignKey("plugins.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    sa.Column("secret", sa.String),
    sa.Column("replaced_at_s", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
