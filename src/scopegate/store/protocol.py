"""What the Admin API and the control process ask of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from scopegate.entities.snapshot import Snapshot

Document = dict[str, Any]
Kind = str  # "services", "routes", "consumers", "plugins"

Complete = Callable[[Kind, Document], Document]
"""What every document passes through when it is read, so that fields which its writer did not know
are there."""


def as_stored(_kind: Kind, document: Document) -> Document:
    """A `Complete` for documents that are whole."""
    return document


class StoreUnavailable(Exception):
    """The database does not answer: 503 at the Admin API; nothing was written."""


class StoreMisconfigured(StoreUnavailable):
    """The store cannot be opened until somebody changes something; the text says what."""


@dataclass(eq=False)
class UniqueViolation(Exception):
    """Another entity already has `key` (field → value). Kong's code 5."""

    kind: Kind
    key: Mapping[str, Any]


@dataclass(eq=False)
class PrimaryKeyViolation(Exception):
    """An entity with this id exists. Kong's code 3."""

    kind: Kind
    id: str


@dataclass(eq=False)
class ForeignKeyViolation(Exception):
    """`field` names an entity of `referenced` that does not exist. Kong's code 4."""

    kind: Kind
    field: str
    referenced: Kind
    id: str


@dataclass(eq=False)
class StillReferenced(Exception):
    """An entity of `by` refers to this one, which therefore cannot go. Kong's code 4."""

    kind: Kind
    by: Kind


@dataclass(frozen=True, slots=True)
class Page:
    """One page, ordered by id. `next_id` is the last id of this page when more follow."""

    documents: Sequence[Document]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Tags that must `all` be there, or of which one must be (`all=False`)."""

    tags: tuple[str, ...]
    all: bool = True


class Transaction(Protocol):
    """Reads and writes that happen together or not at all; writers run one after the other."""

    async def get(self, kind: Kind, key: Mapping[str, Any]) -> Document | None:
        """The entity whose unique field has that value (`{"id": …}`, `{"name": …}`), or None.

        Raises ValueError for a field that does not identify entities of this kind.
        """
        ...

    async def page(
        self,
        kind: Kind,
        *,
        size: int,
        after: str | None = None,
        tags: TagFilter | None = None,
        where: Mapping[str, Any] | None = None,
    ) -> Page:
        """Entities by id after `after`. `where`: foreign keys (`{"service": id}`) or fields.

        `where` knows ids, unique fields, references (None: not set) and a plugin's name; raises
        ValueError for any other field.
        """
        ...

    async def insert(self, kind: Kind, document: Document) -> None:
        """Raises PrimaryKeyViolation, UniqueViolation, ForeignKeyViolation."""
        ...

    async def replace(self, kind: Kind, document: Document) -> None:
        """Overwrite the entity of this id. Raises as `insert` does; LookupError if there is none.

        A plugin's `config.session_secret` that is not the same any more stays in the snapshot's
        `former_session_secrets`, for 31 days or as long as the plugin lives.
        """
        ...

    async def delete(self, kind: Kind, id_: str) -> bool:
        """Delete with what hangs on it (Kong's cascades); False when it was not there.

        Raises StillReferenced where Kong restricts.
        """
        ...


class Store(Protocol):
    """Entities, and a few things that the cluster must remember beside them."""

    def read(self) -> AbstractAsyncContextManager[Transaction]:
        """A consistent read."""
        ...

    def write(self) -> AbstractAsyncContextManager[Transaction]:
        """A write: commits at the end of the block, rolls back on an exception.

        Once the block is left without an exception the write survives a crash. What a failed
        statement left behind is never committed. Not to be nested: RuntimeError.
        """
        ...

    async def snapshot(self) -> Snapshot:
        """All entities as of the last committed change; the same object while nothing changes."""
        ...

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every commit that changed something, of this process or another.

        Facts count: they move `Snapshot.version` on too.
        """
        ...

    async def facts(self) -> Mapping[str, Mapping[str, Any]]:
        """What the outside told us, by key; survives restarts."""
        ...

    async def put_fact(self, key: str, value: Mapping[str, Any] | None) -> None:
        """Remember a fact, or forget it (None). Not a change when it is as before."""
        ...

    async def tags(self) -> AsyncIterator[tuple[str, Kind, str]]:
        """(tag, kind, id) of every tagged entity."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Take no more transactions, wait for those under way, let go of the database."""
        ...
