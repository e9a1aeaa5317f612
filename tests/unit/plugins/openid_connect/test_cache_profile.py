"""What a configuration reads of a request before it allows it. Source: docs/adr/0035."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.ir.cache_profile import CacheProfile
from scopegate.plugins.openid_connect.cache_profile import cache_profile
from unit.plugins.openid_connect.configs import configured


def profile(**config: Any) -> CacheProfile:
    found = cache_profile(configured(**config))
    assert found is not None
    return found


def test_the_places_of_credentials_are_named():
    found = profile()
    assert found.key >= {"cookie", "authorization", "access-token", "x-access-token"}
    assert "access_token" in found.arguments
    assert "urlencoded" in found.media
    assert {"x-consumer-id", "proxy-authorization"} <= found.strip


def test_so_are_the_arguments_of_a_callback():
    assert "state" in profile(auth_methods=["authorization_code"]).arguments
    assert "state" not in profile(auth_methods=["bearer"]).arguments


def test_names_that_are_configured():
    assert "x-token" in profile(auth_methods=["bearer"], bearer_token_header_name="X_Token").key
    refresh = profile(auth_methods=["refresh_token"], refresh_token_param_name="my_refresh")
    assert "my-refresh" in refresh.headers
    assert "my_refresh" in refresh.arguments
    assert "x-email" in profile(upstream_headers=[{"header": "X_Email", "path": ["email"]}]).strip
    assert "session-id" in profile(session_request_headers=["id"]).strip


def test_several_clients_are_chosen_by_the_request():
    found = profile(client_id=["a", "b"], client_secret=["c", "d"])
    assert found.key >= {"client-id", "x-client-id"}
    assert "client_id" in found.arguments
    assert found.media == {"urlencoded", "json"}


def test_methods_that_mean_something_else():
    assert profile().methods == frozenset()
    assert profile(run_on_preflight=False).methods == {"OPTIONS"}


def test_a_logout_means_something_else():
    assert profile(logout_uri_suffix="/logout").suffixes == {"/logout"}
    assert profile(logout_uri_suffix="/a,b").methods == {"POST", "DELETE"}
    assert profile(logout_uri_suffix="/a,b").suffixes == frozenset()
    assert "bye" in profile(logout_query_arg="bye", logout_methods=["GET"]).arguments
    assert profile(logout_post_arg="bye").media == {"urlencoded", "json"}


def test_what_a_session_is_bound_to():
    assert "user-agent" in profile(session_bind=["user-agent"]).key
    assert ":scheme" in profile(session_bind=["scheme"]).key


@pytest.mark.parametrize(
    "config",
    [
        {"session_bind": ["ip"]},
        {"reverify": True},
        {"session_request_headers": ["id", "timeout"]},
        {"session_request_headers": ["rolling-timeout"]},
        {"session_response_headers": ["id"]},
        {"downstream_access_token_header": "x-token"},
        {"downstream_headers": [{"header": "X-Mail", "path": ["email"]}]},
    ],
)
def test_what_cannot_be_named_has_no_profile(config: dict[str, Any]):
    assert cache_profile(configured(**config)) is None


@pytest.mark.parametrize("name", ["client id", "a,b", "größe", "a\u00a0b"])
def test_a_name_that_is_no_header_s_has_no_profile(name: str):
    two = {"client_id": ["a", "b"], "client_secret": ["c", "d"]}
    assert cache_profile(configured(**two, client_arg=name)) is None
    refresh = {"auth_methods": ["session", "refresh_token"], "refresh_token_param_name": name}
    assert cache_profile(configured(**refresh)) is None
    assert profile(**refresh, refresh_token_param_type=["query"]).arguments
