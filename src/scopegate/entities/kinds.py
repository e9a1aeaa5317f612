"""The kinds of entities that are built, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scopegate.entities.consumers import CONSUMERS
from scopegate.entities.plugins import PluginType, plugin_schema
from scopegate.entities.routes import ROUTES
from scopegate.entities.schema import Document, EntitySchema
from scopegate.entities.services import SERVICES


def entity_schemas(plugin_types: Sequence[PluginType]) -> Mapping[str, EntitySchema]:
    """Schemas by kind, for a gateway with these plugins."""
    schemas = (SERVICES, ROUTES, CONSUMERS, plugin_schema(plugin_types))
    return {schema.kind: schema for schema in schemas}


def completion(schemas: Mapping[str, EntitySchema]) -> Callable[[str, Mapping[str, Any]], Document]:
    """For a store: (kind, stored document) → the document with every field of today's schema."""
    return lambda kind, stored: schemas[kind].complete(stored)
