"""Checks of values and documents against their fields, with Kong's texts.

Source: contract admin-api.md §2.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from scopegate.entities.entity_checks import EntityCheck
from scopegate.entities.fields import Field
from scopegate.entities.filling import default_of
from scopegate.entities.identifiers import is_uuid
from scopegate.entities.violations import (
    ENTITY,
    NOT_SUPPORTED,
    REQUIRED,
    UNKNOWN,
    Errors,
    add_entity_error,
)

WHOLE_LIMIT = 2**53
"""Beyond it a JSON number is no longer the same number for every reader."""

Fault = str | Errors | None

TYPE_FAULTS = {
    "string": "expected a string",
    "number": "expected a number",
    "integer": "expected an integer",
    "boolean": "expected a boolean",
    "array": "expected an array",
    "set": "expected a set",
    "map": "expected a map",
    "record": "expected a record",
}


def check_document(
    fields: Mapping[str, Field],
    checks: tuple[EntityCheck, ...],
    document: Mapping[str, Any],
    *,
    updating: bool = False,
    locked: bool = False,
) -> Errors:
    """All that is wrong with a whole document, by field; empty when it is good.

    locked   every field must have its default: what they belong to does not work yet
    """
    errors: Errors = {}
    for name, value in document.items():
        if name == ENTITY:  # where the errors of the whole stand, so its own stands there too
            add_entity_error(errors, f"'{ENTITY}': {UNKNOWN}")
            continue
        field = fields.get(name)
        fault: Fault = UNKNOWN if field is None else check_value(field, value, locked=locked)
        if fault is not None:
            errors[name] = fault
    for check in checks:
        check.check(document, errors, updating=updating)
    return errors


def check_value(field: Field, value: Any, *, locked: bool = False) -> Fault:
    """What is wrong with this value of this field: a text, errors by part, or None."""
    if value is None:
        return REQUIRED if field.required and not field.must_be_null else None
    if field.must_be_null is not None:
        return field.must_be_null
    fault = _type_fault(field, value)
    if fault is not None:
        return fault
    if not field.supported or locked:
        return _lock_fault(field, value)
    if field.referenceable and is_vault_reference(value):
        return f"vault references are {NOT_SUPPORTED}"
    parts = _part_faults(field, value)
    if parts is not None:
        return parts
    return _rule_fault(field, value)


def is_vault_reference(value: Any) -> bool:
    """Whether this text stands for a secret kept elsewhere."""
    return isinstance(value, str) and value.startswith("{vault://") and value.endswith("}")


def _type_fault(field: Field, value: Any) -> Fault:
    match field.type:
        case "string":
            good = isinstance(value, str)
        case "number":
            good = _is_number(value)
        case "integer":
            good = _is_number(value) and value == int(value)
        case "boolean":
            good = isinstance(value, bool)
        case "array" | "set":
            good = isinstance(value, list)
        case "map" | "record":
            good = isinstance(value, dict)
        case "foreign":
            return _foreign_fault(value)
    return None if good else TYPE_FAULTS[field.type]


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= WHOLE_LIMIT


def _foreign_fault(value: Any) -> Fault:
    if not isinstance(value, dict) or "id" not in value:
        return {"id": "missing primary key"}
    if value["id"] is None:
        return {"id": REQUIRED}
    if not isinstance(value["id"], str):
        return {"id": TYPE_FAULTS["string"]}
    return None if is_uuid(value["id"]) else {"id": "expected a valid UUID"}


def _lock_fault(field: Field, value: Any) -> Fault:
    default = default_of(field)
    if value == default:
        return None
    if field.type == "record" and default is not None:
        return check_document(field.fields, (), value, locked=True) or None
    keep = "unset" if default is None else f"at its default ({_json(default)})"
    return f"{NOT_SUPPORTED}; leave it {keep}"


def _part_faults(field: Field, value: Any) -> Fault:
    if field.type in ("array", "set"):
        assert field.elements is not None
        return _member_faults(field.elements, value)
    if field.type == "map":
        return _map_fault(field, value)
    if field.type == "record" and not field.abstract:
        return check_document(field.fields, field.checks, value) or None
    return None


def _member_faults(elements: Field, members: list[Any]) -> Fault:
    errors: Errors = {}
    for number, member in enumerate(members, start=1):
        fault: Fault = REQUIRED if member is None else check_value(elements, member)
        if fault is not None:
            errors[number] = fault
    return errors or None


def _map_fault(field: Field, value: Mapping[Any, Any]) -> Fault:
    assert field.keys is not None and field.values is not None
    for key, member in value.items():
        fault = check_value(field.keys, key)
        if fault is None:
            fault = REQUIRED if member is None else check_value(field.values, member)
        if fault is not None:
            return fault
    return None


def _rule_fault(field: Field, value: Any) -> str | None:
    if field.one_of and value not in field.one_of:
        return f"expected one of: {', '.join(str(choice) for choice in field.one_of)}"
    if field.timestamp and value <= 0:
        return "expected a valid timestamp"
    if field.uuid and not is_uuid(value):
        return "expected a valid UUID"
    if field.between is not None and not field.between[0] <= value <= field.between[1]:
        return f"value should be between {field.between[0]} and {field.between[1]}"
    len_min = 1 if field.type == "string" and field.len_min is None else field.len_min
    if len_min is not None and len(value) < len_min:
        return f"length must be at least {len_min}"
    for rule in field.rules:
        fault = rule.fault(value)
        if fault is not None:
            return fault
    if field.supported_values is not None and value not in field.supported_values:
        works = ", ".join(_text(choice) for choice in field.supported_values)
        return f"'{_text(value)}' is {NOT_SUPPORTED} (supported: {works})"
    return None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)
