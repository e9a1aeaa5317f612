"""Names that fields had in earlier versions of Kong. Source: contract openid-connect.md §7, §10.

`consumer_claim` (before 3.14) and `session_redis_*` are shown on read beside the fields that
replaced them, as Kong shows them; the names from before 3.2 are only taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scopegate.entities.fields import Field, Shorthand, integer, number, string
from scopegate.entities.shorthands import renamed
from scopegate.plugins.openid_connect.config_fields.shapes import choice, texts

CONSUMER_CLAIM = "consumer_claim"

RENAMED = {
    "authorization_cookie_lifetime": "authorization_rolling_timeout",
    "authorization_cookie_httponly": "authorization_cookie_http_only",
    "authorization_cookie_samesite": "authorization_cookie_same_site",
    "session_cookie_lifetime": "session_rolling_timeout",
    "session_cookie_idletime": "session_idling_timeout",
    "session_cookie_httponly": "session_cookie_http_only",
    "session_cookie_samesite": "session_cookie_same_site",
    "session_memcache_host": "session_memcached_host",
    "session_memcache_port": "session_memcached_port",
    "session_memcache_socket": "session_memcached_socket",
    "session_memcache_prefix": "session_memcached_prefix",
}

SESSION_REDIS = (
    "host",
    "port",
    "prefix",
    "socket",
    "username",
    "password",
    "connect_timeout",
    "read_timeout",
    "send_timeout",
    "ssl",
    "ssl_verify",
    "server_name",
    "cluster_nodes",
    "cluster_max_redirections",
)

REMOVED: Mapping[str, tuple[Field, str]] = {
    "session_cookie_renew": (number(), "`session_rolling_timeout` says when a cookie is renewed"),
    "session_cookie_maxsize": (integer(), "a large session is split by itself"),
    "session_strategy": (string(), "there is only one way to keep a session"),
    "session_compressor": (string(), "there is nothing to choose"),
}


def former_names(fields: Mapping[str, Field]) -> dict[str, Shorthand]:
    """Every former name of these fields."""
    redis = fields["redis"].fields
    former = {CONSUMER_CLAIM: _consumer_claim()}
    for name in SESSION_REDIS:
        former[f"session_redis_{name}"] = renamed(
            _as_sent(redis[name]), "redis", name, shown=True, message=f"use redis.{name}"
        )
    for old, new in RENAMED.items():
        if old.endswith("_samesite"):
            former[old] = _same_site(new)
        else:
            former[old] = renamed(_as_sent(fields[new]), new, message=f"use {new}")
    for old, (field, why) in REMOVED.items():
        former[old] = _removed(field, why)
    return former


def _as_sent(field: Field) -> Field:
    """What is checked under the name that was sent; the new name's field checks the rest."""
    return replace(field, required=False, supported=True, supported_values=None, rules=())


def _consumer_claim() -> Shorthand:
    def expand(path: Any) -> Mapping[str, Any]:
        return {"consumer_claims": None if path is None else [path]}

    def collapse(config: Mapping[str, Any]) -> Any:
        paths = config.get("consumer_claims")
        return paths[0] if isinstance(paths, list) and len(paths) == 1 else None

    return Shorthand(
        field=texts("One path of `consumer_claims`; its name before Kong 3.14."),
        expand=expand,
        replaced_with=("consumer_claims",),
        collapse=collapse,
        message="use consumer_claims",
    )


def _same_site(new: str) -> Shorthand:
    """`off` is what `Default` was called."""

    def expand(value: Any) -> Mapping[str, Any]:
        return {new: "Default" if value == "off" else value}

    return Shorthand(
        field=choice("", ("Strict", "Lax", "None", "off")),
        expand=expand,
        replaced_with=(new,),
        message=f"use {new}",
    )


def _removed(field: Field, why: str) -> Shorthand:
    def expand(value: Any) -> Mapping[str, Any]:
        if value is not None:
            raise ValueError(f"was removed in Kong 3.2 and does nothing: {why}; leave it out")
        return {}

    return Shorthand(field=field, expand=expand)
