"""Schemas as Kong shows them: a list of one-key objects. Source: contract admin-api.md §1, §7."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.entities.entity_checks import EntityCheck
from scopegate.entities.fields import Field, Shorthand

_FLAGS = (
    "required",
    "auto",
    "unique",
    "uuid",
    "timestamp",
    "abstract",
    "referenceable",
    "encrypted",
)
_ATTRIBUTES = (
    "description",
    "reference",
    "on_delete",
    "len_min",
    "default",
    "one_of",
    "between",
    "supported_values",
)


def describe_schema(
    fields: Mapping[str, Field],
    checks: Iterable[EntityCheck],
    shorthands: Mapping[str, Shorthand] | None = None,
) -> dict[str, Any]:
    """`{"entity_checks": [...], "fields": [{"name": {...}}, ...]}`."""
    described: dict[str, Any] = {
        "entity_checks": [check.describe() for check in checks],
        "fields": _describe_fields(fields),
    }
    if shorthands:
        described["shorthand_fields"] = _describe_shorthands(shorthands)
    return described


def describe_field(field: Field) -> dict[str, Any]:
    """One field; attributes that say nothing are left out.

    `supported` and `supported_values` are our own: what is accepted today.
    """
    described: dict[str, Any] = {"type": field.type}
    described.update({name: True for name in _FLAGS if getattr(field, name)})
    for name in _ATTRIBUTES:
        if getattr(field, name) not in (None, "", ()):
            value = getattr(field, name)
            described[name] = list(value) if isinstance(value, tuple) else value
    if field.must_be_null is not None:
        described["eq"] = None
    for rule in field.rules:
        described.update(rule.describe())
    described.update(_describe_parts(field))
    if not field.supported:
        described["supported"] = False
    return described


def _describe_parts(field: Field) -> dict[str, Any]:
    parts = {"elements": field.elements, "keys": field.keys, "values": field.values}
    described: dict[str, Any] = {
        name: describe_field(part) for name, part in parts.items() if part is not None
    }
    if field.type == "record":
        described["fields"] = _describe_fields(field.fields)
        if field.checks:
            described["entity_checks"] = [check.describe() for check in field.checks]
        if field.shorthands:
            described["shorthand_fields"] = _describe_shorthands(field.shorthands)
    return described


def _describe_fields(fields: Mapping[str, Field]) -> list[dict[str, Any]]:
    return [{name: describe_field(field)} for name, field in fields.items()]


def _describe_shorthands(shorthands: Mapping[str, Shorthand]) -> list[dict[str, Any]]:
    return [{name: _describe_shorthand(shorthand)} for name, shorthand in shorthands.items()]


def _describe_shorthand(shorthand: Shorthand) -> dict[str, Any]:
    described = describe_field(shorthand.field)
    if shorthand.replaced_with:
        described["deprecation"] = {
            "message": shorthand.message,
            "replaced_with": [{"path": list(shorthand.replaced_with)}],
        }
    return described
