"""From the IR's matches to Envoy's, for one listener. Source: contract admin-api.md §3 (match)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, RouteMatch
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy import names
from scopegate.envoy.path_rewrites import anchored, is_plain
from scopegate.ir import gateway as ir


def envoy_matches(match: ir.RouteMatch, listener: ir.Listener) -> Iterator[RouteMatch]:
    """Envoy matches that together are this match: one for each spelling of its header names."""
    fixed = [*_methods(match.methods), *_hosts(match.hosts, listener.port)]
    if listener.tls:
        fixed += _snis(match.snis)
    for headers in product(*(_header(header) for header in match.headers)):
        result = RouteMatch(headers=[*fixed, *headers])
        set_path(result, match.path)
        yield result


def set_path(match: RouteMatch, path: ir.PathMatch | None) -> None:
    """Match how the path begins."""
    if path is None:
        match.prefix = "/"
    elif is_plain(path):
        match.prefix = path.value
    else:
        match.safe_regex.CopyFrom(regex(f"{anchored(path)}.*"))


def set_whole_path(match: RouteMatch, path: ir.PathMatch) -> None:
    """Match paths of which this pattern takes everything."""
    match.safe_regex.CopyFrom(regex(anchored(path)))


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


def header_prefix(name: str, prefix: str) -> HeaderMatcher:
    """A header whose value begins so."""
    return HeaderMatcher(name=name, string_match=StringMatcher(prefix=prefix))


def _methods(methods: tuple[str, ...]) -> Iterator[HeaderMatcher]:
    if methods:
        yield header_regex(":method", _one_of(methods))


def _hosts(hosts: tuple[ir.HostMatch, ...], listener_port: int) -> Iterator[HeaderMatcher]:
    """Any case, with or without a trailing dot and a port. Source: openid-connect.md §22 (13)."""
    if hosts:
        alternatives = (_host(host, listener_port) for host in hosts)
        yield header_regex(":authority", f"(?i)(?:{'|'.join(alternatives)})")


def _host(host: ir.HostMatch, listener_port: int) -> str:
    if host.port is None:
        port = "(?::[0-9]*)?"
    elif host.port == listener_port:
        port = f"(?::{host.port})?"  # a Host without port means the listener's
    else:
        port = f":{host.port}"
    return rf"{_wildcard(host.pattern)}\.?{port}"


def _wildcard(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "[^:]+")


def _snis(snis: tuple[str, ...]) -> Iterator[HeaderMatcher]:
    if snis:
        alternatives = "|".join(_wildcard(sni) for sni in snis)
        yield header_regex(names.SNI, rf"(?i)(?:{alternatives})\.?")


def _header(header: ir.HeaderMatch) -> list[HeaderMatcher]:
    """One matcher for each spelling of the name; Envoy joins repeated headers with commas."""
    found = [*(f".*(?:{pattern}).*" for pattern in header.regexes)]
    if header.values:
        found.append(rf"(?:.*,)?\s*{_one_of(header.values)}\s*(?:,.*)?")
    pattern = f"(?i)(?:{'|'.join(found)})"
    spellings = dict.fromkeys((header.name, header.name.replace("-", "_")))
    return [header_regex(name, pattern) for name in spellings]


def _one_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(text) for text in texts)})"
