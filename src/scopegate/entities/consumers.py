"""Consumers: whom the operator knows by name. Source: contract admin-api.md §2."""

from __future__ import annotations

from scopegate.entities.common_fields import created_at, identifier, tags, updated_at
from scopegate.entities.entity_checks import AtLeastOneOf
from scopegate.entities.fields import string
from scopegate.entities.rules import Must, control_character_fault
from scopegate.entities.schema import EntitySchema

# Both travel to upstreams as header values, so no line break may hide in them.
_header_safe = (Must(control_character_fault),)

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
