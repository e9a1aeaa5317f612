"""What no route may see: tunnels, hosts and paths that somebody may read differently.

They are looked at once per request, before the tree of routes (ADR 0011).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from envoy.config.route.v3.route_components_pb2 import Route, RouteMatch
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.core.v3.extension_pb2 import TypedExtensionConfig
from xds.type.matcher.v3.matcher_pb2 import Matcher
from xds.type.matcher.v3.regex_pb2 import RegexMatcher
from xds.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy.ambiguous_paths import (
    AMBIGUOUS,
    ESCAPED_SLASH,
    PATH_PARAMETERS,
    TRAILING_DOTS,
)
from scopegate.envoy.answers import direct_answer
from scopegate.envoy.messages import packed
from scopegate.envoy.path_rewrites import anchored, names_encoded
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.route_entries import answer, switch_off
from scopegate.ir import gateway as ir

PATH = "x-forwarded-path"
"""The normalised path without its query: set on arrival, whatever the client says."""

# A name of non-empty labels, perhaps with a dot at its end, or an IPv6 address; perhaps a port.
_WELL_FORMED_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
# A regex that looks at no second segment: no slash but the first, and nothing that could be one.
_ONE_SEGMENT = re.compile(r"/(?:[A-Za-z0-9_~()|?*+{},$-]|\[[A-Za-z0-9_-]+\]|\\[dw.])*")
_SLASHES, _PARAMETERS = "/\\", ";"

_Predicate = Matcher.MatcherList.Predicate


@dataclass(frozen=True, slots=True)
class PathTraits:
    """What guards have to know of a route's path.

    goes_deeper   more than the first segment counts; else it does not matter how that one ends
    slashes       RE2 for the path when it names an encoded slash or backslash, else None
    parameters    the same for `;`
    """

    goes_deeper: bool = False
    slashes: str | None = None
    parameters: str | None = None


def traits(path: ir.PathMatch | None) -> PathTraits:
    """Of one route's path."""
    if path is None:
        return PathTraits()
    return PathTraits(
        goes_deeper=_goes_deeper(path),
        slashes=anchored(path) if names_encoded(path, _SLASHES) else None,
        parameters=anchored(path) if names_encoded(path, _PARAMETERS) else None,
    )


def guards(
    gateway: ir.Gateway, paths: Sequence[PathTraits]
) -> Iterator[tuple[Matcher.MatcherList.Predicate, Route]]:
    """What is refused, and with which answer. `paths`: those of all routes."""
    # A tunnel has no path, and is matched by nothing else.
    tunnel = RouteMatch(connect_matcher=RouteMatch.ConnectMatcher())
    refusal = _bad_request("tunnel", EnvoyReason.UPGRADE_UNSUPPORTED, tunnel)
    yield header_is(":method", "CONNECT"), refusal
    odd_host = _Predicate(not_matcher=header_matches(":authority", _WELL_FORMED_HOST))
    yield odd_host, _bad_request("host-malformed", EnvoyReason.HOST_MALFORMED)
    ambiguous = header_matches(PATH, AMBIGUOUS)
    yield ambiguous, _bad_request("path-ambiguous", EnvoyReason.PATH_AMBIGUOUS)
    if dots_are_refused(paths):
        trailing = header_matches(PATH, TRAILING_DOTS)
        yield trailing, _bad_request("path-trailing-dots", EnvoyReason.PATH_AMBIGUOUS)
    if gateway.escaped_slashes == "refuse":
        slash = _unless_named(ESCAPED_SLASH, (each.slashes for each in paths))
        yield slash, _bad_request("path-escaped-slash", EnvoyReason.PATH_ESCAPED_SLASH)
    if gateway.path_parameters == "refuse":
        parameters = _unless_named(PATH_PARAMETERS, (each.parameters for each in paths))
        yield parameters, _bad_request("path-parameters", EnvoyReason.PATH_PARAMETERS)


def dots_are_refused(paths: Iterable[PathTraits]) -> bool:
    """Whether a segment that ends in dots, with more behind it, is."""
    return any(each.goes_deeper for each in paths)


def header_input(name: str) -> TypedExtensionConfig:
    """The value of a request header, as something to be matched."""
    content = packed(HttpRequestHeaderMatchInput(header_name=name))
    return TypedExtensionConfig(name=name.removeprefix(":"), typed_config=content)


def header_is(name: str, value: str) -> Matcher.MatcherList.Predicate:
    """A header has this value."""
    return _header(name, StringMatcher(exact=value))


def header_matches(name: str, pattern: str) -> Matcher.MatcherList.Predicate:
    """A header is there and matched as a whole."""
    engine = RegexMatcher.GoogleRE2()
    matcher = RegexMatcher(google_re2=engine, regex=pattern)
    return _header(name, StringMatcher(safe_regex=matcher))


def _header(name: str, matcher: StringMatcher) -> Matcher.MatcherList.Predicate:
    single = _Predicate.SinglePredicate(input=header_input(name), value_match=matcher)
    return _Predicate(single_predicate=single)


def _unless_named(pattern: str, named: Iterable[str | None]) -> Matcher.MatcherList.Predicate:
    """What matches the pattern, but for paths of routes that name one of its characters."""
    found = header_matches(PATH, pattern)
    own = sorted({each for each in named if each is not None})
    if not own:
        return found
    others = _Predicate(not_matcher=header_matches(PATH, f"(?:{'|'.join(own)}).*"))
    return _Predicate(and_matcher=_Predicate.PredicateList(predicate=[found, others]))


def _goes_deeper(path: ir.PathMatch) -> bool:
    if path.kind == "regex":
        return _ONE_SEGMENT.fullmatch(path.value) is None
    return re.search("/|%2F|%5C", path.value[1:]) is not None


def _bad_request(key: str, reason: EnvoyReason, match: RouteMatch | None = None) -> Route:
    said = direct_answer(400, "Bad request", reason)
    result = answer(key, match or RouteMatch(prefix="/"), said, reason)
    switch_off(result)
    return result
