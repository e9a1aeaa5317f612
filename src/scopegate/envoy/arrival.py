"""What happens to the headers of every request on arrival, before anything reads them.

Clients' words that only the gateway may say are taken away, and its own are put there. What one
plugin may set besides is taken away by that plugin, on its own routes (for openid-connect:
`plugins/openid_connect/stripping.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy import names
from scopegate.envoy.answers import add_header, set_header
from scopegate.envoy.route_matches import PORT, regex
from scopegate.ir import gateway as ir

# Servers that hand headers on as variables (CGI and its kin) take `_` for `-`, some of them every
# character that is no letter and no digit.
SEPARATOR = "[^a-z0-9]"
# What a client must never say: our own words, Envoy's orders to itself, identities, where the
# request came from (X-Forwarded-For alone stays, our word is appended to it), another path than
# the one that was decided about. `-` stands for any separator.
# Source: contract openid-connect.md §7, §22 (1).
_NAMES = "|".join(
    (
        "scopegate-.*",
        "envoy-.*",
        "consumer-(?:id|username|custom-id|groups)",
        "credential-(?:identifier|username)",
        "anonymous-consumer",
        "authenticated-(?:groups|scope|userid)",
        "forwarded-(?:[^f].*|f(?:[^o].*)?|fo(?:[^r].*)?|for.+)",
        "real-ip",
        "original-url|rewrite-url",
    )
)
# Every header of every request is held against this: most differ in their first character.
STRIPPED_HEADERS = "|".join(
    (
        f"x-(?:{_NAMES})".replace("-", SEPARATOR),
        # In its own spelling it is ours by then.
        "x[^a-z0-9-]kong[^a-z0-9]request[^a-z0-9]id",
        "x-kong(?:[^a-z0-9-]request[^a-z0-9]|-request[^a-z0-9-])id",
        "x[^a-z0-9-]forwarded[^a-z0-9]for|x-forwarded[^a-z0-9-]for",
        "forwarded",
    )
)


def on_arrival(listener: ir.Listener) -> Iterator[HeaderMutation]:
    """The changes, in order."""
    # First, since its part is taken away with what clients send under such names.
    yield from _new_request_id()
    ours = StringMatcher(safe_regex=regex(STRIPPED_HEADERS))
    yield HeaderMutation(remove_on_match=HeaderMutation.RemoveOnMatch(key_matcher=ours))
    # No client's header has one of these names any more.
    # The path is normalised by now, and not yet joined to the service's.
    yield HeaderMutation(append=add_header("X-Forwarded-Path", "%PATH(NQ:PATH)%"))
    yield HeaderMutation(append=add_header(PORT, "%DOWNSTREAM_LOCAL_PORT%"))
    yield HeaderMutation(append=add_header(names.PROTOCOL, "%PROTOCOL%"))
    if listener.tls is not None:
        yield HeaderMutation(append=add_header(names.SNI, "%REQUESTED_SERVER_NAME%"))


def _new_request_id() -> Iterator[HeaderMutation]:
    """32 hexadecimal digits, as Kong's are: the time in UTC, and eight random ones.

    An id names a request and guards nothing: that it begins with the second helps who looks for
    it. Behind the first eight digits of a UUID stands a hyphen, and more UUIDs would cost more.
    """
    part = "x-scopegate-id"
    yield HeaderMutation(append=set_header(part, "%UNIQUE_ID%"))
    id_ = f"%START_TIME(%Y%m%d%H%M%S%9f)%0%REQ({part}):8%"
    yield HeaderMutation(append=set_header(names.REQUEST_ID, id_))
