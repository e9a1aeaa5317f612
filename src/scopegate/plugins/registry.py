"""The plugins that are built. Source of priorities: contract admin-api.md §4."""

from __future__ import annotations

from scopegate.entities.plugins import PluginType
from scopegate.plugins.openid_connect.config import CONFIG

OPENID_CONNECT = PluginType(
    name="openid-connect",
    priority=1050,
    version="3.15.0",
    config=CONFIG,
    scopes=frozenset({"service", "route"}),
)

PLUGIN_TYPES: tuple[PluginType, ...] = (OPENID_CONNECT,)
