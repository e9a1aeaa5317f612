"""Rows for plugins that stand in for real ones."""

from __future__ import annotations

from typing import Any

from scopegate.entities.fields import record
from scopegate.entities.plugins import PluginType
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.lowering import PluginCompiler
from scopegate.plugins.registry import OPENID_CONNECT


def stand_in(
    compiler: PluginCompiler, name: str = OPENID_CONNECT.name, priority: int = 0
) -> BuiltPlugin:
    """A plugin of which only the compile time matters."""

    def prepare(*_: Any) -> Any:
        raise AssertionError("nobody asks it")

    kind = PluginType(name, priority, "1.0.0", record({}), frozenset({"service", "route"}))
    return BuiltPlugin(kind, compiler, prepare)
