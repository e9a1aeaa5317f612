"""What of the configuration does not work yet is refused and says so."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.fields import Field
from scopegate.entities.filling import default_of
from scopegate.plugins.openid_connect.config import FIELDS, unbuilt_methods
from unit.plugins.openid_connect.configs import configured, fault


def _other_value(field: Field) -> Any:
    """A value of the right type that is not the default."""
    match field.type:
        case "boolean":
            return not field.default
        case "integer" | "number":
            return (field.default or 0) + 1
        case "array":
            assert field.elements is not None
            other = [_other_value(field.elements)]
            return [] if other == field.default else other
        case "record":
            name, part = next(iter(field.fields.items()))
            return {name: _other_value(part)}
    return next((option for option in field.one_of if option != field.default), "other")


UNBUILT = [name for name, field in FIELDS.items() if not field.supported]


@pytest.mark.parametrize("name", UNBUILT)
def test_an_unbuilt_field_takes_only_its_default(name: str) -> None:
    assert configured(**{name: default_of(FIELDS[name])})[name] == default_of(FIELDS[name])
    assert fault(**{name: _other_value(FIELDS[name])}).startswith(f"{name}")
    assert "not supported yet" in fault(**{name: _other_value(FIELDS[name])})


BUILT = """
    issuer client_id client_secret client_auth client_arg token_endpoint_auth_method
    auth_methods bearer_token_param_type bearer_token_header_name bearer_token_cookie_name
    refresh_token_param_name refresh_token_param_type hide_credentials run_on_preflight
    anonymous redirect_uri scopes audience response_type response_mode
    authorization_query_args_names authorization_query_args_values
    authorization_query_args_client require_proof_key_for_code_exchange preserve_query_args
    max_age authorization_cookie_name authorization_cookie_path authorization_cookie_domain
    authorization_cookie_http_only authorization_cookie_secure authorization_cookie_same_site
    authorization_rolling_timeout login_methods login_action login_tokens login_redirect_mode
    login_redirect_uri unauthorized_redirect_uri unauthorized_error_message
    unauthorized_destroy_session forbidden_redirect_uri forbidden_error_message
    forbidden_destroy_session unexpected_redirect_uri display_errors expose_error_code
    logout_methods logout_query_arg logout_post_arg logout_uri_suffix logout_redirect_uri
    verify_signature verify_claims verify_nonce ignore_signature leeway domains
    jwt_session_cookie jwt_session_claim reverify refresh_tokens scopes_required scopes_claim
    audience_required audience_claim groups_required groups_claim roles_required roles_claim
    claims_forbidden authenticated_groups_claim consumer_claims consumer_by consumer_optional
    by_username_ignore_case credential_claim upstream_headers upstream_headers_claims
    upstream_headers_names upstream_access_token_header upstream_access_token_jwk_header
    upstream_id_token_header upstream_id_token_jwk_header upstream_refresh_token_header
    upstream_session_id_header downstream_headers downstream_headers_claims
    downstream_headers_names downstream_access_token_header downstream_access_token_jwk_header
    downstream_id_token_header downstream_id_token_jwk_header downstream_refresh_token_header
    downstream_session_id_header disable_session session_secret session_storage
    session_bind session_cookie_name session_cookie_path
    session_cookie_domain session_cookie_http_only session_cookie_secure
    session_cookie_same_site session_idling_timeout session_rolling_timeout
    session_absolute_timeout session_request_headers session_response_headers issuers_allowed
    jwks_endpoint extra_jwks_uris authorization_endpoint token_endpoint end_session_endpoint
    using_pseudo_issuer rediscovery_lifetime discovery_headers_names discovery_headers_values
    cache_ttl timeout ssl_verify keepalive http_proxy http_proxy_authorization https_proxy
    https_proxy_authorization no_proxy token_post_args_names token_post_args_values
    token_headers_names token_headers_values enable_hs_signatures cache_tokens_salt
    http_version require_pushed_authorization_requests require_signed_request_object
"""


def test_what_is_built_and_what_is_not_is_pinned() -> None:
    assert sorted(set(FIELDS) - set(UNBUILT)) == sorted(BUILT.split())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"client_auth": ["client_secret_post", "private_key_jwt"]},
            "client_auth.2: 'private_key_jwt' is not supported yet (supported: "
            "client_secret_basic, client_secret_post)",
        ),
        (
            {"client_auth": ["none"]},
            "client_auth.1: 'none' is not supported yet (supported: client_secret_basic, "
            "client_secret_post)",
        ),
        (
            {"token_endpoint_auth_method": "tls_client_auth"},
            "token_endpoint_auth_method: 'tls_client_auth' is not supported yet (supported: "
            "client_secret_basic, client_secret_post)",
        ),
        (
            {"response_mode": "fragment"},
            "response_mode: 'fragment' is not supported yet (supported: query, form_post)",
        ),
        (
            {"response_type": ["code", "id_token"]},
            'response_type: \'["code", "id_token"]\' is not supported yet (supported: ["code"])',
        ),
        (
            {"login_tokens": ["introspection"]},
            "login_tokens.1: 'introspection' is not supported yet (supported: id_token, "
            "access_token, refresh_token, tokens)",
        ),
        (
            {"session_storage": "redis"},
            "session_storage: 'redis' is not supported yet (supported: cookie)",
        ),
        ({"http_version": 1}, "http_version: '1' is not supported yet (supported: 1.1)"),
        (
            {"require_pushed_authorization_requests": True},
            "require_pushed_authorization_requests: 'true' is not supported yet (supported: false)",
        ),
        (
            {"auth_methods": ["password", "introspection"]},
            "auth_methods: none of these methods lets anybody in: not supported yet (supported: "
            "authorization_code, bearer, refresh_token, session)",
        ),
        (
            {"auth_methods": []},
            "auth_methods: must name a method (supported: authorization_code, bearer, "
            "refresh_token, session)",
        ),
        (
            {"logout_revoke": True},
            "logout_revoke: not supported yet; leave it at its default (false)",
        ),
        (
            {"redis": {"host": "r"}},
            'redis.host: not supported yet; leave it at its default ("127.0.0.1")',
        ),
        (
            {"principals": {"enabled": True}},
            "principals.enabled: not supported yet; leave it at its default (false)",
        ),
        (
            {"client_secret": ["{vault://env/secret}"], "client_id": ["a"]},
            "client_secret.1: vault references are not supported yet",
        ),
        (
            {"session_secret": "{vault://env/s}"},
            "session_secret: vault references are not supported yet",
        ),
    ],
)
def test_what_does_not_work_yet_names_what_does(config: dict[str, Any], message: str) -> None:
    assert fault(**config) == message


def test_par_and_jar_may_be_switched_off() -> None:
    for name in ("require_pushed_authorization_requests", "require_signed_request_object"):
        assert configured(**{name: False})[name] is False


def test_methods_that_let_nobody_in_are_told() -> None:
    assert unbuilt_methods(configured()) == (
        "password",
        "client_credentials",
        "introspection",
        "userinfo",
        "kong_oauth2",
    )
    assert unbuilt_methods(configured(auth_methods=["bearer", "session"])) == ()
    assert unbuilt_methods(configured(auth_methods=["bearer", "userinfo"])) == ("userinfo",)
