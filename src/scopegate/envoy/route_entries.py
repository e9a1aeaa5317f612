"""The entries of one route, in the order in which Envoy tries them.

Source: contract admin-api.md §3 (after matching).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.answers import LocalReply, default_header, set_header
from scopegate.envoy.error_bodies import json_body, route_texts
from scopegate.envoy.messages import duration
from scopegate.envoy.path_rewrites import (
    Joining,
    Rewrite,
    joining,
    names_encoded,
    stripped_prefix,
)
from scopegate.envoy.route_matches import (
    envoy_matches,
    header_regex,
    narrowed,
    over,
    regex,
)
from scopegate.ir import gateway as ir
from scopegate.ir.route_label import OPEN, RouteLabel

# The host that the client named, without port: the proxy filter's word.
_HOST = "%REQ(X-FORWARDED-HOST)%"
# A request that nobody has begun to work on can be sent again, whatever its method.
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_USUAL = (ir.USUAL_RETRIES, ir.USUAL_READ_TIMEOUT_MS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a virtual host says of all of its entries.

    host_is_known   only hosts of the route itself arrive
    dots_arrive     see `path_rewrites.joining`
    ports           of the listeners
    """

    host_is_known: bool
    dots_arrive: bool
    ports: frozenset[int]


def entries(route: ir.Route, around: Surroundings) -> Iterator[Route]:
    """All entries of a route, as they stand in a virtual host."""
    match = replace(route.match, hosts=()) if around.host_is_known else route.match
    for envoy_match in envoy_matches(match, around.ports):
        yield from _entries(envoy_match, route, around)


def no_route() -> Route:
    """The answer to what no route takes; its words are in `answers.py`."""
    return Route(
        name=names.NO_ROUTE,
        match=RouteMatch(prefix="/"),
        direct_response=DirectResponseAction(status=404),
    )


def usual_retries() -> RetryPolicy:
    """Of all routes whose services say nothing else."""
    return _retries(*_USUAL)


def _retries(count: int, read_timeout_ms: int) -> RetryPolicy:
    return RetryPolicy(
        retry_on=_RETRY_ON,
        num_retries=UInt32Value(value=count),
        per_try_idle_timeout=duration(read_timeout_ms),
    )


def _entries(match: RouteMatch, route: ir.Route, around: Surroundings) -> Iterator[Route]:
    for entry in _answers_first(match, route):
        yield _named(entry, route, OPEN)
    for entry in _usual(match, route, around):
        yield _named(entry, route, route.policy_id or OPEN)


def _answers_first(match: RouteMatch, route: ir.Route) -> Iterator[Route]:
    """What is answered before anybody is asked."""
    if route.https_only:
        yield _https_wanted(match, route.https_only)
    if route.grpc_only:
        yield from _grpc_wanted(match)


def _usual(match: RouteMatch, route: ir.Route, around: Surroundings) -> Iterator[Route]:
    action = route.action
    if isinstance(action, ir.Refuse):
        yield answer(match, LocalReply(action.status, action.message, action.reason))
    else:
        for how in joining(route.match.path, action, dots_arrive=around.dots_arrive):
            yield _forward(narrowed(match, route.match.path, how), route, action, how)


def _https_wanted(match: RouteMatch, wanted: ir.HttpsOnly) -> Route:
    plain = _also(match)
    plain.headers.append(over("http"))
    if wanted.status == 426:
        return answer(plain, LocalReply(426, "Please use HTTPS protocol"))
    result = Route(match=plain, direct_response=DirectResponseAction(status=wanted.status))
    result.response_headers_to_add.append(set_header("Location", f"https://{_HOST}%REQ(:PATH)%"))
    return result


def _grpc_wanted(match: RouteMatch) -> Iterator[Route]:
    old = _also(match)
    # Set on arrival for HTTP/2, and for nothing else.
    old.headers.append(HeaderMatcher(name=names.PROTOCOL, present_match=True, invert_match=True))
    yield answer(old, LocalReply(426, "Please use HTTP2 protocol"))
    other = _also(match)
    other.headers.append(header_regex("content-type", "application/grpc.*", invert=True))
    yield answer(other, LocalReply(415, "Non-gRPC request matched gRPC route"))


def answer(match: RouteMatch, reply: LocalReply) -> Route:
    """An entry that answers by itself; it has no name yet."""
    body = json_body(reply.message, reply.reason)
    result = Route(
        match=match,
        direct_response=DirectResponseAction(status=reply.status, body_format=body),
    )
    texts = route_texts(reply.message) | ({"reason": reply.reason} if reply.reason else {})
    for key, text in texts.items():
        result.metadata.filter_metadata[names.METADATA].fields[key].string_value = text
    return result


def _forward(match: RouteMatch, route: ir.Route, forward: ir.Forward, how: Joining) -> Route:
    # No limit for the whole: it would cut downloads and streams.
    action = RouteAction(cluster=forward.cluster, timeout=duration(0))
    if (forward.retries, forward.read_timeout_ms) != _USUAL:
        action.retry_policy.CopyFrom(_retries(forward.retries, forward.read_timeout_ms))
    if isinstance(how.rewrite, Rewrite):
        action.regex_rewrite.CopyFrom(
            RegexMatchAndSubstitute(
                pattern=regex(how.rewrite.pattern), substitution=how.rewrite.substitution
            )
        )
    elif how.rewrite is not None:
        action.prefix_rewrite = how.rewrite
    if forward.host is not None:
        action.host_rewrite_literal = forward.host
    result = Route(match=match, route=action)
    prefix = stripped_prefix(route.match.path, forward)
    if prefix is not None:
        result.request_headers_to_add.append(
            # Where there is one by now, a trusted peer has said it.
            default_header("X-Forwarded-Prefix", prefix.replace("%", "%%"))
        )
    return result


def _named(result: Route, route: ir.Route, policy: str) -> Route:
    """With the entry's label, which the proxy filter reads (`proxy_filter/src/route_name.rs`)."""
    label = RouteLabel(
        route.route_id,
        route.route_name or "",
        route.service_id or "",
        route.service_name or "",
        policy,
    )
    result.name = " ".join([str(label), *_named_by(route.match.path)])
    return result


def _named_by(path: ir.PathMatch | None) -> Iterator[str]:
    """The label's fourth word: what the filter refuses in paths, and the route's own path names."""
    kinds = {"slashes": "/\\", "parameters": ";"}
    named = [kind for kind, letters in kinds.items() if path and names_encoded(path, letters)]
    if named:
        yield ",".join(named)


def _also(match: RouteMatch) -> RouteMatch:
    result = RouteMatch()
    result.CopyFrom(match)
    return result
