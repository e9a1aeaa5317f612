"""Answers that Envoy makes itself, shaped and worded as Kong's. Source: admin-api.md §3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

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
from envoy.config.core.v3.base_pb2 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    RuntimeUInt32,
)
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, HeaderMatcher
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.any_pb2 import Any
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.reasons import EnvoyReason
from scopegate.ir import policy_dialogue as dialogue
from scopegate.reason_code import ReasonCode

NO_ROUTE = "no Route matched with those values"
RETRY_AFTER_S = 5
_REFUSALS_FROM = 400

GUARDED = (
    EnvoyReason.HOST_MALFORMED,
    EnvoyReason.PATH_AMBIGUOUS,
    EnvoyReason.PATH_ESCAPED_SLASH,
    EnvoyReason.PATH_PARAMETERS,
)
"""Why the guard refuses; each names a rule of it."""

_UNEXPECTED = "An unexpected error occurred"
_TIMED_OUT = (504, "The upstream server is timing out")
_NOT_CONNECTED_IN_TIME = "response.code_details.contains('{connection_timeout')"
_BY_FLAGS = (
    # the upstream did not say anything, or no more, in time
    (("UT", "SI"), *_TIMED_OUT),
    # it did not take the connection, or broke it, or spoke no HTTP
    (("UF", "UC", "UR", "UPE"), 502, "An invalid response was received from the upstream server"),
    # there is nobody: its name does not resolve
    (("UH", "NC"), 503, "name resolution failed"),
    (("UO",), 503, "The upstream server is currently unavailable"),
    (("NR",), 404, NO_ROUTE),
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
_DENIED = "response.code_details == 'ext_authz_denied'"
# Of all upgrades and tunnels only WebSockets are carried; Envoy would say 403 and nothing else.
_UPGRADE_UNKNOWN = "response.code_details == 'upgrade_failed'"
# Routes and the policy service have written their answers; those stay as they are.
_OUR_OWN = "response.code_details in ['direct_response', 'ext_authz_denied', 'lua_response']"


def direct_answer(
    status: int, message: str, reason: ReasonCode | None = None
) -> DirectResponseAction:
    """An answer of the route table's own: Kong's JSON, with a reason code beside it if given."""
    return DirectResponseAction(status=status, body_format=_body(message, reason))


def set_header(name: str, value: str) -> HeaderValueOption:
    """Set a header, whatever is there; `value` may use Envoy's substitutions."""
    return HeaderValueOption(
        header=HeaderValue(key=name, value=value),
        append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def refused_on_arrival() -> AccessLogFilter:
    """Refused before there was a request id: no HTTP, a head that is too large or too slow.

    What a request that was not refused costs is the look at its status.
    """
    without_id = AccessLogFilter(
        or_filter=OrFilter(filters=[_has_id(not_=True), _cel(_BEFORE_IDS)])
    )
    return AccessLogFilter(and_filter=AndFilter(filters=[_is_refusal(), without_id]))


def has_arrived() -> AccessLogFilter:
    """All other requests."""
    with_id = AccessLogFilter(and_filter=AndFilter(filters=[_has_id(), _cel(f"!({_BEFORE_IDS})")]))
    return AccessLogFilter(or_filter=OrFilter(filters=[_is_refusal(not_=True), with_id]))


def _is_refusal(*, not_: bool = False) -> AccessLogFilter:
    """Status 400 or more; a request that ended before its answer has none, which is 0."""
    operator = ComparisonFilter.LE if not_ else ComparisonFilter.GE
    return _compared(operator, _REFUSALS_FROM - 1 if not_ else _REFUSALS_FROM)


def _has_id(*, not_: bool = False) -> AccessLogFilter:
    id_ = HeaderMatcher(name=names.REQUEST_ID, present_match=True, invert_match=not_)
    return AccessLogFilter(header_filter=HeaderFilter(header=id_))


def request_id_header() -> HeaderValueOption:
    """The request's id, on every answer."""
    return set_header("X-Kong-Request-Id", f"%REQ({names.REQUEST_ID})%")


def local_replies() -> hcm.LocalReplyConfig:
    """What Envoy says when it answers itself; the first mapper that applies decides."""
    unavailable = _mapper(_cel("response.code_details == 'ext_authz_error'"), 503, _UNEXPECTED)
    unavailable.body_format_override.CopyFrom(_body(_UNEXPECTED, EnvoyReason.POLICY_UNAVAILABLE))
    unavailable.headers_to_add.append(set_header("Retry-After", str(RETRY_AFTER_S)))
    return hcm.LocalReplyConfig(
        mappers=[
            *_on_arrival(),
            *_guarded(),
            unavailable,
            _mapper(_cel(_UPGRADE_UNKNOWN), 400, "Bad request", EnvoyReason.UPGRADE_UNSUPPORTED),
            *(
                hcm.ResponseMapper(
                    filter=_cel(f"{_DENIED} && response.code == {said}"),
                    status_code=UInt32Value(value=meant),
                    headers_to_add=[request_id_header()],
                )
                for meant, said in dialogue.STAND_INS.items()
            ),
            hcm.ResponseMapper(filter=_cel(_OUR_OWN), headers_to_add=[request_id_header()]),
            _mapper(_cel(_NOT_CONNECTED_IN_TIME), *_TIMED_OUT),
            *(_mapper(_flags(flags), status, text) for flags, status, text in _BY_FLAGS),
            *(_mapper(_status(status), status, text) for status, text in _BY_STATUS.items()),
            hcm.ResponseMapper(
                filter=_status(0, at_least=True), headers_to_add=[request_id_header()]
            ),
        ]
    )


def _on_arrival() -> Iterator[hcm.ResponseMapper]:
    """These get an id for the answer and the log, of another form than those of requests."""
    for status, message in _BY_STATUS.items():
        condition = AndFilter(filters=[refused_on_arrival(), _status(status)])
        yield hcm.ResponseMapper(
            filter=AccessLogFilter(and_filter=condition),
            body_format_override=_body(
                message, EnvoyReason.REFUSED_ON_ARRIVAL, f"%RESP({names.REQUEST_ID})%"
            ),
            headers_to_add=[set_header("X-Kong-Request-Id", "%UNIQUE_ID%")],
        )


def _guarded() -> Iterator[hcm.ResponseMapper]:
    """What the guard refuses (`guards.py`), by the name of its rule: a reason."""
    for reason in GUARDED:
        denied = f"response.code_details == 'rbac_access_denied_matched_policy[{reason}]'"
        yield _mapper(_cel(denied), 400, "Bad request", reason)


def _mapper(
    condition: AccessLogFilter, status: int, message: str, reason: ReasonCode | None = None
) -> hcm.ResponseMapper:
    return hcm.ResponseMapper(
        filter=condition,
        status_code=UInt32Value(value=status),
        body_format_override=_body(message, reason),
        headers_to_add=[request_id_header()],
    )


def _body(
    message: str, reason: ReasonCode | None = None, request_id: str = f"%REQ({names.REQUEST_ID})%"
) -> SubstitutionFormatString:
    members = {"message": message} | ({"reason": reason} if reason else {})
    lines = [f'  "{key}":{json.dumps(text)}'.replace("%", "%%") for key, text in members.items()]
    lines.append(f'  "request_id":"{request_id}"')
    text = "{\n" + ",\n".join(lines) + "\n}"
    return SubstitutionFormatString(
        text_format_source=DataSource(inline_string=text),
        content_type="application/json; charset=utf-8",
    )


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
