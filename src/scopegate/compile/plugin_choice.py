"""Which plugins run on a route, and in which order. Source: contract admin-api.md §4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scopegate.entities.snapshot import Plugin, Route


def chain(route: Route, plugins: Iterable[Plugin], priorities: Mapping[str, int]) -> list[Plugin]:
    """For each plugin name the most specific enabled instance, in the order in which they run.

    `priorities`: by plugin name, larger ones first; what has none runs last.
    """
    chosen: dict[str, Plugin] = {}
    for plugin in plugins:
        if not applies(plugin, route):
            continue
        rival = chosen.get(plugin.name)
        if rival is None or _specificity(plugin) > _specificity(rival):
            chosen[plugin.name] = plugin
    by_name = sorted(chosen.values(), key=lambda plugin: plugin.name, reverse=True)
    return sorted(by_name, key=lambda plugin: -priorities.get(plugin.name, 0))


def applies(plugin: Plugin, route: Route) -> bool:
    """Whether this instance is a candidate for the route, whoever the consumer is."""
    return (
        plugin.enabled
        and plugin.route_id in (None, route.id)
        and plugin.service_id in (None, route.service_id)
        and not set(plugin.protocols).isdisjoint(route.protocols)
    )


def _specificity(plugin: Plugin) -> tuple[bool, bool, bool, str]:
    """Route with service, route, service, global; the id only to be the same every time."""
    return (
        plugin.consumer_id is not None,
        plugin.route_id is not None,
        plugin.service_id is not None,
        plugin.id,
    )
