"""Types for what came as text: a form, a multipart body or a query string, never JSON.

What cannot be converted stays text, so that the checks can refuse it by name.
Source: contract admin-api.md §2 (request parsing).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scopegate.entities.fields import Field, Shorthand

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def infer(
    fields: Mapping[str, Field], shorthands: Mapping[str, Shorthand], sent: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments (texts, lists and dicts of texts) with the types that their fields have."""
    inferred: dict[str, Any] = {}
    for name, value in sent.items():
        field = fields.get(name)
        if field is None and name in shorthands:
            field = shorthands[name].field
        inferred[name] = value if field is None else infer_value(field, value)
    return inferred


def infer_value(field: Field, value: Any) -> Any:
    """The empty text is null; one value for a list is a list of one; texts never split."""
    if value == "" or value is None:
        return None
    match field.type:
        case "integer" | "number":
            return _number(value)
        case "boolean":
            return {"true": True, "false": False}.get(value, value) if _is_text(value) else value
        case "array" | "set" if field.elements is not None and not isinstance(value, dict):
            members = value if isinstance(value, list) else [value]
            return [infer_value(field.elements, member) for member in members]
        case "map" if field.values is not None and isinstance(value, dict):
            return {key: infer_value(field.values, member) for key, member in value.items()}
        case "record" if isinstance(value, dict) and not field.abstract:
            return infer(field.fields, field.shorthands, value)
        case "foreign" if isinstance(value, dict):
            return {key: None if member == "" else member for key, member in value.items()}
    return value


def _number(value: Any) -> Any:
    if not _is_text(value) or not _NUMBER.fullmatch(value.strip()):
        return value
    number = float(value)
    if number.is_integer():
        # int() of the text keeps every digit of a large whole number.
        return int(value) if value.strip().lstrip("+-").isdigit() else int(number)
    return number


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
