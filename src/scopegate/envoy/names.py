"""Names that Envoy's parts, and the policy service behind it, must agree on.

A request to the policy service carries the client's method, path and headers, and ours:
`x-scopegate-phase` (`head`, or `body` with what was buffered of the body), `-policy`, `-route`,
`-service`, `-client-ip`, `-scheme`, `-port`, and `x-request-id`, which is the answer's
`X-Kong-Request-Id`.

Its answer 200 lets the request go on when it has `x-scopegate-decided: 1`; without it Envoy asks
again with the body. It may carry the headers for the upstream and the client that the gateway
names, `set-cookie` and `cache-control` for the client, `x-envoy-auth-headers-to-remove: a,b`, and
what `apply.lua` does: `x-scopegate-target` (path and query, as the client would have sent them),
`-method`, `-body: drop`, `-body-cut: start-end[,start-end]` (offsets in bytes, the end not
included).
Every other status is the answer to the client. Of a status from 500 on Envoy believes that the
service itself has failed, and answers 503 in its own words; so 500 to 504 travel as 480 to 484.
"""

ASK = "scopegate.ask"
ASK_BODY = "scopegate.ask_body"
APPLY = "scopegate.apply"
COOKIES = "scopegate.cookies"
HOST = "scopegate.host"
TRAILERS = "scopegate.trailers"
ROUTER = "envoy.filters.http.router"

POLICY_CLUSTER = "scopegate.policy"
CONTROL_CLUSTER = "scopegate.control"

ANSWERS = "envoy.filters.http.ext_authz"
"""Namespace in which the asking filters put what was decided: filters that ECDS hands out write
under the name of their kind, not their own (seen in 1.40)."""

METADATA = "scopegate"
"""Namespace of route metadata (policy, route, service, reason) and of the host without port."""

FAILURES = {480 + number: 500 + number for number in range(5)}
"""What the policy service says for a failure, and what the client is told."""

REQUEST_ID = "x-kong-request-id"

DECIDED = "x-scopegate-decided"
PHASE = "x-scopegate-phase"
POLICY = "x-scopegate-policy"
ROUTE = "x-scopegate-route"
SERVICE = "x-scopegate-service"
CLIENT_IP = "x-scopegate-client-ip"
SCHEME = "x-scopegate-scheme"
PORT = "x-scopegate-port"

TARGET = "x-scopegate-target"
METHOD = "x-scopegate-method"
BODY = "x-scopegate-body"
BODY_CUT = "x-scopegate-body-cut"
APPLIED = (TARGET, METHOD, BODY, BODY_CUT)

PROTOCOL = "x-scopegate-protocol"
SNI = "x-scopegate-sni"
"""What route matches need and requests do not carry; set on arrival, removed before forwarding."""
