"""From the IR's matches to Envoy's. Source: contract admin-api.md §3 (match)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RouteMatch
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy import names
from scopegate.envoy.path_rewrites import Joining, anchored, is_plain
from scopegate.envoy.route_tree import Candidate, regex_start
from scopegate.ir import gateway as ir
from scopegate.ir.matching import MIXED_SPELLINGS_LIMIT

PORT = "x-forwarded-port"
"""The listener's port: set on arrival, for hosts with a port and for the upstream."""


_FOLLOWS = {"slash": "/", "dot": "./", "dots": "../"}


def envoy_matches(match: ir.RouteMatch, ports: frozenset[int]) -> Iterator[RouteMatch]:
    """Envoy matches that together are this match: one for each spelling of its header names, and
    for what depends on the listener. `ports` are the listeners'.
    """
    alternatives = [
        _hosts(match.hosts, ports),
        _snis(match.snis),
        *_headers(match.headers),
    ]
    for chosen in product(*alternatives):
        result = RouteMatch(
            headers=[*_methods(match.methods), *(one for each in chosen for one in each)]
        )
        _set_path(result, match.path)
        yield result


def candidate(match: ir.RouteMatch) -> Candidate:
    """What the tree of routes has to know of a match."""
    path = match.path
    if path is None:
        start, exact = "", True
    elif path.kind == "regex":
        start, exact = regex_start(path.value), False
    else:
        start, exact = _plain_start(path.value), is_plain(path)
    return Candidate(start, exact and replace(match, path=None) == ir.RouteMatch())


def narrowed(match: RouteMatch, path: ir.PathMatch | None, how: Joining) -> RouteMatch:
    """The same match for the paths that this joining is for."""
    result = RouteMatch()
    result.CopyFrom(match)
    value = "/" if path is None else path.value
    match how.paths:
        case "root":
            result.path = "/"
        case "segment":
            result.path_separated_prefix = value
        case "slash" | "dot" | "dots":
            result.prefix = f"{value}{_FOLLOWS[how.paths]}"
        case "whole" if path is not None:
            result.safe_regex.CopyFrom(regex(anchored(path)))
            if how.ends:
                result.headers.append(header_regex(":path", rf"(?:{how.ends})(?:\?.*)?"))
        case _:
            pass
    return result


def regex(pattern: str) -> RegexMatcher:
    """RE2; Envoy lets it match the whole text."""
    return RegexMatcher(regex=pattern)


def header_regex(name: str, pattern: str, *, invert: bool = False) -> HeaderMatcher:
    """A header whose whole value matches, or (inverted) does not match or is absent."""
    return HeaderMatcher(
        name=name,
        string_match=StringMatcher(safe_regex=regex(pattern)),
        invert_match=invert,
        treat_missing_header_as_empty=invert,
    )


def header_is(name: str, value: str) -> HeaderMatcher:
    """A header with this value."""
    return HeaderMatcher(name=name, string_match=StringMatcher(exact=value))


def over(scheme: str) -> HeaderMatcher:
    """Requests of this scheme: the listener's, or what a trusted peer says, never the client."""
    return header_is(":scheme", scheme)


def _set_path(match: RouteMatch, path: ir.PathMatch | None) -> None:
    """Match how the path begins."""
    if path is None:
        match.prefix = "/"
    elif is_plain(path):
        match.prefix = path.value
    else:
        match.safe_regex.CopyFrom(regex(f"{anchored(path)}.*"))


def _plain_start(prefix: str) -> str:
    """The text before the first character that has more than one spelling."""
    found = re.match(rf"[^%?#{re.escape(ir.RESERVED)}]*", prefix)
    return found[0] if found else ""


def _methods(methods: tuple[str, ...]) -> Iterator[HeaderMatcher]:
    if len(methods) == 1:
        yield header_is(":method", methods[0])
    elif methods:
        yield header_regex(":method", _one_of(methods))


def _hosts(hosts: Sequence[ir.HostMatch], ports: frozenset[int]) -> list[list[HeaderMatcher]]:
    """Any case, with or without a trailing dot and a port. Source: openid-connect.md §22 (13).

    A Host without port means the listener's: one alternative for each that a route names.
    """
    if not hosts:
        return [[]]
    named = [
        _host(host) + ("(?::[0-9]*)?" if host.port is None else f":0*{host.port}") for host in hosts
    ]
    found = [[_authority(named)]]
    for port in sorted(ports.intersection(host.port for host in hosts if host.port)):
        silent = [f"{_host(host)}:?" for host in hosts if host.port == port]
        found.append([_authority(silent), header_is(PORT, str(port))])
    return found


def _authority(patterns: Iterable[str]) -> HeaderMatcher:
    return header_regex(":authority", f"(?i)(?:{'|'.join(patterns)})")


def _host(host: ir.HostMatch) -> str:
    return rf"{_wildcard(host.pattern)}\.?"


def _wildcard(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "[^:]+")


def _snis(snis: tuple[str, ...]) -> list[list[HeaderMatcher]]:
    """Server names count on TLS only. There the header is always set, if need be to nothing."""
    if not snis:
        return [[]]
    alternatives = "|".join(_wildcard(sni) for sni in snis)
    without_tls = HeaderMatcher(name=names.SNI, present_match=True, invert_match=True)
    return [[header_regex(names.SNI, rf"(?i)(?:{alternatives})\.?")], [without_tls]]


def _headers(headers: Sequence[ir.HeaderMatch]) -> list[list[list[HeaderMatcher]]]:
    """The alternatives of each; of all together, where they would be too many."""
    one_by_one = [_header(header) for header in headers]
    several = [each for each in one_by_one if len(each) > 1]
    if len(several) <= MIXED_SPELLINGS_LIMIT:
        return one_by_one
    spellings = [[one for each in one_by_one for one in each[place]] for place in (0, -1)]
    return [spellings]


def _header(header: ir.HeaderMatch) -> list[list[HeaderMatcher]]:
    """One matcher for each spelling of the name. Of values that came one by one Envoy looks at
    each; a value that stands between commas counts, too.
    """
    found = [*(f".*(?:{pattern}).*" for pattern in header.regexes)]
    if header.values:
        found.append(rf"(?:.*,)?\s*{_one_of(header.values)}\s*(?:,.*)?")
    pattern = f"(?i)(?:{'|'.join(found)})"
    spellings = dict.fromkeys((header.name, header.name.replace("-", "_")))
    return [[header_regex(name, pattern)] for name in spellings]


def _one_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(text) for text in texts)})"
