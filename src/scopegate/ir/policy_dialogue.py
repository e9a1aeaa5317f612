"""What Envoy and the policy service must both know of their dialogue: HTTP, over a Unix socket.

The question carries the client's method, path and headers, and ours: PHASE, POLICY, ROUTE (a
label, see `ir/route_label.py`; UTF-8), CLIENT_IP, SCHEME, REQUEST_ID.
What clients send under such names is gone long before (`envoy/arrival.py`).

An answer 200 lets the request go on by what DECIDED says: `YES` at once, `YES_CHANGED` after
`apply.lua`; `WITH_BODY` lets Envoy ask again with the body, and without any nothing goes on. GRANT
and GRANTED (`ir/replay.py`) let Envoy give the same yes again. It may carry the headers for the
upstream and the client that the gateway names, `set-cookie` and `cache-control` for the client,
REMOVE (names, joined by commas), and what `apply.lua` does:

    QUERY      `?` and the query for the upstream in place of the client's; `?` alone: none
    METHOD     for the upstream
    BODY       DROP: the upstream gets none
    BODY_CUT   `start-end[,start-end]`: offsets in bytes, the end not included, to be taken out

Every other status is the answer to the client. A 200 Envoy takes for a yes, and of a status from
500 on it believes that the service itself has failed, and answers 503 in its own words; so those of
STAND_INS travel in other clothes.
"""

PHASE = "x-scopegate-phase"
HEAD_PHASE, BODY_PHASE = "head", "body"
"""The first question, and the second with what was buffered of the body."""

POLICY = "x-scopegate-policy"
ROUTE = "x-scopegate-route"
CLIENT_IP = "x-scopegate-client-ip"
SCHEME = "x-scopegate-scheme"
REQUEST_ID = "x-request-id"
"""The id that the answer has as X-Kong-Request-Id."""

BODY_IS_CUT = "x-envoy-auth-partial-body"
"""Envoy's own word: `true` when the body was too long to be buffered."""

DECIDED, WITH_BODY, YES, YES_CHANGED = "x-scopegate-decided", "0", "1", "2"
"""Envoy puts it into the request, where the filters look for it, and takes it away at the end."""

QUERY = "x-scopegate-query"
METHOD = "x-scopegate-method"
BODY, DROP = "x-scopegate-body", "drop"
BODY_CUT = "x-scopegate-body-cut"
APPLIED = (QUERY, METHOD, BODY, BODY_CUT)
"""What is done to the request and goes no further."""

REMOVE = "x-envoy-auth-headers-to-remove"
"""Envoy's own word, too."""

STAND_INS = {200: 485} | {500 + number: 480 + number for number in range(5)}
"""Status that the client is told → status that the policy service says in its place."""

UNREADABLE = 486
"""Said of a question that could not be read: HTTP/2 carries methods and characters in queries that
HTTP/1.1 has no place for."""
