"""What no route may see: hosts and paths that somebody may read differently (ADR 0011).

The first filter of the chain looks at them, once per request, unless host and path are ordinary.
Its rules come with the route table, because a route's own path may allow what is refused elsewhere,
and stand there once for all hosts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.rbac.v3.rbac_pb2 import Permission, Policy, Principal
from envoy.extensions.common.matching.v3.extension_matcher_pb2 import ExtensionWithMatcher
from envoy.extensions.filters.http.rbac.v3.rbac_pb2 import RBAC, RBACPerRoute

from scopegate.envoy.ambiguous_paths import (
    AMBIGUOUS,
    ESCAPED_SLASH,
    ORDINARY,
    PATH_PARAMETERS,
    TRAILING_DOTS,
)
from scopegate.envoy.conditional import all_of, header_fits, unless
from scopegate.envoy.path_rewrites import anchored, names_encoded
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.route_matches import header_regex
from scopegate.ir import gateway as ir

PATH = "x-forwarded-path"
"""The normalised path without its query: set on arrival, whatever the client says."""

# A name of non-empty labels, perhaps with a dot at its end, or an IPv6 address; perhaps a port.
_WELL_FORMED_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
# A regex that looks at no second segment: no slash but the first, and nothing that could be one.
_ONE_SEGMENT = re.compile(r"/(?:[A-Za-z0-9_~()|?*+{},$-]|\[[A-Za-z0-9_-]+\]|\\[dw.])*")
_SLASHES, _PARAMETERS = "/\\", ";"


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


def guard() -> ExtensionWithMatcher:
    """The filter. It has no rules of its own: without a route table there are no routes.

    It notes its verdict about every request that it looks at, which costs more than the looking.
    """
    ordinary = all_of(header_fits(PATH, ORDINARY), header_fits(":authority", _WELL_FORMED_HOST))
    return unless(ordinary, RBAC())


def rules(gateway: ir.Gateway, paths: Sequence[PathTraits]) -> RBACPerRoute:
    """What is refused, by the reason. `paths`: those of all routes."""
    anybody = [Principal(any=True)]
    policies = {
        str(reason): Policy(permissions=permissions, principals=anybody)
        for reason, permissions in _refused(gateway, paths).items()
    }
    return RBACPerRoute(
        rbac=RBAC(rules=rbac_pb2.RBAC(action=rbac_pb2.RBAC.DENY, policies=policies))
    )


def _refused(
    gateway: ir.Gateway, paths: Sequence[PathTraits]
) -> Mapping[EnvoyReason, list[Permission]]:
    odd_host = header_regex(":authority", _WELL_FORMED_HOST, invert=True)
    refused = {
        EnvoyReason.HOST_MALFORMED: [Permission(header=odd_host)],
        EnvoyReason.PATH_AMBIGUOUS: [_path_is(AMBIGUOUS)],
    }
    if dots_are_refused(paths):
        refused[EnvoyReason.PATH_AMBIGUOUS].append(_path_is(TRAILING_DOTS))
    if gateway.escaped_slashes == "refuse":
        own = (each.slashes for each in paths)
        refused[EnvoyReason.PATH_ESCAPED_SLASH] = [_unless_named(ESCAPED_SLASH, own)]
    if gateway.path_parameters == "refuse":
        own = (each.parameters for each in paths)
        refused[EnvoyReason.PATH_PARAMETERS] = [_unless_named(PATH_PARAMETERS, own)]
    return refused


def dots_are_refused(paths: Iterable[PathTraits]) -> bool:
    """Whether a segment that ends in dots, with more behind it, is."""
    return any(each.goes_deeper for each in paths)


def _path_is(pattern: str) -> Permission:
    return Permission(header=header_regex(PATH, pattern))


def _unless_named(pattern: str, named: Iterable[str | None]) -> Permission:
    """What matches the pattern, but for paths of routes that name one of its characters."""
    found = _path_is(pattern)
    own = sorted({each for each in named if each is not None})
    if not own:
        return found
    others = Permission(not_rule=_path_is(f"(?:{'|'.join(own)}).*"))
    return Permission(and_rules=Permission.Set(rules=[found, others]))


def _goes_deeper(path: ir.PathMatch) -> bool:
    if path.kind == "regex":
        return _ONE_SEGMENT.fullmatch(path.value) is None
    return re.search("/|%2F|%5C", path.value[1:]) is not None
