"""What of a request a configuration looks at before it says yes. Source: docs/adr/0035."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.ir.replay import ReplayKey
from scopegate.plugins.openid_connect.replay_key import replay_key
from unit.plugins.openid_connect.configs import configured


def key(**config: Any) -> ReplayKey:
    found = replay_key(configured(**config))
    assert found is not None
    return found


def test_the_places_of_credentials_are_named():
    found = key()
    assert found.headers >= {"cookie", "authorization", "access-token", "x-access-token"}
    assert "access_token" in found.arguments
    assert "urlencoded" in found.media
    assert {"x-consumer-id", "proxy-authorization"} <= found.stripped


def test_so_are_the_arguments_of_a_callback():
    assert "state" in key(auth_methods=["authorization_code"]).arguments
    assert "state" not in key(auth_methods=["bearer"]).arguments


def test_names_that_are_configured():
    assert "x-token" in key(auth_methods=["bearer"], bearer_token_header_name="X_Token").headers
    refresh = key(auth_methods=["refresh_token"], refresh_token_param_name="my_refresh")
    assert "my-refresh" in refresh.headers
    assert "my_refresh" in refresh.arguments
    assert "x-email" in key(upstream_headers=[{"header": "X_Email", "path": ["email"]}]).stripped
    assert "session-id" in key(session_request_headers=["id"]).stripped


def test_several_clients_are_chosen_by_the_request():
    found = key(client_id=["a", "b"], client_secret=["c", "d"])
    assert found.headers >= {"client-id", "x-client-id"}
    assert "client_id" in found.arguments
    assert found.media == {"urlencoded", "json"}


def test_methods_that_mean_something_else():
    assert key().methods == frozenset()
    assert key(run_on_preflight=False).methods == {"OPTIONS"}


def test_a_logout_means_something_else():
    assert key(logout_uri_suffix="/logout").suffixes == {"/logout"}
    assert key(logout_uri_suffix="/a,b").methods == {"POST", "DELETE"}
    assert key(logout_uri_suffix="/a,b").suffixes == frozenset()
    assert "bye" in key(logout_query_arg="bye", logout_methods=["GET"]).arguments
    assert key(logout_post_arg="bye").media == {"urlencoded", "json"}


def test_what_a_session_is_bound_to():
    assert "user-agent" in key(session_bind=["user-agent"]).headers
    assert ":scheme" in key(session_bind=["scheme"]).headers


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
def test_what_cannot_be_named_is_asked_about_each_time(config: dict[str, Any]):
    assert replay_key(configured(**config)) is None


def test_the_text_for_envoy_holds_names_only():
    text = key(logout_query_arg="A b=c;d,e").text("0" * 32)
    parts = [part.split("=") for part in text.split(" ")]
    assert all(len(part) == 2 for part in parts)
    assert [name for name, _ in parts] == [
        *("policy", "key", "stripped", "arguments", "methods", "media", "suffixes")
    ]


@pytest.mark.parametrize("name", ["client id", "a,b", "größe", "a\u00a0b"])
def test_a_name_that_is_no_header_s_means_asking_each_time(name: str):
    two = {"client_id": ["a", "b"], "client_secret": ["c", "d"]}
    assert replay_key(configured(**two, client_arg=name)) is None
    refresh = {"auth_methods": ["session", "refresh_token"], "refresh_token_param_name": name}
    assert replay_key(configured(**refresh)) is None
    assert key(**refresh, refresh_token_param_type=["query"]).arguments >= {name}


@pytest.mark.parametrize("part", ["headers", "stripped", "methods", "media", "suffixes"])
@pytest.mark.parametrize("word", ["a b", "a,b", "", "a\nb", "é"])
def test_no_word_can_cut_a_list_short(part: str, word: str):
    with pytest.raises(ValueError, match="cannot stand"):
        ReplayKey(**{"headers": frozenset({"cookie"}), part: frozenset({word})})
