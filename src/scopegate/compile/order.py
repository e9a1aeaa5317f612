"""The order in which routes are tried: Kong's `traditional_compatible` priority, to the letter.

Source: contract admin-api.md §3 (split, priority).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID, uuid5

from scopegate.entities.snapshot import Route

SPLIT_NAMESPACE = UUID("7f145bf9-0dce-4f91-98eb-debbce4b9f6b")
HEADER_COUNT_LIMIT = 255


@dataclass(frozen=True, slots=True)
class SplitRoute:
    """A route with those of its paths that have one priority: regexes, or prefixes of one length.

    id   the route's own when nothing had to be split; decides ties
    """

    id: str
    route: Route
    paths: tuple[str, ...]


Priority = tuple[int, bool, int, bool, int, int]


def in_order(routes: Iterable[Route]) -> list[SplitRoute]:
    """All routes, split, the one that is tried first in front."""
    parts = [part for route in routes for part in split(route)]
    return sorted(parts, key=rank, reverse=True)


def rank(part: SplitRoute) -> tuple[Priority, str]:
    """No two parts have the same; larger is tried first."""
    return priority(part), part.id


def split(route: Route) -> list[SplitRoute]:
    """One part for all regexes and one for each length of prefix, in order of appearance."""
    groups: dict[int, list[str]] = {}
    for path in route.paths:
        groups.setdefault(0 if is_regex(path) else _length(path), []).append(path)
    if len(groups) < 2:
        return [SplitRoute(route.id, route, route.paths)]
    return [
        SplitRoute(str(uuid5(SPLIT_NAMESPACE, f"{route.id}#{number}")), route, tuple(paths))
        for number, paths in enumerate(groups.values(), start=1)
    ]


def priority(part: SplitRoute) -> Priority:
    """Larger is tried first.

    Fields that are set, only plain hosts, names of headers, a regex path, its `regex_priority`,
    length of the prefix in bytes.
    """
    route = part.route
    fields = (route.methods, route.hosts, route.headers, part.paths, route.snis)
    regex = any(is_regex(path) for path in part.paths)
    return (
        sum(bool(field) for field in fields),
        bool(route.hosts) and not any("*" in host for host in route.hosts),
        min(len(route.headers), HEADER_COUNT_LIMIT),
        regex,
        route.regex_priority if regex else 0,
        0 if regex or not part.paths else _length(part.paths[0]),
    )


def is_regex(path: str) -> bool:
    """Whether a route's path is a regular expression: Kong marks it with `~`."""
    return path.startswith("~")


def _length(path: str) -> int:
    return len(path.encode())
