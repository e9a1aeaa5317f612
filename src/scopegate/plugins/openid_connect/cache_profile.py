"""What this plugin reads of a request before it allows it; how long that holds: cacheable.py.

A configuration that reads more than can be named, or sends the client something with each response,
has no profile (docs/adr/0035).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scopegate.ir.cache_profile import CacheProfile, is_header_name, is_plain_suffix
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


def cache_profile(config: Mapping[str, Any]) -> CacheProfile | None:
    """What the plugin reads before it allows a request; None: it must be asked each time.

    None where the client's address counts, where tokens are checked anew at each use (`reverify`),
    where the upstream gets clocks, where the client gets headers, and where a name that may be a
    header's is none (an argument's may be anything, and shares its field).
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
    if not all(map(is_header_name, headers - {":scheme"})):
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
    return CacheProfile(
        key=frozenset(headers),
        strip=HeaderRules.from_config(config, "upstream").names
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
