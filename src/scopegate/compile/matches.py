"""What a route matches, from Kong's fields to the IR. Source: contract admin-api.md §3 (match)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scopegate.compile.arriving_paths import arriving_prefix, arriving_regex, literal_start
from scopegate.compile.order import SplitRoute, is_regex
from scopegate.entities.regexes import regex_fault
from scopegate.ir.gateway import HeaderMatch, HostMatch, PathMatch, RouteMatch

_HEADER_REGEX = "~*"


def matches(part: SplitRoute) -> Iterator[RouteMatch]:
    """One match per path, in the order in which Kong tries them; one for a route without paths."""
    route = part.route
    paths: list[PathMatch | None] = [_path(text) for text in part.paths]
    for path in paths or [None]:
        yield RouteMatch(
            methods=route.methods,
            hosts=tuple(_host(host) for host in route.hosts),
            path=path,
            headers=tuple(
                _header(name, values)
                for name, values in sorted(route.headers.items())
                if not any(map(regex_fault, _header_regexes(values)))
            ),
            snis=tuple(sni.lower().removesuffix(".") for sni in route.snis),
        )


def fault(part: SplitRoute) -> str | None:
    """Why this part cannot be matched as configured: a regex that the engine does not take.

    Its matches are then wider than configured, for a refusal; the Admin API takes no such route.
    """
    patterns = [path[1:] for path in part.paths if is_regex(path)]
    for values in part.route.headers.values():
        patterns += _header_regexes(values)
    faults = ((pattern, regex_fault(pattern)) for pattern in patterns)
    return next((f"regex '{pattern}': {why}" for pattern, why in faults if why), None)


def _path(path: str) -> PathMatch:
    if not is_regex(path):
        return PathMatch("prefix", arriving_prefix(path))
    pattern = path[1:]
    if regex_fault(pattern):
        return PathMatch("prefix", arriving_prefix(literal_start(pattern)))
    return PathMatch("regex", arriving_regex(pattern))


def _host(host: str) -> HostMatch:
    name, _, port = host.rpartition(":")
    if not port.isdigit() or (":" in name and not name.endswith("]")):
        name, port = host, ""  # no port, or an IPv6 address without brackets
    return HostMatch(name.lower().removesuffix("."), int(port) if port else None)


def _header(name: str, values: Iterable[str]) -> HeaderMatch:
    return HeaderMatch(
        name=name.lower().replace("_", "-"),
        values=tuple(value.lower() for value in values if not value.startswith(_HEADER_REGEX)),
        regexes=tuple(_header_regexes(values)),
    )


def _header_regexes(values: Iterable[str]) -> list[str]:
    return [
        value.removeprefix(_HEADER_REGEX) for value in values if value.startswith(_HEADER_REGEX)
    ]
