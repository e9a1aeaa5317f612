"""What POST, PATCH, PUT and DELETE do to the store, each inside one transaction.

Source: contract admin-api.md §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.admin.body import Sent
from scopegate.admin.errors import bad_key, missing_entity, unresolved_foreign_keys
from scopegate.admin.hooks import CHECKS
from scopegate.entities.filling import Makings
from scopegate.entities.identifiers import is_uuid
from scopegate.entities.schema import EntitySchema
from scopegate.entities.violations import Errors, SchemaViolation
from scopegate.store.protocol import Document, Transaction

Key = dict[str, Any]


def key_of(schema: EntitySchema, segment: str) -> Key:
    """What a path segment names: an id, or a value of the endpoint key. Raises AdminError (400)."""
    if is_uuid(segment):
        return {"id": segment.lower()}
    value = schema.infer_key(segment)
    fault = schema.check_key(schema.endpoint_key, value)
    if fault is not None:
        raise bad_key(schema.endpoint_key, fault)
    return {schema.endpoint_key: value}


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes of one request."""

    schemas: Mapping[str, EntitySchema]
    makings: Makings

    async def create(self, tx: Transaction, kind: str, sent: Sent, fixed: Document) -> Document:
        """POST. `fixed`: fields that the path decides, whatever the body says.

        Raises SchemaViolation, AdminError and what the store raises.
        """
        schema = self.schemas[kind]
        draft = schema.draft_new({**_typed(schema, sent), **fixed}, self.makings)
        await self._check(tx, schema, draft)
        await tx.insert(kind, draft)
        return draft

    async def change(
        self, tx: Transaction, kind: str, key: Key, sent: Sent, fixed: Document | None = None
    ) -> Document:
        """PATCH. `fixed` holds only where the body says nothing.

        Raises AdminError (404) when the entity is not there, and as `create` does.
        """
        schema = self.schemas[kind]
        stored = await tx.get(kind, key)
        if stored is None:
            raise missing_entity(key)
        arguments = {**(fixed or {}), **_typed(schema, sent, stored)}
        _must_agree(arguments, {"id": stored["id"]})
        for name in ("id", "created_at"):
            arguments[name] = arguments.get(name) or stored[name]
        draft = schema.draft_changed(stored, arguments, self.makings.now_s)
        await self._check(tx, schema, draft, updating=True)
        await tx.replace(kind, draft)
        return draft

    async def put(
        self, tx: Transaction, kind: str, key: Key, sent: Sent, fixed: Document | None = None
    ) -> Document:
        """PUT: insert, or replace whole; what is left out goes back to its default.

        Raises as `create` does.
        """
        schema = self.schemas[kind]
        stored = await tx.get(kind, key)
        arguments = {**_typed(schema, sent), **(fixed or {})}
        decided = {**key, **({"id": stored["id"]} if stored is not None else {})}
        _must_agree(arguments, decided)
        arguments.update(decided)
        if stored is not None and arguments.get("created_at") is None:
            arguments["created_at"] = stored["created_at"]
        draft = schema.draft_new(arguments, self.makings)
        await self._check(tx, schema, draft)
        if stored is None:
            await tx.insert(kind, draft)
        else:
            await tx.replace(kind, draft)
        return draft

    async def _check(
        self, tx: Transaction, schema: EntitySchema, draft: Document, *, updating: bool = False
    ) -> None:
        await self._resolve_foreign_keys(tx, schema, draft)
        schema.check(draft, updating=updating)
        if schema.kind in CHECKS:
            await CHECKS[schema.kind](tx, draft)

    async def _resolve_foreign_keys(
        self, tx: Transaction, schema: EntitySchema, draft: Document
    ) -> None:
        """`{"name": x}` becomes `{"id": …}` where an entity of that name exists."""
        unresolved: dict[str, dict[str, tuple[str, Any]]] = {}
        for field, foreign in schema.foreign_fields().items():
            value, kind = draft.get(field), foreign.reference
            if not isinstance(value, dict) or is_uuid(value.get("id")) or kind is None:
                continue
            parent = self.schemas.get(kind)
            for name in parent.unique_fields() if parent is not None else ():
                wanted = value.get(name)
                if wanted is None or parent is None or parent.check_key(name, wanted) is not None:
                    continue
                found = await tx.get(kind, {name: wanted})
                if found is not None:
                    draft[field] = {"id": found["id"]}
                    unresolved.pop(field, None)
                    break
                unresolved.setdefault(field, {})[name] = (kind, wanted)
        if unresolved:
            raise unresolved_foreign_keys(unresolved)


def _typed(schema: EntitySchema, sent: Sent, stored: Document | None = None) -> Document:
    return dict(sent.arguments) if sent.typed else schema.infer(sent.arguments, stored)


def _must_agree(arguments: Document, decided: Document) -> None:
    """What the path (or the entity it names) decides, the body must not say otherwise."""
    errors: Errors = {
        name: f"value must be {value}"
        for name, value in decided.items()
        if arguments.get(name) is not None and _plain(arguments[name]) != value
    }
    if errors:
        raise SchemaViolation(errors)


def _plain(value: Any) -> Any:
    return value.lower() if is_uuid(value) else value
