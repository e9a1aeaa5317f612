"""What opening does to a database that another version wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from scopegate.store import sqlite as sqlite_module
from scopegate.store.migrations import upgrade
from scopegate.store.protocol import StoreMisconfigured
from scopegate.store.tables import metadata
from support.documents import plugin, route, service


def test_the_migrations_make_the_tables_that_the_code_knows() -> None:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []
        migrated = sa.MetaData()
        migrated.reflect(connection)
        references = {
            (table.name, key.parent.name, key.target_fullname, key.ondelete)
            for table in migrated.tables.values()
            for key in table.foreign_keys
        }
    engine.dispose()
    assert references == {
        (table.name, key.parent.name, key.target_fullname, key.ondelete)
        for table in metadata.tables.values()
        for key in table.foreign_keys
    }


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(path, opened) -> None:
    async with opened():
        pass
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StoreMisconfigured) as refused:
        async with opened():
            pass
    assert str(refused.value) == (
        f"database {path}: was written by a newer version of Scopegate (schema 9999, this version "
        "knows up to 0001); start that version, or restore an older backup"
    )
    assert path.read_bytes() == before


async def test_a_migration_that_fails_changes_nothing(
    path, opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_late(connection: sa.Connection) -> None:
        upgrade(connection)
        connection.execute(sa.text("SELECT * FROM nowhere"))

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_module, "upgrade", fail_late)
        with pytest.raises(Exception, match="nowhere"):
            async with opened():
                pass
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == []
    async with opened() as store:
        await store.ping()


async def test_a_migration_that_rebuilds_a_table_keeps_what_refers_to_it(
    opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as store:
        async with store.write() as transaction:
            await transaction.insert("services", target := service())
            await transaction.insert("routes", route(service=target["id"]))
            await transaction.insert("plugins", plugin(service=target["id"]))
        before = await store.snapshot()

    def rebuild(connection: sa.Connection) -> None:
        upgrade(connection)
        with (
            op.Operations.context(MigrationContext.configure(connection)) as operations,
            operations.batch_alter_table("services", recreate="always") as table,
        ):
            table.add_column(sa.Column("extra", sa.String))

    monkeypatch.setattr(sqlite_module, "upgrade", rebuild)
    async with opened() as store:
        assert await store.snapshot() == before
