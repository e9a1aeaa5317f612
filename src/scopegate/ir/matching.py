"""Which route takes a request: the meaning of the route table, in one pure function.

Envoy is told the same table as a tree (`envoy/route_tree.py`); tests hold both against each other.
Guards come before: what they refuse reaches no route. Source: contract admin-api.md §3 (match).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scopegate.ir import re2
from scopegate.ir.gateway import (
    RESERVED,
    HeaderMatch,
    HostMatch,
    PathMatch,
    Route,
    RouteMatch,
)

_HOST = re.compile(r"(.*?)\.?(?::([0-9]*))?", re.DOTALL)
_PIECE = re.compile("%[0-9A-F]{2}|.", re.DOTALL)
_RESERVED_BY_CODE = {f"%{ord(character):02X}": character for character in RESERVED}


MIXED_SPELLINGS_LIMIT = 4
"""Of header names with a `-` in one route, that each may come in either spelling; where there are
more they come all with `-` or all with `_`, since each would double what Envoy is told."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What routes look at.

    tls        whether the request came over TLS, and `sni` the server name of its handshake
    host       the Host header or `:authority`, with or without port
    port       of the listener
    path       without query, normalised, percent-encoded: as it arrives at the route table
    headers    (name, value) in the order in which they came, without Host
    """

    path: str
    method: str = "GET"
    host: str = ""
    port: int = 80
    tls: bool = False
    sni: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


def first_match(routes: Iterable[Route], request: RequestHead) -> Route | None:
    """The first of the routes that takes the request."""
    return next((route for route in routes if takes(route.match, request)), None)


def takes(match: RouteMatch, request: RequestHead) -> bool:
    """Whether all that is set matches."""
    return (
        (not match.methods or request.method in match.methods)
        and (not match.hosts or any(_is_host(host, request) for host in match.hosts))
        and (match.path is None or path_begins(match.path, request.path))
        and _have_headers(match.headers, request.headers)
        and (not match.snis or not request.tls or _is_sni(match.snis, request.sni))
    )


def path_begins(path: PathMatch, arriving: str) -> bool:
    """Whether a path as it arrives begins as this one wants."""
    if path.kind == "regex":
        return re2.begins(path.value, arriving)
    return re.match(prefix_pattern(path.value), arriving) is not None


def prefix_pattern(prefix: str) -> str:
    """A regular expression, RE2's and Python's, for a prefix in all ways in which it may arrive.

    Reserved characters come as themselves or encoded, hexadecimal digits in either case.
    """
    return "".join(map(_spellings, _PIECE.findall(prefix)))


def _spellings(piece: str) -> str:
    character = _RESERVED_BY_CODE.get(piece, piece)
    if character in RESERVED:
        return f"(?:{re.escape(character)}|(?i:%{ord(character):02X}))"
    return f"(?i:{piece})" if len(piece) == 3 else re.escape(piece)


def name_fits(pattern: str, name: str) -> bool:
    """Whether a name, lower case, without port and trailing dot, is the pattern's: exact, or with
    one or more characters in place of its `*`.
    """
    if "*" not in pattern:
        return name == pattern
    start, _, end = pattern.partition("*")
    return len(name) > len(start) + len(end) and name.startswith(start) and name.endswith(end)


def _is_host(host: HostMatch, request: RequestHead) -> bool:
    parts = _HOST.fullmatch(request.host)
    assert parts is not None  # the pattern takes any text
    name, port = parts[1].lower(), parts[2]
    if not name_fits(host.pattern, name):
        return False
    return host.port is None or (int(port) if port else request.port) == host.port


def _is_sni(patterns: Sequence[str], sni: str | None) -> bool:
    name = (sni or "").lower().removesuffix(".")
    return any(name_fits(pattern.lower(), name) for pattern in patterns)


def _have_headers(wanted: Sequence[HeaderMatch], headers: tuple[tuple[str, str], ...]) -> bool:
    """By names with `-` alone or with `_` alone: each as it likes, or all of many alike."""
    if sum("-" in each.name for each in wanted) <= MIXED_SPELLINGS_LIMIT:
        return all(
            _has_header(each, headers, "-") or _has_header(each, headers, "_") for each in wanted
        )
    return any(all(_has_header(each, headers, sign) for each in wanted) for sign in "-_")


def _has_header(header: HeaderMatch, headers: tuple[tuple[str, str], ...], sign: str) -> bool:
    name = header.name.replace("-", sign)
    return any(_is_value(header, value) for each, value in headers if each.lower() == name)


def _is_value(header: HeaderMatch, value: str) -> bool:
    """Whether one value of the request fits; one that stands between commas counts, too."""
    lower = value.lower()
    return any(
        re.search(rf"(?:^|,)\s*{re.escape(one)}\s*(?:,|$)", lower) for one in header.values
    ) or any(re2.found(f"(?i){pattern}", value) for pattern in header.regexes)
