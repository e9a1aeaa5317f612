"""The entries of one route, in the order in which Envoy tries them.

Source: contract admin-api.md §3 (after matching).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace

from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.answers import Said, set_header
from scopegate.envoy.error_bodies import json_body, route_texts
from scopegate.envoy.filters import host_without_port, no_trailers, unasked
from scopegate.envoy.messages import duration
from scopegate.envoy.path_rewrites import Joining, Rewrite, joining, stripped_prefix
from scopegate.envoy.route_matches import (
    envoy_matches,
    header_prefix,
    header_regex,
    narrowed,
    over,
    regex,
)
from scopegate.envoy.spellings import arrives
from scopegate.ir import gateway as ir
from scopegate.ir.replay import ReplayKey, text_id
from scopegate.ir.route_label import RouteLabel

HOST = f"%DYNAMIC_METADATA({names.METADATA}:host)%"
"""The host that the client named, without port; for entries and virtual hosts that switch
`filters.host_without_port` on."""

_UNASKED, _NO_TRAILERS, _HOST_WANTED = unasked(), no_trailers(), host_without_port()
# A request that nobody has begun to work on can be sent again, whatever its method.
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"
_USUAL = (ir.USUAL_RETRIES, ir.USUAL_READ_TIMEOUT_MS)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a virtual host says of all of its entries.

    host_is_known   only hosts of the route itself arrive
    dots_arrive     see `path_rewrites.joining`
    is_open         no route here has a policy; the filters that ask are switched off for all
    debug           clients may ask which route took their request
    ports           of the listeners
    """

    host_is_known: bool
    dots_arrive: bool
    is_open: bool
    debug: bool
    ports: frozenset[int]


def entries(route: ir.Route, around: Surroundings) -> Iterator[Route]:
    """All entries of a route, as they stand in a virtual host."""
    match = replace(route.match, hosts=()) if around.host_is_known else route.match
    for envoy_match in envoy_matches(match, around.ports):
        yield from _entries(envoy_match, route, around)


def no_route(*, is_open: bool = False) -> Route:
    """The answer to what no route takes; its words are in `answers.py`."""
    result = Route(
        name=names.NO_ROUTE,
        match=RouteMatch(prefix="/"),
        direct_response=DirectResponseAction(status=404),
    )
    if not is_open:
        switch_off(result)
    return result


def switch_off(message: Route | VirtualHost) -> None:
    """Nobody is asked about what goes this way."""
    for name, config in _UNASKED.items():
        message.typed_per_filter_config[name].CopyFrom(config)


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
        if not around.is_open:
            switch_off(entry)
        yield _named(entry, route, around)
    for entry in _usual(match, route, around):
        if route.policy_id is None:
            if not around.is_open:
                switch_off(entry)
        else:
            _let_remember(entry, route.policy_id, route.replay)
        yield _named(entry, route, around)


def _answers_first(match: RouteMatch, route: ir.Route) -> Iterator[Route]:
    """What is answered before anybody is asked."""
    if route.https_only:
        yield _https_wanted(match, route.https_only)
    if route.grpc_only:
        yield from _grpc_wanted(match)


def _usual(match: RouteMatch, route: ir.Route, around: Surroundings) -> Iterator[Route]:
    action = route.action
    if isinstance(action, ir.Refuse):
        yield answer(match, Said(action.status, action.message, action.reason))
    else:
        for how in joining(route.match.path, action, dots_arrive=around.dots_arrive):
            yield _forward(narrowed(match, route.match.path, how), route, action, how)


def _https_wanted(match: RouteMatch, wanted: ir.HttpsOnly) -> Route:
    plain = _also(match)
    plain.headers.append(over("http"))
    if wanted.status == 426:
        return answer(plain, Said(426, "Please use HTTPS protocol"))
    result = Route(match=plain, direct_response=DirectResponseAction(status=wanted.status))
    result.response_headers_to_add.append(set_header("Location", f"https://{HOST}%REQ(:PATH)%"))
    result.typed_per_filter_config[names.HOST].CopyFrom(_HOST_WANTED)
    return result


def _grpc_wanted(match: RouteMatch) -> Iterator[Route]:
    old = _also(match)
    old.headers.append(header_prefix(names.PROTOCOL, "HTTP/1"))
    yield answer(old, Said(426, "Please use HTTP2 protocol"))
    other = _also(match)
    other.headers.append(header_regex("content-type", "application/grpc.*", invert=True))
    yield answer(other, Said(415, "Non-gRPC request matched gRPC route"))


def answer(match: RouteMatch, said: Said) -> Route:
    """An entry that answers by itself; it has no name yet."""
    spoken = DirectResponseAction(
        status=said.status, body_format=json_body(said.message, said.reason)
    )
    result = Route(match=match, direct_response=spoken)
    _add(result, names.METADATA, {"reason": said.reason or "", **route_texts(said.message)})
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
    if forward.http2:
        result.typed_per_filter_config[names.TRAILERS].CopyFrom(_NO_TRAILERS)
    prefix = stripped_prefix(route.match.path, forward)
    if prefix is not None:
        result.request_headers_to_add.append(
            set_header("X-Forwarded-Prefix", prefix.replace("%", "%%"))
        )
    return result


def _let_remember(result: Route, policy_id: str, replay: ReplayKey | None) -> None:
    """Who decides, and for Envoy's memory what a yes rests on."""
    _add(result, names.METADATA, {"policy": policy_id})
    if replay is None:
        result.typed_per_filter_config[names.REMEMBER].CopyFrom(_UNASKED[names.REMEMBER])
    else:
        # What is gone on arrival need not be looked for.
        stripped = frozenset(filter(arrives, replay.stripped))
        text = replace(replay, stripped=stripped).text(policy_id)
        _add(result, names.REMEMBER, {"id": text_id(text), "replay": text})


def _named(result: Route, route: ir.Route, around: Surroundings) -> Route:
    """For the policy service, the log, and clients that may ask."""
    label = RouteLabel(
        route.route_id, route.route_name or "", route.service_id or "", route.service_name or ""
    )
    result.name = str(label)
    if around.debug:
        _add(result, names.METADATA, asdict(label))
    return result


def _add(result: Route, namespace: str, texts: Mapping[str, str]) -> None:
    """What is empty is left out."""
    for key, text in texts.items():
        if text:
            result.metadata.filter_metadata[namespace].fields[key].string_value = text


def _also(match: RouteMatch) -> RouteMatch:
    result = RouteMatch()
    result.CopyFrom(match)
    return result
