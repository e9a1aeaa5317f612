"""Routes by host: for each exact host, or a few of them, a table of its own.

Envoy finds a virtual host by name in one step, whatever its case, port and number. What has no
exact host stands in every table; so the more of that there is, the fewer tables there are, and the
more hosts share one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scopegate.ir.gateway import HostMatch, Route
from scopegate.ir.matching import name_fits

TABLES_LIMIT = 256
"""How many tables there are at most: Envoy makes each anew at every change."""

REPEATED_PER_ROUTE = 2
"""How many entries the tables may hold for each route because of those without exact host."""


@dataclass(frozen=True, slots=True)
class Place:
    """A route in a table. `host_is_known`: whoever looks here has one of its hosts."""

    number: int
    host_is_known: bool


@dataclass(frozen=True, slots=True)
class HostTable:
    """Routes for some hosts, in order. `hosts` is () for all that have no table of their own."""

    hosts: tuple[str, ...]
    places: tuple[Place, ...]


def by_host(routes: Sequence[Route]) -> list[HostTable]:
    """All tables; the one for other hosts is last. Pure; `routes` are in order."""
    exact, anywhere = _exact(routes), _without_exact_host(routes)
    others = [Place(number, not routes[number].match.hosts) for number in anywhere]
    tables = [
        HostTable(tuple(hosts), tuple(_places(hosts, exact, anywhere, routes)))
        for hosts in _groups(exact, max(1, REPEATED_PER_ROUTE * len(routes) // (len(anywhere) + 1)))
    ]
    return [*tables, HostTable((), tuple(others))]


def _exact(routes: Sequence[Route]) -> dict[str, list[int]]:
    """Numbers of routes by exact host."""
    found: dict[str, list[int]] = {}
    for number, route in enumerate(routes):
        for name in {host.pattern for host in route.match.hosts if "*" not in host.pattern}:
            found.setdefault(name, []).append(number)
    return found


def _without_exact_host(routes: Sequence[Route]) -> list[int]:
    """Numbers of routes that other hosts can reach."""
    return [
        number
        for number, route in enumerate(routes)
        if not route.match.hosts or any("*" in host.pattern for host in route.match.hosts)
    ]


def _groups(exact: Mapping[str, Sequence[int]], limit: int) -> list[list[str]]:
    """Hosts that share a table: those with the same routes; more where there would be too many."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(exact):
        alike.setdefault(tuple(exact[name]), []).append(name)
    groups = list(alike.values())
    size = -(-len(groups) // min(limit, TABLES_LIMIT))
    if size < 2:
        return groups
    parts = (groups[at : at + size] for at in range(0, len(groups), size))
    return [[name for group in part for name in group] for part in parts]


def _places(
    hosts: Sequence[str],
    exact: Mapping[str, Sequence[int]],
    anywhere: Sequence[int],
    routes: Sequence[Route],
) -> Iterator[Place]:
    own = {number for name in hosts for number in exact[name]}
    for number in sorted({*own, *anywhere}):
        patterns = routes[number].match.hosts
        if not patterns or all(_takes_any_port(patterns, name) for name in hosts):
            yield Place(number, True)
        elif number in own or any(name_fits(p.pattern, name) for p in patterns for name in hosts):
            yield Place(number, False)


def _takes_any_port(patterns: Sequence[HostMatch], name: str) -> bool:
    return any(host.port is None and name_fits(host.pattern, name) for host in patterns)


def domains(hosts: Sequence[str]) -> Iterator[str]:
    """How Envoy is told of these hosts: it drops a port and the case, but no trailing dot, and no
    colon without a port.
    """
    return (f"{host}{end}" for host in hosts for end in ("", ".", ":", ".:"))
