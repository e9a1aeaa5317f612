"""The gateway's clients at the identity provider, and how requests prove who they are."""

from __future__ import annotations

from scopegate.entities.fields import Field, array, record
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    choice,
    choices,
    cookie_name,
    flag,
    header_name,
    later,
    secret_text,
    text,
    texts,
)

AUTH_METHODS = (
    "password",
    "client_credentials",
    "authorization_code",
    "bearer",
    "introspection",
    "userinfo",
    "kong_oauth2",
    "refresh_token",
    "session",
)
"""Kong's nine, in Kong's order."""

BUILT_METHODS = ("authorization_code", "bearer", "refresh_token", "session")

CLIENT_AUTH = (
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
)
BUILT_CLIENT_AUTH = ("client_secret_basic", "client_secret_post")

CLIENT_ALG = (
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "PS256",
    "PS384",
    "PS512",
    "EdDSA",
)

PLACES = ("header", "query", "body")

_ONLY_BASIC_AND_POST = "only client_secret_basic and client_secret_post"


def _private_jwk() -> dict[str, Field]:
    public = ("issuer", "kty", "use", "alg", "kid", "x5u", "x5t", "x5t#S256", "x", "y", "crv")
    secret = ("k", "d", "p", "q", "dp", "dq", "qi", "oth", "r", "t")
    return {
        **{name: text(f"JWK member `{name}`.") for name in (*public, "n", "e")},
        **{name: texts(f"JWK member `{name}`.") for name in ("key_ops", "x5c")},
        **{name: secret_text(f"JWK member `{name}`.") for name in secret},
    }


CLIENTS = Group(
    "Clients",
    {
        "client_id": texts("The client ids.", referenceable=True, encrypted=True),
        "client_secret": texts(
            "The client secrets, in step with `client_id`.", referenceable=True, encrypted=True
        ),
        "client_auth": choices(
            "How each client proves who it is; unset: what the identity provider supports, else "
            "`client_secret_basic`.",
            CLIENT_AUTH,
            works=BUILT_CLIENT_AUTH,
            limits=_ONLY_BASIC_AND_POST,
        ),
        "client_alg": later(choices("How each client signs its assertions.", CLIENT_ALG)),
        "client_jwk": later(
            array(record(_private_jwk()), description="The key with which each client signs.")
        ),
        "client_arg": text(
            "The argument (header, query, body) that chooses among several clients; the upstream "
            "does not get it.",
            "client_id",
        ),
        "token_endpoint_auth_method": choice(
            "How clients prove who they are at the token endpoint, in place of `client_auth`.",
            CLIENT_AUTH,
            works=BUILT_CLIENT_AUTH,
            limits=_ONLY_BASIC_AND_POST,
        ),
        "introspection_endpoint_auth_method": later(
            choice("The same at the introspection endpoint.", CLIENT_AUTH)
        ),
        "revocation_endpoint_auth_method": later(
            choice("The same at the revocation endpoint.", CLIENT_AUTH)
        ),
        "pushed_authorization_request_endpoint_auth_method": later(
            choice("The same where authorization requests are pushed.", CLIENT_AUTH)
        ),
        "tls_client_auth_cert_id": later(text("The certificate for TLS client authentication.")),
        "tls_client_auth_ssl_verify": later(
            flag("Verify the identity provider during TLS client authentication.", True)
        ),
    },
)

CREDENTIALS = Group(
    "Methods and credentials",
    {
        "auth_methods": choices(
            "What may let a request in. Where each looks is decided by the fields below.",
            AUTH_METHODS,
            AUTH_METHODS,
            limits="session, bearer, refresh_token and authorization_code; the others are "
            "accepted and let nobody in",
        ),
        "bearer_token_param_type": choices(
            "Where a bearer token is looked for. With `body`, a form that has one beside a session "
            "or another token is refused, and so is a form with a Content-Encoding.",
            (*PLACES, "cookie"),
            PLACES,
        ),
        "bearer_token_header_name": header_name(
            "The only header in which a bearer token is looked for."
        ),
        "bearer_token_cookie_name": cookie_name(
            "The cookie in which a bearer token is looked for."
        ),
        "refresh_token_param_type": choices("Where a refresh token is looked for.", PLACES, PLACES),
        "refresh_token_param_name": text(
            "The name of the refresh token's header, query or body argument; unset: none is "
            "looked for."
        ),
        "password_param_type": later(
            choices("Where user name and password are looked for.", PLACES, PLACES)
        ),
        "client_credentials_param_type": later(
            choices("Where a client id and secret are looked for.", PLACES, PLACES)
        ),
        "id_token_param_type": later(
            choices("Where an ID token beside an access token is looked for.", PLACES, PLACES)
        ),
        "id_token_param_name": later(
            text("The name of the ID token's header, query or body argument.")
        ),
        "hide_credentials": flag(
            "Keep the credential that was used from the upstream; all others it never gets.", True
        ),
        "run_on_preflight": flag(
            "Ask CORS preflights for credentials, too. A preflight is an OPTIONS request with "
            "`Origin` and `Access-Control-Request-Method`; any other OPTIONS request is always "
            "asked.",
            True,
        ),
        "introspect_jwt_tokens": later(flag("Introspect JWTs as well.", False)),
        "anonymous": text(
            "Id or user name of the consumer as whom a request goes on that could not be "
            "authenticated."
        ),
    },
)
