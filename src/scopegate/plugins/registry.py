"""The plugins of this version, a row each. Source of priorities: contract admin-api.md §4."""

from __future__ import annotations

from scopegate.entities.plugins import PluginType
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.openid_connect.access import OpenIdConnect
from scopegate.plugins.openid_connect.config import CONFIG
from scopegate.plugins.openid_connect.issuer_request import issuer_request
from scopegate.plugins.openid_connect.lower import OpenIdConnectCompiler

OPENID_CONNECT = BuiltPlugin(
    type=PluginType(
        name="openid-connect",
        priority=1050,
        version="3.15.0",
        config=CONFIG,
        scopes=frozenset({"service", "route"}),
    ),
    compiler=OpenIdConnectCompiler(),
    prepare=OpenIdConnect,
    issuers=lambda plugin: [issuer_request(plugin)],
)

PLUGINS: tuple[BuiltPlugin, ...] = (OPENID_CONNECT,)

PLUGIN_TYPES: tuple[PluginType, ...] = tuple(plugin.type for plugin in PLUGINS)
