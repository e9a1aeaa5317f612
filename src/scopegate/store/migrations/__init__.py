"""Brings a database up to what this version of Scopegate writes.

A new revision is a module in `versions/` that names its predecessor. A field that a kind of entity
gains needs one only if it becomes a column, or if old documents must not have its default: what a
stored document lacks is filled in whenever it is read (`protocol.Complete`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from scopegate.store.protocol import StoreMisconfigured


def check_revisions(current: Iterable[str]) -> None:
    """Raises StoreMisconfigured when a newer version has written a database of these revisions."""
    known = _known_revisions()
    for revision in current:
        if revision not in known:
            raise StoreMisconfigured(
                f"was written by a newer version of Scopegate (schema {revision}, this version "
                f"knows up to {max(known)}); start that version, or restore an older backup"
            )


def upgrade(connection: sa.Connection) -> None:
    """Run what is missing, inside the caller's transaction: all of it or nothing.

    The transaction must hold the write lock, so that of two processes that start together only one
    migrates. Raises StoreMisconfigured when a newer version has written this database.
    """
    current = MigrationContext.configure(connection).get_current_heads()
    check_revisions(current)
    if current != (max(_known_revisions()),):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@cache
def _known_revisions() -> frozenset[str]:
    """Their names are numbers of one length: the largest is the newest."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "scopegate.store:migrations")
    return config
