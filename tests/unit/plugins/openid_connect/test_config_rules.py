"""What must hold within the fields of the configuration, and between them."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.violations import SchemaViolation
from unit.plugins.openid_connect.configs import configured, fault


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("authorization_query_args_names", "authorization_query_args_values"),
        ("discovery_headers_names", "discovery_headers_values"),
        ("token_headers_names", "token_headers_values"),
        ("token_post_args_names", "token_post_args_values"),
        ("upstream_headers_names", "upstream_headers_claims"),
        ("downstream_headers_names", "downstream_headers_claims"),
    ],
)
def test_names_and_values_go_in_step(names: str, values: str) -> None:
    config = configured(**{names: ["a", "b"], values: ["1", "2"]})
    assert (config[names], config[values]) == (["a", "b"], ["1", "2"])
    for wrong in ({names: ["a"]}, {values: ["1"]}, {names: ["a"], values: ["1", "2"]}):
        count = len(wrong.get(names, ()))
        assert fault(**wrong) == f"{values}: must have as many entries as {names} ({count})"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"bearer_token_param_type": ["header", "cookie"]},
            "bearer_token_cookie_name: required when bearer_token_param_type contains 'cookie'",
        ),
        (
            {"client_id": ["a"], "client_secret": ["s", "t"]},
            "client_secret: must not have more entries than client_id (1)",
        ),
        (
            {"session_cookie_name": "authorization"},
            "authorization_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"authorization_cookie_name": "session2"},
            "authorization_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"bearer_token_cookie_name": "session3"},
            "bearer_token_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"bearer_token_cookie_name": "authorization"},
            "bearer_token_cookie_name: must differ from authorization_cookie_name",
        ),
        (
            {"jwt_session_cookie": "session"},
            "jwt_session_cookie: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"session_cookie_same_site": "None", "session_cookie_secure": False},
            "session_cookie_secure: must not be false when session_cookie_same_site is 'None': "
            "browsers drop such a cookie",
        ),
        (
            {"authorization_cookie_same_site": "None", "authorization_cookie_secure": False},
            "authorization_cookie_secure: must not be false when authorization_cookie_same_site "
            "is 'None': browsers drop such a cookie",
        ),
        (
            {"response_mode": "form_post", "authorization_cookie_secure": False},
            "authorization_cookie_secure: must not be false when response_mode is 'form_post' and "
            "authorization_cookie_same_site is 'Default', which is 'None' then: browsers drop "
            "such a cookie",
        ),
        (
            {
                "authorization_query_args_names": ["prompt", "state"],
                "authorization_query_args_values": ["login", "x"],
            },
            "authorization_query_args_names: 'state' is set by the gateway itself",
        ),
        (
            {"authorization_query_args_client": ["redirect_uri"]},
            "authorization_query_args_client: 'redirect_uri' is set by the gateway itself",
        ),
        (
            {"token_post_args_names": ["grant_type"], "token_post_args_values": ["x"]},
            "token_post_args_names: 'grant_type' is set by the gateway itself",
        ),
        (
            {"session_cookie_name": "__Secure-s", "session_cookie_secure": False},
            "session_cookie_secure: must not be false when session_cookie_name is '__Secure-s': "
            "browsers drop such a cookie",
        ),
        (
            {"session_cookie_name": "__host-s", "session_cookie_path": "/a"},
            "session_cookie_path: must be '/' when session_cookie_name is '__host-s': "
            "browsers drop such a cookie",
        ),
        (
            {
                "authorization_cookie_name": "__Host-a",
                "authorization_cookie_domain": "a.example",
            },
            "authorization_cookie_domain: must be unset when authorization_cookie_name is "
            "'__Host-a': browsers drop such a cookie",
        ),
        ({"issuer": "idp.example"}, "issuer: missing host in url"),
        ({"issuer": "https://idp.example/#a"}, "issuer: must not have a fragment"),
        ({"redirect_uri": ["https://a.example/#x"]}, "redirect_uri.1: must not have a fragment"),
        ({"http_proxy": "socks5://a.example"}, "http_proxy: should be an http or https URL"),
        ({"leeway": 10**400}, "leeway: expected a number"),
        ({"leeway": -1}, "leeway: value should be between 0 and 2147483646"),
        ({"timeout": 0}, "timeout: value should be between 1 and 2147483646"),
        ({"scopes_claim": []}, "scopes_claim: length must be at least 1"),
        ({"consumer_claims": [[]]}, "consumer_claims.1: length must be at least 1"),
        ({"scopes_required": [""]}, "scopes_required.1: length must be at least 1"),
        (
            {"session_cookie_name": "a b"},
            "session_cookie_name: should be a cookie name: letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            {"session_cookie_path": "/;x"},
            "session_cookie_path: should be a path that starts with / and has no ';' and no blanks",
        ),
        ({"session_cookie_domain": "a;b"}, "session_cookie_domain: should be a domain name"),
        (
            {"upstream_access_token_header": "authorization:basic"},
            "upstream_access_token_header: should be a header name, or a header name followed by "
            "':bearer'",
        ),
        (
            {"upstream_id_token_header": ":path"},
            "upstream_id_token_header: should be a header name, or a header name followed by "
            "':bearer'",
        ),
        (
            {"upstream_headers": [{"header": "Transfer-Encoding", "path": ["a"]}]},
            "upstream_headers.1.header: 'Transfer-Encoding' belongs to the message or the gateway "
            "itself and cannot be set",
        ),
        (
            {"upstream_access_token_header": "X_Kong_Request-Id"},
            "upstream_access_token_header: 'X_Kong_Request-Id' belongs to the message or the "
            "gateway itself and cannot be set",
        ),
        (
            {"downstream_headers_names": ["x-envoy-a"], "downstream_headers_claims": ["a"]},
            "downstream_headers_names.1: 'x-envoy-a' belongs to the message or the gateway itself "
            "and cannot be set",
        ),
        (
            {"upstream_headers": [{"header": "X-A"}]},
            "upstream_headers.1.path: required field missing",
        ),
        (
            {"token_headers_names": ["x-a"], "token_headers_values": ["1\r\nx-b: 2"]},
            "token_headers_values.1: must not contain control characters",
        ),
        ({"login_action": "x"}, "login_action: expected one of: upstream, response, redirect"),
        ({"garbage": 1}, "garbage: unknown field"),
        ({"client_id": "a"}, "client_id: expected an array"),
    ],
)
def test_a_wrong_value_is_refused(config: dict[str, Any], message: str) -> None:
    assert fault(**config) == message


def test_an_error_never_quotes_a_secret() -> None:
    secret = "s3cret\n"
    for config in (
        {"client_id": ["a"], "client_secret": [secret]},
        {"session_secret": secret},
        {"redis": {"password": "s3cret"}},
        {"session_redis_password": "s3cret", "redis": {"password": "other"}},
        {"http_proxy_authorization": secret},
        {"issuer": "https://user:s3cret@idp.example"},
    ):
        with pytest.raises(SchemaViolation) as caught:
            configured(**config)
        assert "s3cret" not in caught.value.message
        assert "s3cret" not in repr(caught.value.errors)


@pytest.mark.parametrize("name", ["session1", "session10", "session22", "Session", "sessio"])
def test_a_cookie_that_only_looks_like_the_session_is_another(name: str) -> None:
    assert configured(authorization_cookie_name=name)["authorization_cookie_name"] == name
