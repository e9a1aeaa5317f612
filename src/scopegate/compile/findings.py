"""What the operator should know of services, routes and plugins that do less than they seem to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from scopegate.compile.arriving_paths import unmatchable_set
from scopegate.compile.matches import fault
from scopegate.compile.order import SplitRoute, is_regex
from scopegate.compile.reasons import CompileFinding, CompileReason
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin, Route, Service, Snapshot
from scopegate.ir.gateway import Cluster
from scopegate.plugins.lowering import CannotLower
from scopegate.reason_code import ReasonCode

PLAIN = frozenset({"http", "grpc"})
GRPC = frozenset({"grpc", "grpcs"})
SERVED = frozenset({"http", "https"}) | GRPC
"""Protocols of routes that the proxy carries."""

_HTTP1_METHODS = """
ACL BIND CHECKOUT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY
OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND
UNLINK UNLOCK UNSUBSCRIBE
"""
HTTP1_METHODS = frozenset(_HTTP1_METHODS.split())
"""Those that Envoy's parser for HTTP/1.1 takes, of letters alone, and that may reach a route."""

_NAMED_LIMIT = 5


def service_findings(
    snapshot: Snapshot, clusters: Mapping[str, Cluster | CannotLower]
) -> Iterator[Finding]:
    """Of enabled services; `clusters` by service id."""
    for service in snapshot.services.values():
        if service.enabled:
            yield from _of_cluster(service, clusters[service.id])


def _of_cluster(service: Service, cluster: Cluster | CannotLower) -> Iterator[Finding]:
    if isinstance(cluster, CannotLower):
        yield Finding("error", cluster.code, cluster.message, "services", service.id)
    elif cluster.tls and not cluster.tls.verify:
        message = "the upstream's certificate is not verified: anybody could answer for it"
        code = CompileFinding.UPSTREAM_TLS_UNVERIFIED
        yield Finding("warning", code, message, "services", service.id)


def route_findings(route: Route) -> Iterator[Finding]:
    """Of one route, whatever else there is."""
    for level, code, message in _route_faults(route):
        yield Finding(level, code, message, "routes", route.id)


def _route_faults(
    route: Route,
) -> Iterator[tuple[Literal["warning", "error"], ReasonCode, str]]:
    if SERVED.isdisjoint(route.protocols):
        served = ", ".join(sorted(SERVED))
        message = f"never matches; protocols served: {served}"
        yield "error", CompileFinding.ROUTE_PROTOCOL_UNSUPPORTED, message
    why = fault(SplitRoute(route.id, route, route.paths))
    if why:
        yield "error", CompileReason.ROUTE_REGEX_INVALID, why
    unheard = sorted(set(route.methods) - HTTP1_METHODS)
    if unheard:
        message = f"{', '.join(unheard)} over HTTP/1.1: answered 400 before any route is looked for"
        yield "warning", CompileFinding.METHOD_UNMATCHABLE, message
    for path in route.paths:
        if is_regex(path):
            charset = unmatchable_set(path)
            if charset:
                message = (
                    f"{charset} matches nothing beyond ASCII: paths are matched percent-encoded"
                )
                yield "warning", CompileFinding.PATH_SET_UNMATCHABLE, message
        elif "?" in path or "#" in path:
            message = f"'{path}' never matches: a path ends before its query"
            yield "warning", CompileFinding.PATH_UNMATCHABLE, message


def plugin_findings(snapshot: Snapshot) -> Iterator[Finding]:
    """Of plugins that a route or service has, and that a route is open in spite of."""
    by_service: dict[str, list[Route]] = {}
    for route in snapshot.routes.values():
        if route.service_id is not None:
            by_service.setdefault(route.service_id, []).append(route)
    for plugin in snapshot.plugins.values():
        if plugin.enabled:
            yield from _open_in_spite_of(plugin, _routes_of(plugin, snapshot, by_service))


def _routes_of(
    plugin: Plugin, snapshot: Snapshot, by_service: Mapping[str, list[Route]]
) -> list[Route]:
    """Those that it was given for; a global plugin was given for none in particular."""
    if plugin.route_id is not None:
        route = snapshot.routes.get(plugin.route_id)
        return [route] if route is not None else []
    return by_service.get(plugin.service_id or "", [])


def _open_in_spite_of(plugin: Plugin, routes: list[Route]) -> Iterator[Finding]:
    passed_by = [
        route.name or route.id
        for route in routes
        if set(plugin.protocols).isdisjoint(route.protocols)
        and not SERVED.isdisjoint(route.protocols)
    ]
    if not passed_by:
        return
    shown = ", ".join(sorted(passed_by)[:_NAMED_LIMIT])
    more = len(passed_by) - _NAMED_LIMIT
    message = (
        f"does not run on {shown}{f' and {more} more' if more > 0 else ''}: none of the plugin's"
        f" protocols ({', '.join(sorted(plugin.protocols))}) is one of theirs"
    )
    yield Finding("error", CompileFinding.PLUGIN_PROTOCOLS_UNSHARED, message, "plugins", plugin.id)
