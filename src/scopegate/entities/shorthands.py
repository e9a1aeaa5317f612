"""Other names under which values may be sent, replaced by what they stand for.

Source: contract admin-api.md §2 (`url`), §7 (`shorthand_fields`); openid-connect.md §10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scopegate.entities.checking import check_value
from scopegate.entities.fields import Field, Shorthand
from scopegate.entities.violations import Errors, SchemaViolation


def expand_shorthands(
    fields: Mapping[str, Field], shorthands: Mapping[str, Shorthand], given: Mapping[str, Any]
) -> dict[str, Any]:
    """What was sent, without shorthands, in records too.

    Raises SchemaViolation when a shorthand's value is wrong or contradicts the field itself.
    """
    errors: Errors = {}
    expanded = _expand(fields, shorthands, given, errors)
    if errors:
        raise SchemaViolation(errors)
    return expanded


def renamed(field: Field, *path: str, shown: bool = False, message: str = "") -> Shorthand:
    """A deprecated name of the field at `path`."""

    def expand(value: Any) -> Mapping[str, Any]:
        for name in reversed(path[1:]):
            value = {name: value}
        return {path[0]: value}

    return Shorthand(
        field=field,
        expand=expand,
        replaced_with=path,
        collapse=(lambda document: at_path(document, path)) if shown else None,
        message=message,
    )


def at_path(document: Any, path: Sequence[str]) -> Any:
    """What stands at `path` in a record; None where a step is missing."""
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def _expand(
    fields: Mapping[str, Field],
    shorthands: Mapping[str, Shorthand],
    given: Mapping[str, Any],
    errors: Errors,
) -> dict[str, Any]:
    expanded: dict[str, Any] = {}
    for name, value in given.items():
        field = fields.get(name)
        if field is not None and field.type == "record" and isinstance(value, dict):
            inner: Errors = {}
            expanded[name] = _expand(field.fields, field.shorthands, value, inner)
            if inner:
                errors[name] = inner
        elif field is not None or name not in shorthands:
            expanded[name] = value
    for name, shorthand in shorthands.items():
        if name in given:
            fault = _apply(name, shorthand, given[name], expanded)
            if fault is not None:
                errors[name] = fault
    return expanded


def _apply(
    name: str, shorthand: Shorthand, value: Any, expanded: dict[str, Any]
) -> str | Errors | None:
    fault = check_value(shorthand.field, value)
    if fault is not None:
        return fault
    try:
        parts = shorthand.expand(value)
    except ValueError as error:
        return str(error)
    current = at_path(expanded, shorthand.replaced_with) if shorthand.replaced_with else None
    if value is not None and current not in (None, at_path(parts, shorthand.replaced_with)):
        # The values stay out of the text: one of them may be a password.
        return (
            "both deprecated and new field are used but their values mismatch: "
            f"{name} and {'.'.join(shorthand.replaced_with)}"
        )
    for target, part in parts.items():
        expanded[target] = _prevailing(shorthand, part, expanded.get(target))
    return None


def _prevailing(shorthand: Shorthand, part: Any, current: Any) -> Any:
    """A deprecated name gives way to the field that replaced it; a lasting one (`url`) wins."""
    if not shorthand.replaced_with or current is None:
        return part
    if isinstance(part, dict) and isinstance(current, dict):
        return {**part, **{name: value for name, value in current.items() if value is not None}}
    return current
