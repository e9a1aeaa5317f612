"""Configurations as the Admin API would store, show or refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.violations import SchemaViolation
from scopegate.plugins.registry import PLUGIN_TYPES

SCHEMA = entity_schemas(PLUGIN_TYPES)["plugins"]
MAKINGS = Makings(1000, lambda: "00000000-0000-4000-8000-000000000001", lambda: "r" * 32)
ISSUER = "https://idp.example/realms/kong"


def configured(**config: Any) -> dict[str, Any]:
    """The stored config. Raises SchemaViolation."""
    sent = {"name": "openid-connect", "config": {"issuer": ISSUER, **config}}
    document = SCHEMA.draft_new(sent, MAKINGS)
    SCHEMA.check(document)
    stored: dict[str, Any] = document["config"]
    return stored


def shown(**config: Any) -> dict[str, Any]:
    """The config as GET shows it."""
    document = {"name": "openid-connect", "config": configured(**config)}
    answered: dict[str, Any] = SCHEMA.show(document)["config"]
    return answered


def fault(**config: Any) -> str:
    """The one thing that is wrong, without `config.`."""
    with pytest.raises(SchemaViolation) as caught:
        configured(**config)
    message = caught.value.message
    assert message.startswith("schema violation (config."), message
    return message[len("schema violation (config.") : -1]
