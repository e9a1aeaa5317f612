"""Compile time: a configured plugin and the facts become a policy step.

Findings tell the operator what works less than the configuration says: methods that are not built,
checks that are switched off, issuers that do not answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin
from scopegate.ir.gateway import GatewayCookie
from scopegate.ir.policy import Step, canonical_json
from scopegate.plugins.lowering import Context, Lowered
from scopegate.plugins.openid_connect.cache_profile import cache_profile
from scopegate.plugins.openid_connect.config import unbuilt_methods
from scopegate.plugins.openid_connect.headers import (
    IDENTITY_HEADERS,
    HeaderRules,
    session_header,
)
from scopegate.plugins.openid_connect.issuer_request import issuer_request
from scopegate.plugins.openid_connect.reasons import ConfigFinding
from scopegate.session.cookies import chunk_names
from scopegate.session.sealing import mark_of, root_from_cluster_secret, root_from_secret

RingEntry = dict[str, Any]
"""A key of a ring as JSON: `root`, hex, and `not_after_s`."""

# What a login rests on. A session opens only for a configuration that would have accepted the
# login by the same rules: else a lax plugin's session would open a strict one (ADR 0004).
_LOGIN_RULES = (
    "issuer",
    "client_id",
    "scopes",
    "issuers_allowed",
    "audience",
    "domains",
    "max_age",
    "verify_signature",
    "verify_claims",
    "verify_nonce",
    "ignore_signature",
    "enable_hs_signatures",
    "jwks_endpoint",
    "extra_jwks_uris",
    "ssl_verify",
    "require_proof_key_for_code_exchange",
    "using_pseudo_issuer",
    "jwt_session_cookie",
    "jwt_session_claim",
    "authorization_endpoint",
    "authorization_query_args_names",
    "authorization_query_args_values",
    "authorization_query_args_client",
    "token_endpoint",
)
# No clock bounds a session when all three are off; a replaced secret still has an end.
_FORMER_SECRET_CAP_S = 31 * 86400

# Who has a cookie may guess as fast as he can compute; this many random letters are out of reach.
_SECRET_LENGTH = 16

_WARNINGS = (
    (
        "verify_signature",
        ConfigFinding.VERIFY_SIGNATURE_OFF,
        "signatures of tokens from the token endpoint are not verified",
    ),
    (
        "verify_claims",
        ConfigFinding.VERIFY_CLAIMS_OFF,
        "the standard claims (exp, nbf, aud …) are not verified",
    ),
    (
        "ssl_verify",
        ConfigFinding.SSL_VERIFY_OFF,
        "the identity provider's certificate is not verified",
    ),
)


class OpenIdConnectCompiler:
    """The plugin's compile-time half."""

    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        """The step that decides, the headers that it may set, and findings."""
        config = plugin.config
        request = issuer_request(plugin)
        up = HeaderRules.from_config(config, "upstream")
        down = HeaderRules.from_config(config, "downstream")
        session_keys = _session_keys(config, context)
        # Plugins that share a cookie name share the browser's login secret.
        login_keys = [{"root": context.cluster_secret, "not_after_s": None}]
        step = Step(
            plugin=plugin.name,
            plugin_id=plugin.id,
            config={
                "plugin": dict(config),
                "session_keys": session_keys,
                "login_keys": login_keys,
                "login_rules": _login_rules(config),
                "facts_key": request.key,
            },
            facts=context.facts.get(request.key),
        )
        return Lowered(
            step=step,
            upstream_headers=up.names
            | IDENTITY_HEADERS
            | _session_headers(config, "request")
            | {"cookie"},
            downstream_headers=down.names | _session_headers(config, "response"),
            cookies=frozenset(_cookies(config, session_keys, login_keys)),
            reads_body=True,
            profile=cache_profile(config),
            uses_consumers=bool(config["consumer_claims"] or config["anonymous"]),
            findings=tuple(_findings(plugin)),
        )


def _session_headers(config: Mapping[str, Any], kind: str) -> frozenset[str]:
    return frozenset(session_header(item) for item in config[f"session_{kind}_headers"] or ())


def _cookies(
    config: Mapping[str, Any], session_keys: Sequence[RingEntry], login_keys: Sequence[RingEntry]
) -> Iterator[GatewayCookie]:
    def marks(ring: Sequence[RingEntry]) -> tuple[str, ...]:
        return tuple(mark_of(bytes.fromhex(key["root"])) for key in ring)

    if "session" in config["auth_methods"]:
        name, *rest = chunk_names(config["session_cookie_name"])
        yield GatewayCookie(name, marks(session_keys), tuple(rest))
    if "authorization_code" in config["auth_methods"]:
        yield GatewayCookie(config["authorization_cookie_name"], marks(login_keys))


def _login_rules(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json([config[name] for name in _LOGIN_RULES])).hexdigest()


def _session_keys(config: Mapping[str, Any], context: Context) -> list[RingEntry]:
    """The key ring, newest first: a former secret opens what it sealed until that has expired."""

    def root(secret: str | None) -> str:
        if secret:
            return root_from_secret(secret).hex()
        return root_from_cluster_secret(context.cluster_secret).hex()

    clocks = (config["session_absolute_timeout"], config["session_rolling_timeout"])
    longest_s = next((clock for clock in clocks if clock), _FORMER_SECRET_CAP_S)
    keys: list[RingEntry] = [{"root": root(config["session_secret"]), "not_after_s": None}]
    for secret, replaced_at_s in context.former_session_secrets:
        former = {"root": root(secret), "not_after_s": int(replaced_at_s + longest_s)}
        if former["root"] not in {key["root"] for key in keys}:
            keys.append(former)
    return keys


def _findings(plugin: Plugin) -> Iterable[Finding]:
    unbuilt = unbuilt_methods(plugin.config)
    if unbuilt:
        yield Finding(
            level="warning",
            code=ConfigFinding.AUTH_METHODS_NOT_BUILT,
            kind="plugins",
            id=plugin.id,
            message=f"auth_methods not supported yet, never tried: {', '.join(unbuilt)}",
        )
    for name, code, consequence in _WARNINGS:
        if not plugin.config[name]:
            yield Finding(
                level="warning",
                code=code,
                kind="plugins",
                id=plugin.id,
                message=f"config.{name}=false: {consequence}",
            )
    secret = plugin.config["session_secret"]
    if secret is not None and len(secret) < _SECRET_LENGTH:
        yield Finding(
            level="warning",
            code=ConfigFinding.SESSION_SECRET_SHORT,
            kind="plugins",
            id=plugin.id,
            message=f"config.session_secret has less than {_SECRET_LENGTH} characters: whoever "
            "guesses it makes sessions of his own; use 32 random ones, or leave it unset",
        )
    if _redirects_into_a_login(plugin.config):
        yield Finding(
            level="warning",
            code=ConfigFinding.LOGIN_REDIRECT_WITHOUT_SESSION,
            kind="plugins",
            id=plugin.id,
            message="config.login_action=redirect without login_redirect_uri, and a login begins "
            "no session: the page would ask for a login again, so that the request goes on to the "
            "upstream instead; set login_redirect_uri, or let logins begin sessions",
        )


def _redirects_into_a_login(config: Mapping[str, Any]) -> bool:
    """A redirect to the page that was asked for, which does not know who was just logged in."""
    login = "authorization_code"
    begins_session = "session" in config["auth_methods"] and login not in (
        config["disable_session"] or ()
    )
    return (
        config["login_action"] == "redirect"
        and not config["login_redirect_uri"]
        and login in config["auth_methods"]
        and login in config["login_methods"]
        and not begins_session
    )
