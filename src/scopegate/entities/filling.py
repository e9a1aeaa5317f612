"""From what a client sent to a whole document: defaults, and what the gateway makes itself.

Source: contract admin-api.md §2 (PUT, defaults), §1 (explicit null for `auto` fields).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.entities.fields import Field, Shorthand
from scopegate.entities.identifiers import is_uuid


@dataclass(frozen=True, slots=True)
class Makings:
    """Where a new document gets what nobody sent.

    now_s           unix seconds
    new_uuid        a fresh UUID in lower case
    random_string   32 random characters
    """

    now_s: int
    new_uuid: Callable[[], str]
    random_string: Callable[[], str]


def fill(
    fields: Mapping[str, Field], given: Mapping[str, Any], makings: Makings | None
) -> dict[str, Any]:
    """Every field of `fields` in their order, then whatever else was sent (checks refuse that).

    makings   None: nothing is made, absent `auto` fields become null
    """
    document: dict[str, Any] = {}
    for name, field in fields.items():
        sent = name in given
        value = _tidy(field, given[name], makings) if sent else None
        if field.auto and makings is not None:
            document[name] = _made(name, field, sent, value, makings)
        else:
            document[name] = value if sent else default_of(field, makings)
    document.update({name: value for name, value in given.items() if name not in fields})
    return document


def default_of(field: Field, makings: Makings | None = None) -> Any:
    """What an absent field becomes: its default, a record of defaults, or null."""
    if field.default is not None:
        return copy.deepcopy(field.default)
    if field.type == "record" and field.required and not field.abstract:
        return fill(field.fields, {}, makings)
    return None


def complete(fields: Mapping[str, Field], stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored document with every field, in their order, though another version wrote it.

    What an older version did not know gets its default (null where it would be made); what only a
    newer one knows stays behind the others, and is refused at the next write.
    """
    completed = {
        name: _completed(field, stored[name]) if name in stored else default_of(field)
        for name, field in fields.items()
    }
    completed.update({name: value for name, value in stored.items() if name not in fields})
    return completed


def show(
    fields: Mapping[str, Field], shorthands: Mapping[str, Shorthand], document: Mapping[str, Any]
) -> dict[str, Any]:
    """The document as the Admin API shows it: deprecated names beside the new ones."""
    shown: dict[str, Any] = {}
    for name, field in fields.items():
        value = document.get(name)
        if field.type == "record" and isinstance(value, dict) and not field.abstract:
            value = show(field.fields, field.shorthands, value)
        shown[name] = value
    for name, shorthand in shorthands.items():
        if shorthand.collapse is not None:
            shown[name] = shorthand.collapse(document)
    return shown


def _completed(field: Field, value: Any) -> Any:
    match field.type:
        case "record" if isinstance(value, dict) and not field.abstract:
            return complete(field.fields, value)
        case "array" | "set" if isinstance(value, list) and field.elements is not None:
            return [_completed(field.elements, member) for member in value]
        case "map" if isinstance(value, dict) and field.values is not None:
            return {key: _completed(field.values, member) for key, member in value.items()}
    return value


def _made(name: str, field: Field, sent: bool, value: Any, makings: Makings) -> Any:
    if name == "updated_at":
        return makings.now_s
    if field.timestamp:
        return makings.now_s if value is None else value
    if field.uuid:
        return makings.new_uuid() if value is None else value
    # decK sends explicit null for a secret that it leaves to the gateway; that null is kept.
    return value if sent else makings.random_string()


def _tidy(field: Field, value: Any, makings: Makings | None) -> Any:
    """The value in its one form: whole floats as integers, sets without repeats, records whole."""
    match field.type:
        case "record" if isinstance(value, dict) and not field.abstract:
            return fill(field.fields, value, makings)
        case "array" | "set" if isinstance(value, list) and field.elements is not None:
            members = [_tidy(field.elements, member, makings) for member in value]
            return _without_repeats(members) if field.type == "set" else members
        case "map" if isinstance(value, dict) and field.values is not None:
            return {key: _tidy(field.values, member, makings) for key, member in value.items()}
        case "foreign" if isinstance(value, dict) and is_uuid(value.get("id")):
            return {"id": value["id"].lower()}
        case "number" | "integer" if isinstance(value, float) and value.is_integer():
            return int(value)
        case "string" if field.uuid and isinstance(value, str):
            return value.lower()
    return value


def _without_repeats(members: list[Any]) -> list[Any]:
    try:
        return list(dict.fromkeys(members))
    except TypeError:  # a member of the wrong type, which the checks refuse
        return members
