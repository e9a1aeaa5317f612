"""Every reason that Envoy gives by itself; two of them stand in apply.lua.

What codes promise: `scopegate.reason_code`.
"""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class EnvoyReason(ReasonCode):
    """Why Envoy refuses by itself. The access log has these, and the answer; not the log.

    But for `request_unreadable`, which a policy worker sees: that is in the log.
    """

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
        "The policy service could not read the request: a method that nobody knows, or bytes in "
        "the query that no URL has, over HTTP/2.",
        "The client's fault. Over HTTP/1.1 it is `refused_on_arrival`. This one is in the log and "
        "in the answer, not in the access log.",
    )
    HEADERS_TOO_LARGE = (
        "headers_too_large",
        431,
        "The request's headers together with those that the gateway adds are more, or larger, than "
        "the proxy carries.",
        "Have the client send less, or raise the settings `request_headers_limit_kib` and "
        "`request_headers_limit_count`. A long path counts twice, for X-Forwarded-Path.",
    )
    POLICY_UNAVAILABLE = (
        "policy_unavailable",
        503,
        "No policy worker answered.",
        "Look for `process ended` and `process hangs` in the log; a worker that was killed is back "
        "in a second, one that hangs is killed after fifteen. Else the workers are overloaded: "
        "raise the setting `policy_workers`.",
    )
    POLICY_UNDECIDED = (
        "policy_undecided",
        503,
        "The request arrived past the filters that ask, which must never happen: it is stopped.",
        "Look whether the proxy has the latest configuration (`GET /status`); then please report "
        "it.",
    )
    POLICY_ANSWER_BROKEN = (
        "policy_answer_broken",
        500,
        "The proxy could not do what the policy service answered.",
        "Envoy's line `the answer of the policy service cannot be applied` says what: please "
        "report it.",
    )
