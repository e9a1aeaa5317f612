"""Every reason of the compiler. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class CompileReason(ReasonCode):
    """Why routes are refused whose configuration cannot be carried out; also findings."""

    PLUGIN_UNKNOWN = (
        "plugin_unknown",
        500,
        "The plugin is not part of this version.",
        "Delete the plugin, or install the version that has it.",
    )
    PLUGIN_DEFECT = (
        "plugin_defect",
        500,
        "The plugin's compiler failed: a fault in Scopegate itself.",
        "Undo the last change of the plugin, and please report the finding.",
    )
    CONSUMER_SCOPE_UNSUPPORTED = (
        "consumer_scope_unsupported",
        500,
        "The plugin is for one consumer, which does not work yet.",
        "Take the consumer out of the plugin, or delete it.",
    )
    HEADER_NAME_RESERVED = (
        "header_name_reserved",
        500,
        "The plugin names a header that belongs to the connection or the gateway, or is too long.",
        "The finding names the header; choose another name in the plugin's fields.",
    )
    ROUTE_REGEX_INVALID = (
        "route_regex_invalid",
        500,
        "A regular expression of the route cannot be used.",
        "The finding says what is wrong with it; correct the route.",
    )
    SERVICE_PROTOCOL_UNSUPPORTED = (
        "service_protocol_unsupported",
        500,
        "The service's protocol is not supported yet.",
        "Choose one of those that the finding names.",
    )
    SERVICE_MISSING = (
        "service_missing",
        503,
        "The route has no service, so that there is nowhere to send the request.",
        "Give the route a service. No finding: plugins may answer such routes by themselves.",
    )


class CompileFinding(ReasonCode):
    """What works less than it seems to."""

    UPSTREAM_TLS_UNVERIFIED = (
        "upstream_tls_unverified",
        (),
        "The upstream's certificate is not verified: anybody could answer for it.",
        "Set the service's `tls_verify=true`.",
    )
    ROUTE_PROTOCOL_UNSUPPORTED = (
        "route_protocol_unsupported",
        (),
        "None of the route's protocols is served: it never matches.",
        "Choose one of those that the finding names.",
    )
    PATH_SET_UNMATCHABLE = (
        "path_set_unmatchable",
        (),
        "A range of characters beyond ASCII in the route's path matches nothing.",
        "Name the characters one by one; the finding shows the range.",
    )
    PATH_UNMATCHABLE = (
        "path_unmatchable",
        (),
        "A path of the route has a `?` or `#`, which never stands in a request's path.",
        "Leave out what begins with it; queries are not matched.",
    )
    METHOD_UNMATCHABLE = (
        "method_unmatchable",
        (),
        "The proxy does not know a method of the route: over HTTP/1.1 it gets 400.",
        "Use another method, or HTTP/2; CONNECT reaches no route at all.",
    )
    PLUGIN_PROTOCOLS_UNSHARED = (
        "plugin_protocols_unshared",
        (),
        "A route that the plugin was given for is open: none of the plugin's protocols is its.",
        "Give the plugin the protocols of the routes that the finding names.",
    )
    SESSION_COOKIES_OVERLAP = (
        "session_cookies_overlap",
        (),
        "A plugin's cookie has the name of a piece of another plugin's long session cookie.",
        "Give the plugin that the finding is about a cookie name without a digit at its end.",
    )
