"""Services, routes, consumers and plugins, and what the cluster remembers beside them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def _number() -> sa.Column[int]:
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("number", number, primary_key=True, autoincrement=True)


def _reference(table: str, field: str, kind: str, ondelete: str) -> sa.Column[str]:
    name = f"fk_{table}_{field}_id"
    return sa.Column(
        f"{field}_id", sa.String, sa.ForeignKey(f"{kind}.id", name=name, ondelete=ondelete)
    )


def upgrade() -> None:
    op.create_table(
        "services",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_services"),
        sa.UniqueConstraint("name", name="uq_services_name"),
    )
    op.create_table(
        "routes",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String),
        _reference("routes", "service", "services", "RESTRICT"),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_routes"),
        sa.UniqueConstraint("name", name="uq_routes_name"),
    )
    op.create_index("ix_routes_service_id", "routes", ["service_id"])
    op.create_table(
        "consumers",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("username", sa.String),
        sa.Column("custom_id", sa.String),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consumers"),
        sa.UniqueConstraint("username", name="uq_consumers_username"),
        sa.UniqueConstraint("custom_id", name="uq_consumers_custom_id"),
    )
    op.create_table(
        "plugins",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("instance_name", sa.String),
        sa.Column("name", sa.String, nullable=False),
        _reference("plugins", "service", "services", "CASCADE"),
        _reference("plugins", "route", "routes", "CASCADE"),
        _reference("plugins", "consumer", "consumers", "CASCADE"),
        sa.Column("composite_key", sa.String, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_plugins"),
        sa.UniqueConstraint("instance_name", name="uq_plugins_instance_name"),
        sa.UniqueConstraint("composite_key", name="uq_plugins_composite_key"),
    )
    for field in ("service", "route", "consumer"):
        op.create_index(f"ix_plugins_{field}_id", "plugins", [f"{field}_id"])
    op.create_table(
        "tags",
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("tag", "kind", "id", name="pk_tags"),
    )
    op.create_index("ix_tags_entity", "tags", ["kind", "id"])
    op.create_table(
        "changes",
        _number(),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("operation", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "facts",
        sa.Column("key", sa.String, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_facts"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "former_session_secrets",
        _number(),
        sa.Column(
            "plugin_id",
            sa.String,
            sa.ForeignKey(
                "plugins.id", name="fk_former_session_secrets_plugin_id", ondelete="CASCADE"
            ),
            nullable=False,
        ),
        sa.Column("secret", sa.String),
        sa.Column("replaced_at_s", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_former_session_secrets_plugin_id", "former_session_secrets", ["plugin_id"])
