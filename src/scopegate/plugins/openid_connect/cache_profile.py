"""What a yes of this plugin rests on, so that Envoy may give it again; for how long: replay.py.

A configuration whose yes rests on more than can be named, or is told to the client, has none
(docs/adr/0035).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.ir.replay import ReplayKey, is_plain_suffix, is_word
from scopegate.plugins.openid_connect.bearer import BearerPlaces, Place
from scopegate.plugins.openid_connect.clients import Clients
from scopegate.plugins.openid_connect.credentials import RefreshTokenPlaces
from scopegate.plugins.openid_connect.headers import (
    IDENTITY_HEADERS,
    HeaderRules,
    session_header,
)
from scopegate.plugins.openid_connect.login import CALLBACK_ARGUMENTS
from scopegate.plugins.openid_connect.logout import Logout

# What `session_bind` names → the header that the proxy sees. The client's address is none.
_BOUND = {"user-agent": "user-agent", "scheme": ":scheme"}
_MOVING = frozenset({"timeout", "idling-timeout", "rolling-timeout", "absolute-timeout"})


def replay_key(config: Mapping[str, Any]) -> ReplayKey | None:
    """What of a request the plugin looks at before it says yes; None: it must be asked each time.

    None where the client's address counts, where tokens are checked anew at each use (`reverify`),
    where clocks are told to the upstream, where the client is told something, and where a name
    that may be a header's is no word (an argument's may be anything, and shares its field).
    """
    bound = config["session_bind"] or ()
    session_headers = config["session_request_headers"] or ()
    if (
        config["reverify"]
        or not set(bound) <= _BOUND.keys()
        or not _MOVING.isdisjoint(session_headers)
        or config["session_response_headers"]
        or HeaderRules.from_config(config, "downstream").names
    ):
        return None
    places = list(_places(config))
    headers = {"cookie", *_named(places, "header"), *(_BOUND[name] for name in bound)}
    if not all(map(is_word, headers)):
        return None
    logout = Logout.from_config(config)
    is_login = "authorization_code" in config["auth_methods"]
    arguments = _named(places, "query") | (CALLBACK_ARGUMENTS if is_login else frozenset())
    media = (
        {"urlencoded"} if _named(places, "body") or config["response_mode"] != "query" else set()
    )
    if logout.query_argument:
        arguments |= {logout.query_argument}
    methods = set() if config["run_on_preflight"] else {"OPTIONS"}
    suffixes = {logout.uri_suffix} if logout.uri_suffix else set()
    if not all(map(is_plain_suffix, suffixes)):
        methods, suffixes = methods | logout.methods, set()
    if logout.body_argument or len(Clients.from_config(config).all) > 1:
        media |= {"urlencoded", "json"}
    return ReplayKey(
        headers=frozenset(headers),
        stripped=HeaderRules.from_config(config, "upstream").names
        | IDENTITY_HEADERS
        | {session_header(item) for item in session_headers}
        | {"authorization", "proxy-authorization"},
        arguments=arguments,
        methods=frozenset(methods),
        media=frozenset(media),
        suffixes=frozenset(suffixes),
    )


def _places(config: Mapping[str, Any]) -> Iterable[Place]:
    methods = config["auth_methods"]
    if "bearer" in methods:
        yield from BearerPlaces.from_config(config).places()
    if "refresh_token" in methods:
        yield from RefreshTokenPlaces.from_config(config).places()
    yield from Clients.from_config(config).places()


def _named(places: Iterable[Place], kind: str) -> frozenset[str]:
    return frozenset(name for place, name in places if place == kind)
