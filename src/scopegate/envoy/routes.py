"""The route table of a listener. Source: contract admin-api.md §3 (match, after matching)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, Metadata
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.type.matcher.v3.regex_pb2 import RegexMatchAndSubstitute
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.ambiguous_paths import (
    AMBIGUOUS,
    ESCAPED_SLASH,
    PATH_PARAMETERS,
    TRAILING_DOTS,
)
from scopegate.envoy.answers import (
    NO_ROUTE,
    direct_answer,
    request_id_header,
    set_header,
)
from scopegate.envoy.filters import unasked
from scopegate.envoy.messages import duration
from scopegate.envoy.path_rewrites import (
    Rewrite,
    anchored,
    joining,
    names_encoded,
    stripped_prefix,
)
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.route_matches import (
    envoy_matches,
    header_prefix,
    header_regex,
    regex,
    set_whole_path,
)
from scopegate.ir import gateway as ir
from scopegate.ir import policy_dialogue as dialogue
from scopegate.reason_code import ReasonCode

_HOST = f"%DYNAMIC_METADATA({names.METADATA}:host)%"
_UNASKED = unasked()
# A name of non-empty labels, perhaps with a dot at its end, or an IPv6 address; perhaps a port.
_WELL_FORMED_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
# A regex that looks at no second segment: no slash but the first, and nothing that could be one.
_ONE_SEGMENT = re.compile(r"/(?:[A-Za-z0-9_~()|?*+{},$-]|\[[A-Za-z0-9_-]+\]|\\[dw.])*")
# A request that nobody has begun to work on can be sent again, whatever its method.
_RETRY_ON = "connect-failure,refused-stream,reset-before-request"


def table_name(listener: ir.Listener) -> str:
    """The name under which a listener asks for its routes."""
    return f"routes-{listener.name}"


def route_table(gateway: ir.Gateway, listener: ir.Listener) -> RouteConfiguration:
    """All routes in the order in which they are tried; first what no route may see."""
    routes = [
        *_guards(gateway),
        *(entry for route in gateway.routes for entry in _entries(route, listener)),
        _answer("no-route", RouteMatch(prefix="/"), direct_answer(404, NO_ROUTE)),
    ]
    return RouteConfiguration(
        name=table_name(listener),
        virtual_hosts=[VirtualHost(name="all", domains=["*"], routes=routes)],
        request_headers_to_add=list(_request_headers(listener)),
        request_headers_to_remove=[
            names.PROTOCOL,
            names.SNI,
            *dialogue.APPLIED,
            "x-envoy-external-address",
            "x-envoy-internal",
        ],
        response_headers_to_add=[
            request_id_header(),
            # What cannot be said of an answer of Envoy's own is left out.
            set_header("X-Kong-Upstream-Latency", "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:ms)%"),
            set_header("X-Kong-Proxy-Latency", "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:ms)%"),
        ],
    )


def _guards(gateway: ir.Gateway) -> Iterator[Route]:
    """What no route may see: tunnels, hosts and paths that somebody may read differently."""
    tunnel = RouteMatch(connect_matcher=RouteMatch.ConnectMatcher())
    yield _bad_request("tunnel", tunnel, EnvoyReason.UPGRADE_UNSUPPORTED)
    odd_host = header_regex(":authority", _WELL_FORMED_HOST, invert=True)
    match = RouteMatch(prefix="/", headers=[odd_host])
    yield _bad_request("host-malformed", match, EnvoyReason.HOST_MALFORMED)
    match = RouteMatch(safe_regex=regex(AMBIGUOUS))
    yield _bad_request("path-ambiguous", match, EnvoyReason.PATH_AMBIGUOUS)
    if any(map(_goes_deeper, _paths(gateway))):
        match = RouteMatch(safe_regex=regex(TRAILING_DOTS))
        yield _bad_request("path-trailing-dots", match, EnvoyReason.PATH_AMBIGUOUS)
    if gateway.escaped_slashes == "refuse":
        match = _unless_named(gateway, "/\\", ESCAPED_SLASH)
        yield _bad_request("path-escaped-slash", match, EnvoyReason.PATH_ESCAPED_SLASH)
    if gateway.path_parameters == "refuse":
        match = _unless_named(gateway, ";", PATH_PARAMETERS)
        yield _bad_request("path-parameters", match, EnvoyReason.PATH_PARAMETERS)


def _unless_named(gateway: ir.Gateway, characters: str, pattern: str) -> RouteMatch:
    """What matches the pattern, but for paths of routes that name one of the characters."""
    match = RouteMatch(safe_regex=regex(pattern))
    named = (path for path in _paths(gateway) if names_encoded(path, characters))
    own = sorted(set(map(anchored, named)))
    if own:
        # `:path` has the query, too.
        match.headers.append(header_regex(":path", f"(?:{'|'.join(own)}).*", invert=True))
    return match


def _paths(gateway: ir.Gateway) -> Iterator[ir.PathMatch]:
    return (route.match.path for route in gateway.routes if route.match.path is not None)


def _goes_deeper(path: ir.PathMatch) -> bool:
    """Whether more than the first segment counts; else it does not matter how that one ends."""
    if path.kind == "regex":
        return _ONE_SEGMENT.fullmatch(path.value) is None
    return re.search("/|%2F|%5C", path.value[1:]) is not None


def _bad_request(key: str, match: RouteMatch, reason: EnvoyReason) -> Route:
    return _answer(key, match, direct_answer(400, "Bad request", reason), reason)


def _entries(route: ir.Route, listener: ir.Listener) -> Iterator[Route]:
    for number, match in enumerate(envoy_matches(route.match, listener)):
        key = f"{route.key}/{number}"
        if route.https_only and listener.tls is None:
            yield _https_wanted(key, match, route.https_only)
            continue
        if route.grpc_only:
            yield from _grpc_wanted(key, match)
        if isinstance(route.action, ir.Refuse):
            refuse = route.action
            answer = direct_answer(refuse.status, refuse.message, refuse.reason)
            yield _answer(key, match, answer, refuse.reason, route)
        else:
            yield from _forwards(key, match, route, route.action)


def _https_wanted(key: str, match: RouteMatch, wanted: ir.HttpsOnly) -> Route:
    if wanted.status == 426:
        return _answer(key, match, direct_answer(426, "Please use HTTPS protocol"))
    answer = _answer(key, match, DirectResponseAction(status=wanted.status))
    answer.response_headers_to_add.append(set_header("Location", f"https://{_HOST}%REQ(:PATH)%"))
    return answer


def _grpc_wanted(key: str, match: RouteMatch) -> Iterator[Route]:
    old = RouteMatch()
    old.CopyFrom(match)
    old.headers.append(header_prefix(names.PROTOCOL, "HTTP/1"))
    yield _answer(f"{key}/http1", old, direct_answer(426, "Please use HTTP2 protocol"))
    other = RouteMatch()
    other.CopyFrom(match)
    other.headers.append(header_regex("content-type", "application/grpc.*", invert=True))
    refusal = direct_answer(415, "Non-gRPC request matched gRPC route")
    yield _answer(f"{key}/content", other, refusal)


def _answer(
    key: str,
    match: RouteMatch,
    answer: DirectResponseAction,
    reason: ReasonCode | None = None,
    route: ir.Route | None = None,
) -> Route:
    result = Route(name=key, match=match, direct_response=answer)
    _describe(result, route, reason)
    return result


def _forwards(key: str, match: RouteMatch, route: ir.Route, forward: ir.Forward) -> Iterator[Route]:
    how = joining(route.match.path, forward)
    if how.exact is not None and route.match.path is not None:
        whole = RouteMatch()
        whole.CopyFrom(match)
        set_whole_path(whole, route.match.path)
        if how.exact_end:
            whole.headers.append(header_regex(":path", rf"(?:{how.exact_end})(?:\?.*)?"))
        yield _forward(f"{key}/exact", whole, route, forward, how.exact)
    yield _forward(key, match, route, forward, how.usual)


def _forward(
    key: str, match: RouteMatch, route: ir.Route, forward: ir.Forward, rewrite: Rewrite | None
) -> Route:
    action = RouteAction(
        cluster=forward.cluster,
        # No limit for the whole: it would cut downloads and streams.
        timeout=duration(0),
        retry_policy=RetryPolicy(
            retry_on=_RETRY_ON,
            num_retries=UInt32Value(value=forward.retries),
            per_try_idle_timeout=duration(forward.read_timeout_ms),
        ),
    )
    if rewrite is not None:
        action.regex_rewrite.CopyFrom(
            RegexMatchAndSubstitute(
                pattern=regex(rewrite.pattern), substitution=rewrite.substitution
            )
        )
    if forward.host is not None:
        action.host_rewrite_literal = forward.host
    result = Route(name=key, match=match, route=action)
    prefix = stripped_prefix(route.match.path, forward)
    if prefix is not None:
        result.request_headers_to_add.append(
            set_header("X-Forwarded-Prefix", prefix.replace("%", "%%"))
        )
    _describe(result, route, None)
    return result


def _describe(result: Route, route: ir.Route | None, reason: ReasonCode | None) -> None:
    """For the policy service and the log: what this is; and whether to ask."""
    known: dict[str, str] = {"reason": reason or ""}
    if route is not None:
        known |= {
            "policy": route.policy_id or "",
            "route": route.route_id,
            "route_name": route.route_name or "",
            "service": route.service_id or "",
            "service_name": route.service_name or "",
        }
    struct = Struct()
    struct.update({key: text for key, text in known.items() if text})
    result.metadata.CopyFrom(Metadata(filter_metadata={names.METADATA: struct}))
    if route is None or route.policy_id is None:
        for name, config in _UNASKED.items():
            result.typed_per_filter_config[name].CopyFrom(config)
    elif route.replay is None:
        result.typed_per_filter_config[names.REMEMBER].CopyFrom(_UNASKED[names.REMEMBER])
    else:
        rests_on = Struct()
        rests_on.update({"replay": route.replay.text(route.policy_id)})
        result.metadata.filter_metadata[names.REMEMBER].CopyFrom(rests_on)


def _request_headers(listener: ir.Listener) -> Iterator[HeaderValueOption]:
    """What the upstream learns about the client; X-Forwarded-Path is there since arrival.

    Source: admin-api.md §3 (request headers).
    """
    yield HeaderValueOption(
        header=HeaderValue(
            key="X-Forwarded-For", value="%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
        ),
        append_action=HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
    )
    yield set_header("X-Real-IP", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
    yield set_header("X-Forwarded-Proto", "https" if listener.tls else "http")
    yield set_header("X-Forwarded-Host", _HOST)
    yield set_header("X-Forwarded-Port", "%DOWNSTREAM_LOCAL_PORT%")
    # Only an upgrade still has the header here. What the client names in it besides, a server
    # further on would take away (RFC 9110 §7.6.1): `Connection: Upgrade, X-Consumer-Id`.
    yield HeaderValueOption(
        header=HeaderValue(key="Connection", value="Upgrade"),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS,
    )
