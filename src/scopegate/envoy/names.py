"""Names that Envoy's parts must agree on. Those that the policy service speaks, too, are in
`ir/policy_dialogue.py`.
"""

SPELLINGS = "scopegate.spellings"
REMEMBER = "scopegate.remember"
DEBUG = "scopegate.debug"
GUARD = "scopegate.guard"
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
"""Namespace in which the asking filters note what was answered: filters that ECDS hands out write
under the name of their kind, not their own (seen in 1.40)."""

NO_ROUTE = "no-route"
"""The entry for what no route takes."""

TUNNEL = "tunnel"
"""The entry for CONNECT."""

METADATA = "scopegate"
"""Namespace of route metadata (policy, reason, what Kong-Debug tells) and of the host without
port."""

VIA = "via"
"""Key of the metadata of an endpoint: how answers from there name the gateway in Via."""

REQUEST_ID = "x-kong-request-id"

PROTOCOL = "x-scopegate-protocol"
SNI = "x-scopegate-sni"
"""What route matches need and requests do not carry; set on arrival, removed before forwarding."""
