"""Consumers: whom the operator knows by name. Source: contract admin-api.md §2."""

from __future__ import annotations

from scopegate.entities.common_fields import created_at, identifier, tags, updated_at
from scopegate.entities.entity_checks import AtLeastOneOf
from scopegate.entities.fields import string
from scopegate.entities.rules import Must, control_character_fault
from scopegate.entities.schema import EntitySchema

NAME_LIMIT_BYTES = 4096


def _name_fault(name: str) -> str | None:
    """Names travel to upstreams as header values: they must fit, and hide no line break."""
    if len(name.encode()) > NAME_LIMIT_BYTES:
        return f"longer than {NAME_LIMIT_BYTES} bytes"
    return control_character_fault(name)


_header_safe = (Must(_name_fault),)

CONSUMERS = EntitySchema(
    kind="consumers",
    endpoint_key="username",
    fields={
        "id": identifier(),
        "created_at": created_at(),
        "updated_at": updated_at(),
        "username": string(
            description="A name that no other consumer has.", unique=True, rules=_header_safe
        ),
        "custom_id": string(
            description="The id that this consumer has elsewhere.",
            unique=True,
            rules=_header_safe,
        ),
        "tags": tags(),
    },
    checks=(AtLeastOneOf(("custom_id", "username")),),
)
