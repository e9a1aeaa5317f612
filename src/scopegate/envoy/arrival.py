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
from scopegate.envoy.answers import set_header
from scopegate.envoy.route_matches import regex
from scopegate.ir import gateway as ir

# What a client must never say: our own words, Envoy's orders to itself, identities, where the
# request came from (X-Forwarded-For alone stays, our word is appended to it), another path than
# the one that was decided about. `_` counts as `-`: many servers take them for one.
# Source: contract openid-connect.md §7, §22 (1).
STRIPPED_HEADERS = "|".join(
    (
        "x[-_]scopegate[-_].*",
        "x[-_]envoy[-_].*",
        "x[-_]consumer[-_](?:id|username|custom[-_]id|groups)",
        "x[-_]credential[-_](?:identifier|username)",
        "x[-_]anonymous[-_]consumer",
        "x[-_]authenticated[-_](?:groups|scope|userid)",
        "x[-_]forwarded[-_](?:[^f].*|f(?:[^o].*)?|fo(?:[^r].*)?|for.+)",
        "x_forwarded[-_]for|x-forwarded_for",
        "forwarded",
        "x[-_]real[-_]ip",
        "x[-_]kong[-_]request[-_]id",
        "x[-_]original[-_]url|x[-_]rewrite[-_]url",
    )
)


def on_arrival(listener: ir.Listener) -> Iterator[HeaderMutation]:
    """The changes, in order."""
    ours = StringMatcher(safe_regex=regex(STRIPPED_HEADERS))
    yield HeaderMutation(remove_on_match=HeaderMutation.RemoveOnMatch(key_matcher=ours))
    yield from _new_request_id()
    # The path is normalised by now, and not yet joined to the service's.
    yield HeaderMutation(append=set_header("X-Forwarded-Path", "%PATH(NQ:PATH)%"))
    yield HeaderMutation(append=set_header(names.PROTOCOL, "%PROTOCOL%"))
    if listener.tls is not None:
        yield HeaderMutation(append=set_header(names.SNI, "%REQUESTED_SERVER_NAME%"))


def _new_request_id() -> Iterator[HeaderMutation]:
    """32 random hexadecimal digits, as Kong's are: the first eight of four random UUIDs."""
    parts = [f"x-scopegate-id-{number}" for number in range(4)]
    for part in parts:
        yield HeaderMutation(append=set_header(part, "%UNIQUE_ID%"))
    joined = "".join(f"%REQ({part}):8%" for part in parts)
    yield HeaderMutation(append=set_header(names.REQUEST_ID, joined))
    for part in parts:
        yield HeaderMutation(remove=part)
