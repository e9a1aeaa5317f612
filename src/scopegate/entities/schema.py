"""A kind of entity: its fields, and what POST, PATCH and PUT make of what a client sends.

Pure: nothing here reads a clock, makes an id or asks a store; `Makings` bring what is made, and
the caller resolves foreign keys between drafting and checking. Source: contract admin-api.md §2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from scopegate.entities.checking import check_document, check_value
from scopegate.entities.description import describe_schema
from scopegate.entities.entity_checks import EntityCheck
from scopegate.entities.fields import Field, Shorthand
from scopegate.entities.filling import Makings, complete, fill, show
from scopegate.entities.inference import infer, infer_value
from scopegate.entities.merging import merge
from scopegate.entities.shorthands import expand_shorthands
from scopegate.entities.violations import SchemaViolation

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Variant:
    """What differs for some documents of a kind: routes of one protocol, plugins of one name."""

    fields: Mapping[str, Field]
    checks: tuple[EntityCheck, ...] = ()


def _no_variant(_document: Mapping[str, Any]) -> Variant:
    return Variant({})


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitySchema:
    """A kind of entity.

    kind          its name in paths and in the store, plural ("services")
    endpoint_key  the unique field that may stand in a path in place of the id
    variant       which fields differ for this document. Raises SchemaViolation when that cannot
                  be told, and then nothing else is checked
    """

    kind: str
    endpoint_key: str
    fields: Mapping[str, Field]
    checks: tuple[EntityCheck, ...] = ()
    shorthands: Mapping[str, Shorthand] = field(default_factory=lambda: MappingProxyType({}))
    variant: Callable[[Mapping[str, Any]], Variant] = _no_variant

    def draft_new(self, sent: Mapping[str, Any], makings: Makings) -> Document:
        """A whole document from what POST or PUT sent, not checked yet.

        Raises SchemaViolation for shorthands and for what has no variant.
        """
        fields = self._fields_of(sent)
        return fill(fields, expand_shorthands(fields, self.shorthands, sent), makings)

    def draft_changed(self, stored: Document, sent: Mapping[str, Any], now_s: int) -> Document:
        """The stored document with what PATCH sent laid over it, not checked yet.

        Raises SchemaViolation for shorthands and for what has no variant.
        """
        fields = self._fields_of({**stored, **sent})
        merged = merge(fields, expand_shorthands(fields, self.shorthands, sent), stored)
        return {**fill(fields, merged, None), "updated_at": now_s}

    def complete(self, stored: Mapping[str, Any]) -> Document:
        """A stored document with every field, though another version may have written it."""
        return complete(self._known_fields(stored), stored)

    def check(self, document: Document, *, updating: bool = False) -> None:
        """Raises SchemaViolation with all that is wrong. `updating`: by a PATCH."""
        variant = self.variant(document)
        fields, checks = {**self.fields, **variant.fields}, (*self.checks, *variant.checks)
        errors = check_document(fields, checks, document, updating=updating)
        if errors:
            raise SchemaViolation(errors)

    def check_key(self, name: str, value: Any) -> Any:
        """What is wrong with a value by which an entity is looked for, or None."""
        return check_value(self.fields[name], value)

    def infer(self, sent: Mapping[str, Any], stored: Document | None = None) -> Document:
        """Form arguments with the types of their fields.

        stored   what they will be laid over: it may tell the variant. An unknown variant's own
                 fields stay text
        """
        known = {**(stored or {}), **infer(self.fields, self.shorthands, sent)}
        return infer(self._known_fields(known), self.shorthands, sent)

    def infer_key(self, value: str) -> Any:
        """A path segment with the type of the endpoint key."""
        return infer_value(self.fields[self.endpoint_key], value)

    def show(self, document: Mapping[str, Any]) -> Document:
        """A whole document as the Admin API answers it."""
        return show(self._known_fields(document), self.shorthands, document)

    def describe(self) -> dict[str, Any]:
        """The schema in Kong's shape."""
        return describe_schema(self.fields, self.checks, self.shorthands)

    def foreign_fields(self) -> dict[str, Field]:
        """The fields that refer to other entities."""
        return {name: field for name, field in self.fields.items() if field.type == "foreign"}

    def unique_fields(self) -> tuple[str, ...]:
        """The fields by which one entity can be found, besides its id."""
        return tuple(name for name, field in self.fields.items() if field.unique)

    def _known_fields(self, document: Mapping[str, Any]) -> Mapping[str, Field]:
        """As `_fields_of`; without a variant where none is known (a plugin that is not here)."""
        try:
            return self._fields_of(document)
        except SchemaViolation:
            return self.fields

    def _fields_of(self, document: Mapping[str, Any]) -> Mapping[str, Field]:
        # A variant's field stands where the field that it replaces stands.
        return {**self.fields, **self.variant(document).fields}
