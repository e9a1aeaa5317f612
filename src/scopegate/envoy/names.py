"""Names that Envoy's parts must agree on."""

from scopegate.ir.route_label import OPEN, RouteLabel

FILTER = "scopegate.filter"
MODULE = "scopegate_filter"
"""The shared library of the filter is lib<MODULE>.so."""

ROUTER = "envoy.filters.http.router"

POLICY_CLUSTER = "scopegate.policy"
CONTROL_CLUSTER = "scopegate.control"

NO_ROUTE = str(RouteLabel("no-route", policy=OPEN))
"""The entry for what no route takes."""

TUNNEL = str(RouteLabel("tunnel", policy=OPEN))
"""The entry for CONNECT."""

METADATA = "scopegate"
"""Namespace of route metadata (`reason` and the texts of entries that answer by themselves) and of
what the filter says of a request (`reason`)."""

VIA = "via"
"""Key of the metadata of an endpoint: how answers from there name the gateway in Via."""

REQUEST_ID = "x-kong-request-id"

CLIENT_IP = "x-scopegate-client-ip"
"""The client's address, set on arrival where there are trusted peers: from here Envoy takes it."""

FORWARDED = (
    CLIENT_IP,
    "x-scopegate-authority",
    "x-scopegate-forwarded-port",
    "x-scopegate-forwarded-path",
)
"""What arrival says of a request where there are trusted peers; removed before forwarding."""

ARRIVAL_REASON = "x-scopegate-reason"
"""Why Envoy refuses a request on arrival; it has no client address then."""

PROTOCOL = "x-scopegate-protocol"
SNI = "x-scopegate-sni"
"""What route matches need and requests do not carry; set on arrival, removed before forwarding."""

NO_HOST = "no-host.invalid"
"""The host of an HTTP/1.0 request that names none (RFC 1945 has no Host header). No server has this
name (RFC 6761 §6.4), so routes without hosts take the request."""
