"""Logging in and out with a browser, and what those who may not pass get to see."""

from __future__ import annotations

from scopegate.entities.rules import Must
from scopegate.plugins.openid_connect.config_fields.client_fields import AUTH_METHODS
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    amount,
    choice,
    choices,
    cookie_domain_fault,
    cookie_name,
    cookie_path_fault,
    flag,
    later,
    redirect_urls,
    text,
    texts,
)

SAME_SITE = ("Strict", "Lax", "None", "Default")

AUTHORIZATION = Group(
    "The authorization request",
    {
        "redirect_uri": redirect_urls(
            "Where the identity provider sends browsers back to; unset: the URL of the request. "
            "Then a request to any page with `state` and `code` (or `error`) of its own is taken "
            "for a way back from a login, and gets 401 unless it brings a credential."
        ),
        "scopes": texts("The scopes that are asked for.", ("openid",), referenceable=True),
        "audience": texts("The audience that is asked for and that tokens must have."),
        "response_type": texts(
            "What the identity provider answers with.",
            ("code",),
            works=(["code"],),
            limits="only `code`",
        ),
        "response_mode": choice(
            "How the answer comes back.",
            (
                "query",
                "form_post",
                "fragment",
                "query.jwt",
                "form_post.jwt",
                "fragment.jwt",
                "jwt",
            ),
            "query",
            works=("query", "form_post"),
            limits="only query and form_post",
        ),
        "authorization_query_args_names": texts("Extra arguments: names."),
        "authorization_query_args_values": texts("Extra arguments: values."),
        "authorization_query_args_client": texts(
            "Arguments that are copied from the client's request (`login_hint`); none takes the "
            "place of one of `authorization_query_args_names`."
        ),
        "require_proof_key_for_code_exchange": flag(
            "Send a PKCE challenge (S256) with the login; unset: yes."
        ),
        "require_pushed_authorization_requests": flag(
            "Push authorization requests (PAR).", works=(False,), limits="false, or unset"
        ),
        "require_signed_request_object": flag(
            "Sign authorization requests (JAR).", works=(False,), limits="false, or unset"
        ),
        "preserve_query_args": flag("Keep the query of the request over a login.", False),
        "max_age": amount(
            "Most seconds since the user logged in, for a login or a token that lets somebody in. "
            "The ID token must say when that was (`auth_time`), without one the access token. A "
            "session that began in time goes on."
        ),
        "authorization_cookie_name": cookie_name(
            "The cookie that holds logins under way.", "authorization"
        ),
        "authorization_cookie_path": text("Its path.", "/", Must(cookie_path_fault)),
        "authorization_cookie_domain": text("Its domain.", None, Must(cookie_domain_fault)),
        "authorization_cookie_http_only": flag("Whether scripts cannot read it.", True),
        "authorization_cookie_secure": flag(
            "Whether it is sent over https only; unset: as the request came."
        ),
        "authorization_cookie_same_site": choice(
            "Its SameSite attribute. `Default` is `Lax`, and `None` with `Secure` where "
            "`response_mode` is `form_post`: then browsers keep it over https and on localhost "
            "only.",
            SAME_SITE,
            "Default",
        ),
        "authorization_rolling_timeout": amount(
            "Seconds in which a login must be finished; 0: the longest we keep one.", 600
        ),
    },
)

LOGIN = Group(
    "Login and refusals",
    {
        "login_methods": choices(
            "After which methods `login_action` happens.", AUTH_METHODS, ("authorization_code",)
        ),
        "login_action": choice(
            "What happens after a login: go on to the upstream, redirect, or answer with tokens.",
            ("upstream", "response", "redirect"),
            "upstream",
        ),
        "login_tokens": choices(
            "Which tokens the redirect or the answer carries; null: none.",
            ("id_token", "access_token", "refresh_token", "tokens", "introspection"),
            ("id_token",),
            nullable=True,
            works=("id_token", "access_token", "refresh_token", "tokens"),
            limits="all but introspection",
        ),
        "login_redirect_mode": choice(
            "Where in the URL the redirect carries them.", ("fragment", "query"), "fragment"
        ),
        "login_redirect_uri": redirect_urls(
            "Where the redirect goes; unset: where the browser wanted to go, if the login began a "
            "session, and on to the upstream if not.",
            referenceable=True,
        ),
        "unauthorized_redirect_uri": redirect_urls("Where a 401 goes instead."),
        "unauthorized_error_message": text("What a 401 says.", "Unauthorized"),
        "unauthorized_destroy_session": flag("Whether a 401 ends the session.", True),
        "forbidden_redirect_uri": redirect_urls("Where a 403 goes instead."),
        "forbidden_error_message": text("What a 403 says.", "Forbidden"),
        "forbidden_destroy_session": flag("Whether a 403 ends the session.", True),
        "unexpected_redirect_uri": redirect_urls("Where a 500 or 503 goes instead."),
        "display_errors": flag("Tell the client the reason.", False),
        "expose_error_code": flag("Put the error code into WWW-Authenticate.", True),
    },
)

LOGOUT = Group(
    "Logout",
    {
        "logout_methods": choices(
            "Methods with which a request can be a logout.",
            ("POST", "GET", "DELETE"),
            ("POST", "DELETE"),
        ),
        "logout_query_arg": text("The query argument that makes it one."),
        "logout_post_arg": text("The body argument that makes it one."),
        "logout_uri_suffix": text("The end of the path that makes it one."),
        "logout_redirect_uri": redirect_urls("Where the browser is sent.", referenceable=True),
        "logout_revoke": later(flag("Revoke tokens at the identity provider.", False)),
        "logout_revoke_access_token": later(flag("Revoke the access token.", True)),
        "logout_revoke_refresh_token": later(flag("Revoke the refresh token.", True)),
        "revocation_token_param_name": later(
            text("The name of the token's argument at the revocation endpoint.", "token")
        ),
    },
)
