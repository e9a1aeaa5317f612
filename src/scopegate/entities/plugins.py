"""Plugins: what happens to requests on their way. Source: contract admin-api.md §2, §4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.entities.common_fields import (
    HTTP_PROTOCOLS,
    created_at,
    identifier,
    tags,
    unique_name,
    updated_at,
)
from scopegate.entities.description import describe_schema
from scopegate.entities.fields import (
    VALUE_MUST_BE_NULL,
    Field,
    array,
    boolean,
    foreign,
    map_of,
    record,
    set_of,
    string,
)
from scopegate.entities.schema import EntitySchema, Variant
from scopegate.entities.violations import REQUIRED, SchemaViolation

SCOPES = ("service", "route", "consumer")


@dataclass(frozen=True, slots=True)
class PluginType:
    """A kind of plugin that is built.

    priority  larger runs earlier
    version   of its configuration, as Kong counts
    config    the record of its configuration
    scopes    to which of `SCOPES` an instance may belong; every plugin may be global
    """

    name: str
    priority: int
    version: str
    config: Field
    scopes: frozenset[str]

    def fields(self) -> dict[str, Field]:
        """The fields of the plugin entity that this type narrows."""
        refused = {
            scope: foreign(_FIELDS[scope].reference or "", must_be_null=VALUE_MUST_BE_NULL)
            for scope in SCOPES
            if scope not in self.scopes
        }
        return {**refused, "protocols": _FIELDS["protocols"], "config": self.config}

    def describe(self) -> dict[str, Any]:
        """As `/schemas/plugins/{name}` shows it."""
        return describe_schema(self.fields(), ())


def _scope(kind: str, description: str) -> Field:
    return foreign(kind, description=description, on_delete="cascade")


def _any_list(description: str) -> Field:
    return array(record({}), description=description, supported=False)


_FIELDS: dict[str, Field] = {
    "id": identifier(),
    "name": string(description="Which plugin.", required=True),
    "instance_name": unique_name("A name for this instance."),
    "created_at": created_at(),
    "updated_at": updated_at(),
    "route": _scope("routes", "Only for requests of this route."),
    "service": _scope("services", "Only for requests of this service."),
    "consumer": _scope("consumers", "Only for requests of this consumer."),
    "consumer_group": foreign(
        "consumer_groups", description="Only for consumers of this group.", supported=False
    ),
    "config": record({}, description="How it is configured.", required=True, abstract=True),
    "protocols": set_of(
        string(description="A protocol.", one_of=HTTP_PROTOCOLS),
        description="For which protocols.",
        required=True,
        default=list(HTTP_PROTOCOLS),
        len_min=1,  # a plugin for no protocol would protect nothing
    ),
    "enabled": boolean(description="Whether it runs.", required=True, default=True),
    "tags": tags(),
    "ordering": map_of(
        string(),
        map_of(string(), array(string())),
        description="Before or after which other plugins it runs.",
        supported=False,
    ),
    "condition": string(description="An expression that must hold.", supported=False),
    "partials": _any_list("Parts of the configuration that are kept elsewhere."),
}


def plugin_schema(types: Sequence[PluginType]) -> EntitySchema:
    """The schema of the plugin entity for these types."""
    by_name = {plugin.name: Variant(plugin.fields()) for plugin in types}

    def variant(document: Mapping[str, Any]) -> Variant:
        name = document.get("name")
        if name is None:
            raise SchemaViolation({"name": REQUIRED})
        if not isinstance(name, str) or name not in by_name:
            raise SchemaViolation(
                {
                    "name": f"plugin '{name}' not enabled; "
                    "add it to the 'plugins' configuration property"
                }
            )
        return by_name[name]

    return EntitySchema(
        kind="plugins", endpoint_key="instance_name", fields=_FIELDS, variant=variant
    )
