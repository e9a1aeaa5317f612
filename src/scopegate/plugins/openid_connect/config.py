"""The configuration of openid-connect: Kong's 234 fields and `consumer_claim`.

The fields stand in `config_fields`, by group; here they become one record, with what must hold
between them. Source: contract openid-connect.md §19 and openid-connect-fields.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from scopegate.entities.entity_checks import EntityCheck, Holds
from scopegate.entities.fields import Field, record
from scopegate.entities.violations import NOT_SUPPORTED
from scopegate.plugins.openid_connect.config_fields import (
    call_fields,
    client_fields,
    header_fields,
    issuer_fields,
    login_fields,
    session_fields,
    token_fields,
)
from scopegate.plugins.openid_connect.config_fields.former_names import former_names
from scopegate.plugins.openid_connect.config_fields.shapes import Group
from scopegate.session.cookies import CHUNK_LIMIT, chunk_names

Config = Mapping[str, Any]

GROUPS: tuple[Group, ...] = (
    issuer_fields.ISSUER,
    issuer_fields.ENDPOINTS,
    client_fields.CLIENTS,
    client_fields.CREDENTIALS,
    login_fields.AUTHORIZATION,
    login_fields.LOGIN,
    login_fields.LOGOUT,
    token_fields.VERIFICATION,
    token_fields.AUTHORISATION,
    token_fields.CONSUMER_MAPPING,
    header_fields.UPSTREAM,
    header_fields.DOWNSTREAM,
    session_fields.SESSION,
    issuer_fields.CACHE,
    issuer_fields.HTTP_CLIENT,
    call_fields.TOKEN_CALL,
    call_fields.INTROSPECTION_CALL,
    call_fields.USER_INFO_CALL,
    call_fields.POSSESSION,
)

OUR_AUTHORIZATION_ARGUMENTS = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "redirect_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
OUR_TOKEN_ARGUMENTS = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "refresh_token",
    }
)
"""What the gateway itself says to the identity provider; nothing may say it a second time."""


def unbuilt_methods(config: Config) -> tuple[str, ...]:
    """The members of `auth_methods` that are accepted, and let nobody in, because Kong's default
    has them.
    """
    return tuple(name for name in config["auth_methods"] if name not in client_fields.BUILT_METHODS)


def _pairs(stem: str, names: str = "names", values: str = "values") -> EntityCheck:
    first, second = f"{stem}_{names}", f"{stem}_{values}"

    def fault(config: Config) -> Mapping[str, str]:
        count = len(config[first] or ())
        if count == len(config[second] or ()):
            return {}
        return {second: f"must have as many entries as {first} ({count})"}

    return Holds((first, second), fault)


def _none_of_ours(name: str, ours: frozenset[str]) -> EntityCheck:
    def fault(config: Config) -> Mapping[str, str]:
        taken = [argument for argument in config[name] or () if argument in ours]
        if not taken:
            return {}
        return {name: f"'{taken[0]}' is set by the gateway itself"}

    return Holds((name,), fault)


def _some_built_method(config: Config) -> Mapping[str, str]:
    if any(name in client_fields.BUILT_METHODS for name in config["auth_methods"]):
        return {}
    built = ", ".join(client_fields.BUILT_METHODS)
    if not config["auth_methods"]:
        return {"auth_methods": f"must name a method (supported: {built})"}
    return {
        "auth_methods": f"none of these methods lets anybody in: {NOT_SUPPORTED} "
        f"(supported: {built})"
    }


def _named_bearer_cookie(config: Config) -> Mapping[str, str]:
    if "cookie" in config["bearer_token_param_type"] and not config["bearer_token_cookie_name"]:
        return {
            "bearer_token_cookie_name": "required when bearer_token_param_type contains 'cookie'"
        }
    return {}


def _secrets_have_clients(config: Config) -> Mapping[str, str]:
    count = len(config["client_id"] or ())
    if len(config["client_secret"] or ()) > count:
        return {"client_secret": f"must not have more entries than client_id ({count})"}
    return {}


def _not_the_session_cookie(other: str) -> EntityCheck:
    """`other` must not name the session cookie, nor a cookie that continues it."""

    def fault(config: Config) -> Mapping[str, str]:
        if config[other] not in chunk_names(config["session_cookie_name"]):
            return {}
        return {
            other: "must differ from session_cookie_name, "
            f"also with a digit from 2 to {CHUNK_LIMIT} behind it"
        }

    return Holds(("session_cookie_name", other), fault)


def _not_the_login_cookie(other: str) -> EntityCheck:
    def fault(config: Config) -> Mapping[str, str]:
        if config[other] != config["authorization_cookie_name"]:
            return {}
        return {other: "must differ from authorization_cookie_name"}

    return Holds(("authorization_cookie_name", other), fault)


def _browsers_take(cookie: str) -> EntityCheck:
    """What browsers ask of a cookie before they keep it. Source: RFC 6265bis §4.1.3, §5.7."""
    secure, same_site = f"{cookie}_secure", f"{cookie}_same_site"
    name, path, domain = f"{cookie}_name", f"{cookie}_path", f"{cookie}_domain"

    def fault(config: Config) -> Mapping[str, str]:
        prefix = config[name].lower().partition("-")[0]
        is_host = prefix == "__host"
        if config[secure] is False and config[same_site] == "None":
            return {secure: f"must not be false when {same_site} is 'None': {_DROPPED}"}
        if config[secure] is False and (is_host or prefix == "__secure"):
            return {secure: f"must not be false when {name} is '{config[name]}': {_DROPPED}"}
        if is_host and config[path] != "/":
            return {path: f"must be '/' when {name} is '{config[name]}': {_DROPPED}"}
        if is_host and config[domain] is not None:
            return {domain: f"must be unset when {name} is '{config[name]}': {_DROPPED}"}
        return {}

    return Holds((name, path, domain, secure, same_site), fault)


def _form_post_needs_secure(config: Config) -> Mapping[str, str]:
    """`Default` is then written as `None`, which browsers take with Secure only."""
    if (
        config["response_mode"] != "form_post"
        or config["authorization_cookie_same_site"] != "Default"
        or config["authorization_cookie_secure"] is not False
    ):
        return {}
    return {
        "authorization_cookie_secure": "must not be false when response_mode is 'form_post' and "
        f"authorization_cookie_same_site is 'Default', which is 'None' then: {_DROPPED}"
    }


_DROPPED = "browsers drop such a cookie"


_CHECKS: tuple[EntityCheck, ...] = (
    Holds(("auth_methods",), _some_built_method),
    Holds(("bearer_token_param_type", "bearer_token_cookie_name"), _named_bearer_cookie),
    Holds(("client_id", "client_secret"), _secrets_have_clients),
    _not_the_session_cookie("authorization_cookie_name"),
    _not_the_session_cookie("bearer_token_cookie_name"),
    _not_the_session_cookie("jwt_session_cookie"),
    _not_the_login_cookie("bearer_token_cookie_name"),
    _not_the_login_cookie("jwt_session_cookie"),
    _browsers_take("session_cookie"),
    _browsers_take("authorization_cookie"),
    Holds(
        ("response_mode", "authorization_cookie_secure", "authorization_cookie_same_site"),
        _form_post_needs_secure,
    ),
    _pairs("discovery_headers"),
    _pairs("authorization_query_args"),
    _pairs("token_headers"),
    _pairs("token_post_args"),
    _pairs("upstream_headers", "names", "claims"),
    _pairs("downstream_headers", "names", "claims"),
    _none_of_ours("authorization_query_args_names", OUR_AUTHORIZATION_ARGUMENTS),
    _none_of_ours("authorization_query_args_client", OUR_AUTHORIZATION_ARGUMENTS),
    _none_of_ours("token_post_args_names", OUR_TOKEN_ARGUMENTS),
)

FIELDS: Mapping[str, Field] = MappingProxyType(
    {name: field for group in GROUPS for name, field in group.fields.items()}
)

CONFIG = record(
    FIELDS,
    description="How openid-connect is configured.",
    required=True,
    shorthands=MappingProxyType(former_names(FIELDS)),
    checks=_CHECKS,
)
