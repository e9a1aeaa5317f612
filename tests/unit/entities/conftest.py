"""Schemas as the gateway has them, and documents made from what a client sends."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.schema import Document
from scopegate.entities.violations import SchemaViolation
from scopegate.plugins.registry import PLUGIN_TYPES

SCHEMAS = entity_schemas(PLUGIN_TYPES)
MAKINGS = Makings(1000, lambda: "00000000-0000-4000-8000-000000000001", lambda: "r" * 32)


def post(kind: str, sent: dict[str, Any]) -> Document:
    """The checked document. Raises SchemaViolation."""
    document = SCHEMAS[kind].draft_new(sent, MAKINGS)
    SCHEMAS[kind].check(document)
    return document


def refusal(kind: str, sent: dict[str, Any]) -> str:
    """What is said against it."""
    with pytest.raises(SchemaViolation) as caught:
        post(kind, sent)
    return caught.value.message


def fault(kind: str, sent: dict[str, Any]) -> str:
    """The one thing that is said against it."""
    message = refusal(kind, sent)
    assert message.startswith("schema violation (") and message.endswith(")"), message
    return message[len("schema violation (") : -1]
