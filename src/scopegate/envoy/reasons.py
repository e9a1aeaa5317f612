"""Every reason that Envoy gives by itself; the proxy filter (`proxy_filter/`) knows its own, too.

What codes promise: `scopegate.reason_code`.
"""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class EnvoyReason(ReasonCode):
    """Why Envoy refuses by itself. The answer has these, and the access log; not the log."""

    HOST_MALFORMED = (
        "host_malformed",
        400,
        "The Host header is no name, or has odd characters.",
        "The client's fault; look at what stands before the gateway if it makes the header.",
    )
    PATH_AMBIGUOUS = (
        "path_ambiguous",
        400,
        "Servers read this path in different ways (`..%2f`, `..;`, `%252e`, `/a./b` …).",
        "Nearly always an attack: look at `client_ip`.",
    )
    PATH_ESCAPED_SLASH = (
        "path_escaped_slash",
        400,
        "The path has an encoded slash or backslash (%2F, %5C), which servers read differently.",
        "If the API needs them, name them in the route's own path; for all routes the setting "
        "`path_escaped_slashes=keep`.",
    )
    PATH_PARAMETERS = (
        "path_parameters",
        400,
        "The path has parameters (`;`, %3B), which some servers take off before they read it: "
        "`/api;x/admin` is `/api/admin` to them.",
        "If the API needs them, name the `;` in the route's own path; for all routes the setting "
        "`path_parameters=keep`. `;jsessionid=` comes from an upstream that writes its session "
        "into links: have it use cookies.",
    )
    FORWARDED_MALFORMED = (
        "forwarded_malformed",
        400,
        "A load balancer in `trusted_ips` sent an X-Forwarded-Proto, -Host, -Port, -Path or "
        "-Prefix that cannot be read, or one of them twice.",
        "Have the balancer replace what clients send under these names, or delete it "
        "(`docs/how-to/behind-a-load-balancer.md`). Nothing else is believed in its place: a wrong "
        "scheme would cost cookies their `Secure`.",
    )
    UPGRADE_UNSUPPORTED = (
        "upgrade_unsupported",
        400,
        "A tunnel (CONNECT) or an upgrade to something other than WebSocket.",
        "The client cannot have that here.",
    )
    REFUSED_ON_ARRIVAL = (
        "refused_on_arrival",
        (400, 408, 413, 426, 431, 500, 501, 503),
        "No request that could be read: no HTTP, headers too large, many or slow, or the proxy "
        "takes no more.",
        "`details` in the access log has Envoy's word for it. For 431 see the settings "
        "`request_headers_limit_kib` and `request_headers_limit_count`; for 503 the machine's "
        "load.",
    )
    REQUEST_UNREADABLE = (
        "request_unreadable",
        400,
        "The request has a method that is not made of letters, or bytes in its URL or headers that "
        "none has, so that the policy service cannot be asked about it.",
        "The client's fault; mostly HTTP/2. Over HTTP/1.1 it is nearly always "
        "`refused_on_arrival`.",
    )
    HEADERS_TOO_LARGE = (
        "headers_too_large",
        431,
        "The request's headers together with those that the policy sets are more, or larger, than "
        "the proxy carries.",
        "Have the client send less, or raise the settings `request_headers_limit_kib` and "
        "`request_headers_limit_count`. A long path counts twice, for X-Forwarded-Path.",
    )
    POLICY_UNAVAILABLE = (
        "policy_unavailable",
        503,
        "No policy worker took the request, or none answered in time.",
        "Look for `process ended` and `process hangs` in the log; a worker that was killed is back "
        "in a second, one that hangs is killed after fifteen. Else the workers are overloaded: "
        "raise the setting `policy_workers`.",
    )
    POLICY_UNDECIDED = (
        "policy_undecided",
        503,
        "The proxy does not know which policy decides, which must never happen: the request is "
        "stopped.",
        "Look whether the proxy has the latest configuration (`GET /status`); then please report "
        "it.",
    )
    POLICY_ANSWER_BROKEN = (
        "policy_answer_broken",
        500,
        "The proxy could not read or apply what the policy service answered.",
        "The line of the proxy filter in the log says what is wrong with it. Are the workers of "
        "another version? Else please report it.",
    )
    FILTER_FAULT = (
        "filter_fault",
        500,
        "A fault in the proxy filter itself; the request was stopped.",
        "The line of the proxy filter in the log says where. Please report it.",
    )
