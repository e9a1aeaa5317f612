"""A plugin that is built: everything that the gateway must know of it, in one row.

Whoever works with plugins is given rows and names none: the Admin API reads `type`, the compiler
its priority and `compiler`, control `issuers`, the policy service `prepare`. The rows of this
version are in registry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from scopegate.entities.plugins import PluginType
from scopegate.entities.snapshot import Plugin
from scopegate.ir.policy import Step as PolicyStep
from scopegate.plugins.access import Step
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.issuer_requests import IssuerRequest
from scopegate.plugins.lowering import PluginCompiler
from scopegate.plugins.ports import Ports

PrepareStep = Callable[[PolicyStep, ConsumerIndex, Ports], Step]
"""From what the compiler made to what is asked at request time."""


def _no_issuers(_: Plugin) -> Sequence[IssuerRequest]:
    return ()


@dataclass(frozen=True, slots=True)
class BuiltPlugin:
    """One plugin.

    type       name, priority, schema: what the Admin API shows and checks
    compiler   compile time: a configured plugin becomes a step
    prepare    request time: a step becomes ready to be asked
    issuers    what control must fetch for an enabled instance
    """

    type: PluginType
    compiler: PluginCompiler
    prepare: PrepareStep
    issuers: Callable[[Plugin], Iterable[IssuerRequest]] = _no_issuers

    @property
    def name(self) -> str:
        return self.type.name


def issuer_requests(plugins: Iterable[Plugin], built: Iterable[BuiltPlugin]) -> list[IssuerRequest]:
    """What control must fetch for all enabled plugins: equal requests once, for all who ask.

    An instance whose `issuers` fails gets nothing: its routes are refused, all others go on.
    """
    rows = {row.name: row for row in built}
    by_key: dict[str, IssuerRequest] = {}
    for plugin in plugins:
        if not plugin.enabled or plugin.name not in rows:
            continue
        for request in _wanted(rows[plugin.name], plugin):
            known = by_key.get(request.key)
            ids = (known.plugin_ids if known else ()) + request.plugin_ids
            by_key[request.key] = replace(request, plugin_ids=ids)
    return list(by_key.values())


def _wanted(row: BuiltPlugin, plugin: Plugin) -> Sequence[IssuerRequest]:
    try:
        return tuple(row.issuers(plugin))
    except Exception:  # noqa: BLE001 (one plugin's defect must not take down the others)
        # Told by its compiler, which asks the same (`plugin_defect`), or by its routes, which have
        # no issuer (503 `issuer_unknown`).
        return ()
