"""PATCH: what was sent laid over what is stored. Source: contract admin-api.md §2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.entities.fields import Field


def merge(
    fields: Mapping[str, Field], sent: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Any]:
    """The stored document with what was sent in its place.

    Records merge field by field, however deep; lists, sets and maps are replaced whole; null
    clears.
    """
    merged = {**stored, **sent}
    for name, value in sent.items():
        field = fields.get(name)
        if field is None or field.type != "record" or field.abstract:
            continue
        below = stored.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[name] = merge(field.fields, value, below)
    return merged
