"""The route table: one for all listeners, a tree of the beginnings of paths for each host.

What it takes is what `ir/matching.py` says; ADR 38 says how. Source: contract admin-api.md §3
(match, after matching).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import is_

from envoy.config.core.v3.base_pb2 import HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import Route, RouteList, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from google.protobuf.any_pb2 import Any
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher

from scopegate.envoy import names, wire
from scopegate.envoy.answers import LocalReply, add_header
from scopegate.envoy.messages import packed
from scopegate.envoy.path_rewrites import goes_deeper
from scopegate.envoy.proxy_filter import table_config
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.route_entries import Surroundings, answer, entries, no_route, usual_retries
from scopegate.envoy.route_hosts import by_host, domains
from scopegate.envoy.route_matches import candidate
from scopegate.envoy.route_tree import Branch, Candidate, arrange
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

TABLE = "routes"
"""One table for all listeners: taking it is most of what a change costs Envoy, and entries say
themselves what depends on the scheme and the port."""

_TYPE = f"type.googleapis.com/{RouteConfiguration.DESCRIPTOR.full_name}"
_LIST_TYPE = f"type.googleapis.com/{RouteList.DESCRIPTOR.full_name}"
_MAP = Matcher.MatcherTree.MatchMap.DESCRIPTOR.fields_by_name["map"].number
_KEY, _VALUE = 1, 2  # of an entry of a map


@dataclass(frozen=True, slots=True)
class _Place:
    """A route as it stands in one table: for the tree, and serialised as entries of a RouteList."""

    candidate: Candidate
    content: bytes


class _Known:
    """What was made of one route."""

    __slots__ = ("goes_deeper", "places", "route")

    def __init__(self, route: ir.Route) -> None:
        self.route = route
        self.goes_deeper = goes_deeper(route.match.path)
        self.places: dict[Surroundings, _Place] = {}

    def place(self, around: Surroundings) -> _Place:
        """Where it stands in a virtual host."""
        made = self.places.get(around)
        if made is None:
            match = self.route.match
            if around.host_is_known and match.hosts:
                match = ir.RouteMatch(match.methods, (), match.path, match.headers, match.snis)
            content = b"".join(map(_routes_field, entries(self.route, around)))
            made = self.places[around] = _Place(candidate(match), content)
        return made


@dataclass(frozen=True, slots=True)
class _KnownHost:
    """A virtual host that was made of these."""

    places: tuple[_Place, ...]
    content: bytes
    digest: bytes


@dataclass(slots=True)
class TableMemo:
    """What was made of the last table, so that only what changed is made anew.

    It changes no result: routes are looked up by key and count as unchanged when they are the same
    object, or equal.
    """

    routes: dict[str, _Known] = field(default_factory=dict)
    hosts: dict[tuple[str, ...], _KnownHost] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A serialised RouteConfiguration, and a hash of its content."""

    content: Any
    digest: bytes

    def message(self) -> RouteConfiguration:
        """For those who want to look into it."""
        return RouteConfiguration.FromString(self.content.value)


def route_table(
    gateway: ir.Gateway, settings: EnvoySettings, memo: TableMemo | None = None
) -> RouteTable:
    """All routes, by host and beginning of the path."""
    memo = memo if memo is not None else TableMemo()
    known = [_known(route, memo) for route in gateway.routes]
    memo.routes = {each.route.key: each for each in known}
    dots_arrive = not any(each.goes_deeper for each in known)
    ports = frozenset(listener.port for listener in gateway.listeners)
    hosts = {}
    for table in by_host(gateway.routes):
        there = [known[place.number] for place in table.places]
        around = [Surroundings(is_known, dots_arrive, ports) for is_known in (False, True)]
        places = tuple(
            each.place(around[place.host_is_known])
            for each, place in zip(there, table.places, strict=True)
        )
        hosts[table.hosts] = _host(table.hosts, places, memo)
    memo.hosts = hosts
    head = _head(gateway, settings, dots_arrive=dots_arrive).SerializeToString(deterministic=True)
    made = [head, *(each.content for each in hosts.values())]
    digest = hashlib.sha256(head)
    for each in hosts.values():
        digest.update(each.digest)
    return RouteTable(Any(type_url=_TYPE, value=b"".join(made)), digest.digest())


def _known(route: ir.Route, memo: TableMemo) -> _Known:
    found = memo.routes.get(route.key)
    if found is not None and (found.route is route or found.route == route):
        return found
    return _Known(route)


def _host(hosts: tuple[str, ...], places: tuple[_Place, ...], memo: TableMemo) -> _KnownHost:
    """A virtual host, as a field of the RouteConfiguration."""
    found = memo.hosts.get(hosts)
    if (
        found is not None
        and len(found.places) == len(places)
        and all(map(is_, found.places, places))
    ):
        return found
    host = VirtualHost(
        name=hosts[0] if hosts else "all",
        domains=domains(hosts) if hosts else ["*"],
        retry_policy=usual_retries(),
    )
    matcher = wire.field(VirtualHost, "matcher", _tree(places))
    content = host.SerializeToString(deterministic=True) + matcher
    content = wire.field(RouteConfiguration, "virtual_hosts", content)
    return _KnownHost(places, content, hashlib.sha256(content).digest())


def _tree(places: Sequence[_Place]) -> bytes:
    """A Matcher: from the beginning of the path to a list of entries.

    A tunnel has no path and falls through to the rest, where it must meet its refusal first.
    """
    tree = arrange([place.candidate for place in places])
    rest = _on_match_list(_TUNNEL + _listed(tree.rest, places))
    rest = wire.field(Matcher, "on_no_match", rest)
    if not tree.branches:
        return rest
    branches = b"".join(
        wire.numbered(
            _MAP,
            wire.numbered(_KEY, start.encode())
            + wire.numbered(_VALUE, _on_match_list(_listed(branch, places))),
        )
        for start, branch in tree.branches.items()
    )
    by_start = wire.field(Matcher.MatcherTree, "prefix_match_map", branches)
    of = wire.field(Matcher.MatcherTree, "input", _PATH_INPUT)
    return wire.field(Matcher, "matcher_tree", of + by_start) + rest


def _listed(branch: Branch, places: Sequence[_Place]) -> bytes:
    """A RouteList, which Envoy does not leave: what none of its entries takes gets a 404 here."""
    content = b"".join(places[number].content for number in branch.places)
    return content + _NO_ROUTE if branch.open_ else content


def _on_match_list(routes: bytes) -> bytes:
    content = _LIST_URL + wire.field(Any, "value", routes)
    action = _ACTION_NAME + wire.field(TypedExtensionConfig, "typed_config", content)
    return wire.field(Matcher.OnMatch, "action", action)


def _routes_field(route: Route) -> bytes:
    return wire.field(RouteList, "routes", route.SerializeToString(deterministic=True))


def _tunnel() -> Route:
    """The refusal of CONNECT."""
    match = RouteMatch(connect_matcher=RouteMatch.ConnectMatcher())
    result = answer(match, LocalReply(400, "Bad request", EnvoyReason.UPGRADE_UNSUPPORTED))
    result.name = names.TUNNEL
    return result


def header_input(name: str) -> TypedExtensionConfig:
    """The value of a request header, as something to be matched."""
    content = packed(HttpRequestHeaderMatchInput(header_name=name))
    return TypedExtensionConfig(name=name.removeprefix(":"), typed_config=content)


def _head(gateway: ir.Gateway, settings: EnvoySettings, *, dots_arrive: bool) -> RouteConfiguration:
    """What holds for all routes."""
    of_filter = table_config(gateway, dots_are_refused=not dots_arrive)
    return RouteConfiguration(
        name=TABLE,
        ignore_port_in_host_matching=True,
        typed_per_filter_config={names.FILTER: packed(of_filter)},
        request_headers_to_add=list(_request_headers(settings)),
        request_headers_to_remove=[
            names.PROTOCOL,
            names.SNI,
            *(names.FORWARDED if settings.trusted_peers is not None else ()),
            # Of the hop before, and servers with CGI would take it for their own proxy.
            "proxy",
            "x-envoy-external-address",
            "x-envoy-internal",
        ],
    )


def _request_headers(settings: EnvoySettings) -> Iterator[HeaderValueOption]:
    """What the upstream learns about the client. X-Forwarded-Path and -Port are there since arrival
    (`arrival.py`), -Proto is Envoy's own word, and -Host the proxy filter's.

    Source: admin-api.md §3 (request headers).
    """
    if settings.trusted_peers is None:  # else arrival has done it: it knows who the peer is
        yield add_header("X-Forwarded-For", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")
    # With the name of the protocol, which RFC 9110 §7.6.3 lets us leave out and Kong does.
    yield add_header("Via", f"%PROTOCOL% {settings.server_name}")
    yield add_header("X-Real-IP", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")


_LIST_URL = wire.field(Any, "type_url", _LIST_TYPE.encode())
_ACTION_NAME = wire.field(TypedExtensionConfig, "name", b"routes")
_PATH_INPUT = header_input(":path").SerializeToString(deterministic=True)
_NO_ROUTE = _routes_field(no_route())
_TUNNEL = _routes_field(_tunnel())
