"""The kinds of entities that are built, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scopegate.entities.consumers import CONSUMERS
from scopegate.entities.plugins import PluginType, plugin_schema
from scopegate.entities.routes import ROUTES
from scopegate.entities.schema import EntitySchema
from scopegate.entities.services import SERVICES


def entity_schemas(plugin_types: Sequence[PluginType]) -> Mapping[str, EntitySchema]:
    """Schemas by kind, for a gateway with these plugins."""
    schemas = (SERVICES, ROUTES, CONSUMERS, plugin_schema(plugin_types))
    return {schema.kind: schema for schema in schemas}
