"""Answers that Envoy makes itself, shaped and worded as Kong's. Source: admin-api.md §3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from envoy.config.accesslog.v3.accesslog_pb2 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ExtensionFilter,
    HeaderFilter,
    OrFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, RuntimeUInt32
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.error_bodies import FORMATS, REQUEST_ID, json_body
from scopegate.envoy.reasons import EnvoyReason

NO_ROUTE = "no Route matched with those values"
_REFUSALS_FROM, _FAULTS_FROM = 400, 500

_UNEXPECTED = "An unexpected error occurred"
_TIMED_OUT = (504, "The upstream server is timing out")
_NOT_CONNECTED_IN_TIME = "response.code_details.contains('{connection_timeout')"
_BY_FLAGS = (
    # the upstream did not say anything, or no more, in time
    (("UT", "SI"), *_TIMED_OUT),
    # it did not take the connection, or broke it, or spoke no HTTP
    (("UF", "UC", "UR", "UPE"), 502, "An invalid response was received from the upstream server"),
    (("UO",), 503, "The upstream server is currently unavailable"),
)
_BY_STATUS = {
    400: "Bad request",
    408: "Request timeout",
    413: "Payload too large",
    426: "Upgrade required",
    431: "Request header or cookie too large",
    500: _UNEXPECTED,
    501: "Not implemented",
    503: "The upstream server is currently unavailable",
}
# Before the client's own headers are taken away and a request id is made. Some of these refusals
# know no header; these know the client's, and an id among them would be of its own making.
_BEFORE_IDS = (
    "response.code_details in ['missing_host_header', 'missing_path_rejected',"
    " 'absolute_path_rejected', 'path_normalization_failed', 'low_version', 'overload']"
)
_BY_FILTER = "response.code_details.startsWith('scopegate.')"
_BY_POLICY = "scopegate.policy"
_REASON = f"%DYNAMIC_METADATA({names.METADATA}:reason)%"
_NO_CLIENT_ADDRESS = "rejecting_because_detection_failed"
"""Envoy's word for a request of which arrival has told no client's address."""
_UPGRADE_FAILED = "upgrade_failed"
"""Of all upgrades and tunnels only WebSockets are carried; Envoy would say 403, nothing else."""

Filters = Sequence[AccessLogFilter]


@dataclass(frozen=True, slots=True)
class LocalReply:
    """An answer that Envoy makes itself.

    reason       a reason code, or where Envoy finds it
    request_id   where Envoy finds the request's id
    """

    status: int
    message: str
    reason: str | None = None
    request_id: str = REQUEST_ID


def set_header(name: str, value: str) -> HeaderValueOption:
    """Set a header, whatever is there; `value` may use Envoy's substitutions."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def add_header(name: str, value: str) -> HeaderValueOption:
    """Add a header behind those of its name. Where there can be none it costs half of `set_header`;
    so where there can be, its list of headers to remove, which is done first, has the name.
    """
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.APPEND_IF_EXISTS_OR_ADD,
    )


def default_header(name: str, value: str) -> HeaderValueOption:
    """Add a header where there is none of its name."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.ADD_IF_ABSENT,
    )


def refused_on_arrival() -> AccessLogFilter:
    """Refused before there was a request id: no HTTP, a head that is too large or too slow.

    What a request that was not refused costs is the look at its status.
    """
    without_id = AccessLogFilter(
        or_filter=OrFilter(filters=[_has_id(not_=True), _cel(_BEFORE_IDS)])
    )
    return AccessLogFilter(and_filter=AndFilter(filters=[_is_refusal(), without_id]))


def refused_after_arrival() -> AccessLogFilter:
    """All other refusals."""
    filters = [_is_refusal(), _has_id(), _cel(f"!({_BEFORE_IDS})")]
    return AccessLogFilter(and_filter=AndFilter(filters=filters))


def not_refused() -> AccessLogFilter:
    """All other requests, those without an answer too."""
    return _is_refusal(not_=True)


def _is_refusal(*, not_: bool = False) -> AccessLogFilter:
    """Status 400 or more; a request that ended before its answer has none, which is 0."""
    operator = ComparisonFilter.LE if not_ else ComparisonFilter.GE
    return _compared(operator, _REFUSALS_FROM - 1 if not_ else _REFUSALS_FROM)


def _has_id(*, not_: bool = False) -> AccessLogFilter:
    id_ = HeaderMatcher(name=names.REQUEST_ID, present_match=True, invert_match=not_)
    return AccessLogFilter(header_filter=HeaderFilter(header=id_))


def request_id_header() -> HeaderValueOption:
    """The request's id, on every answer."""
    return set_header("X-Kong-Request-Id", REQUEST_ID)


def local_replies() -> hcm.LocalReplyConfig:
    """What Envoy says when it answers itself; the first mapper that applies decides."""
    return hcm.LocalReplyConfig(
        mappers=[*_on_arrival(), *_of_filter(), *_of_routes(), *_of_router()]
    )


def _on_arrival() -> Iterator[hcm.ResponseMapper]:
    """These get an id for the answer and the log, of another form than those of requests."""
    id_ = f"%RESP({names.REQUEST_ID})%"
    for status, message in _BY_STATUS.items():
        reply = LocalReply(status, message, EnvoyReason.REFUSED_ON_ARRIVAL, id_)
        condition = [_status(status), refused_on_arrival()]
        yield from _mappers(condition, reply, *_ours("%UNIQUE_ID%"))


def _of_filter() -> Iterator[hcm.ResponseMapper]:
    """What the proxy filter answers, or arrival has Envoy answer; what the policy service has
    written stays as it is.
    """
    yield _mapper([_details(_BY_POLICY)])
    for status in (400, 431, 500, 503):
        message = _UNEXPECTED if status >= _FAULTS_FROM else _BY_STATUS[status]
        reply = LocalReply(status, message, _REASON)
        yield from _mappers([_status(status), _cel(_BY_FILTER)], reply)
    malformed = LocalReply(400, "Bad request", EnvoyReason.FORWARDED_MALFORMED)
    yield from _mappers([_status(400), _details(_NO_CLIENT_ADDRESS)], malformed)
    unsupported = LocalReply(400, "Bad request", EnvoyReason.UPGRADE_UNSUPPORTED)
    yield from _mappers([_status(403), _details(_UPGRADE_FAILED)], unsupported)


def _of_routes() -> Iterator[hcm.ResponseMapper]:
    """What routes answer by themselves: JSON (`route_entries.answer`), or nothing yet."""
    # It stands at the end of many lists of the route table, so its words stand here.
    nothing = f"xds.route_name == '{names.NO_ROUTE}'"
    yield from _mappers([_status(404), _cel(nothing)], LocalReply(404, NO_ROUTE))
    direct = _details("direct_response")
    for each in FORMATS:
        yield _mapper([_is_refusal(), each.is_wanted(), direct], body=each.body_of_route())
    yield _mapper([direct])


def _of_router() -> Iterator[hcm.ResponseMapper]:
    """What goes wrong with an upstream, and the rest.

    With an upstream it counts as proxied, as for Kong: it has Via (`routes.py`) and the time of
    the proxy, where that is known, and not that of an answer of ours.
    """
    proxied = (
        request_id_header(),
        set_header("X-Kong-Proxy-Latency", "%COMMON_DURATION(DS_RX_BEG:US_TX_BEG:ms)%"),
        set_header("Via", f"%UPSTREAM_METADATA({names.METADATA}:{names.VIA})%"),
    )
    yield from _mappers([_cel(_NOT_CONNECTED_IN_TIME)], LocalReply(*_TIMED_OUT), *proxied)
    for flags, status, text in _BY_FLAGS:
        yield from _mappers([_flags(flags)], LocalReply(status, text), *proxied)
    # there is nobody: its name does not resolve
    yield from _mappers([_flags(["UH", "NC"])], LocalReply(503, "name resolution failed"))
    yield from _mappers([_flags(["NR"])], LocalReply(404, NO_ROUTE))
    for status, text in _BY_STATUS.items():
        yield from _mappers([_status(status)], LocalReply(status, text))
    yield _mapper([_status(0, at_least=True)])


def _ours(request_id: str = REQUEST_ID) -> Sequence[HeaderValueOption]:
    """What answers of our own have; the time is in milliseconds."""
    return (
        set_header("X-Kong-Request-Id", request_id),
        set_header("X-Kong-Response-Latency", "%DURATION%"),
    )


def _mappers(
    condition: Filters, reply: LocalReply, *headers: HeaderValueOption
) -> Iterator[hcm.ResponseMapper]:
    """For each format one; the last is JSON. Of the condition the first filter costs least."""
    status, id_ = reply.status, reply.request_id
    for each in FORMATS:
        wanted = [condition[0], each.is_wanted(), *condition[1:]]
        yield _mapper(wanted, *headers, status=status, body=each.body(reply.message, id_))
    as_json = json_body(reply.message, reply.reason, id_)
    yield _mapper(condition, *headers, status=status, body=as_json)


def _mapper(
    condition: Filters,
    *headers: HeaderValueOption,
    status: int | None = None,
    body: SubstitutionFormatString | None = None,
) -> hcm.ResponseMapper:
    """What is not given stays as it is."""
    return hcm.ResponseMapper(
        filter=_all(condition),
        status_code=None if status is None else UInt32Value(value=status),
        body_format_override=body,
        headers_to_add=headers or _ours(),
    )


def _all(filters: Filters) -> AccessLogFilter:
    """Tried in order, up to the first that does not hold."""
    if len(filters) == 1:
        return filters[0]
    return AccessLogFilter(and_filter=AndFilter(filters=filters))


def _details(text: str) -> AccessLogFilter:
    return _cel(f"response.code_details == '{text}'")


def _flags(flags: Sequence[str]) -> AccessLogFilter:
    return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=flags))


def _status(status: int, *, at_least: bool = False) -> AccessLogFilter:
    return _compared(ComparisonFilter.GE if at_least else ComparisonFilter.EQ, status)


def _compared(operator: ComparisonFilter.Op.ValueType, status: int) -> AccessLogFilter:
    # Envoy insists on a key under which the number could be overridden at run time.
    value = RuntimeUInt32(default_value=status, runtime_key="scopegate.local_reply_status")
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=operator, value=value))
    )


def _cel(expression: str) -> AccessLogFilter:
    config = Any()
    config.Pack(ExpressionFilter(expression=expression))
    return AccessLogFilter(
        extension_filter=ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=config
        )
    )
