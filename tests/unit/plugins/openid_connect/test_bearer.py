from typing import Any

import pytest

from scopegate.plugins.access import Body
from scopegate.plugins.openid_connect.arguments import Arguments, BodyWanted
from scopegate.plugins.openid_connect.bearer import BearerPlaces, CredentialRepeated
from support.plugin_requests import plugin_request

CONFIG: dict[str, Any] = {
    "bearer_token_param_type": ["header", "query", "body"],
    "bearer_token_header_name": None,
    "bearer_token_cookie_name": None,
}


def find(
    headers: tuple[tuple[str, str], ...] = (),
    query: str = "",
    body: bytes = b"",
    state: Body = Body.WHOLE,
    **config: Any,
) -> tuple[str, str, str] | None:
    request = plugin_request(
        method="POST", query=query, headers=headers, body=body, body_state=state
    )
    places = BearerPlaces.from_config(CONFIG | config)
    found = places.find(request, Arguments(request))
    return (found.value, found.place, found.name) if found else None


FORM = ("content-type", "application/x-www-form-urlencoded")


def test_header_query_body_and_cookie_are_places() -> None:
    assert find((("authorization", "Bearer t"),)) == ("t", "header", "authorization")
    assert find((("authorization", "bEaReR  t "),)) == ("t", "header", "authorization")
    assert find((("access-token", "t"),)) == ("t", "header", "access-token")
    assert find((("x-access-token", "Bearer t"),)) == ("t", "header", "x-access-token")
    assert find(query="access_token=t") == ("t", "query", "access_token")
    assert find((FORM,), body=b"access_token=t") == ("t", "body", "access_token")
    cookie = {"bearer_token_param_type": ["cookie"], "bearer_token_cookie_name": "jwt"}
    assert find((("cookie", "a=1; jwt=t"),), **cookie) == ("t", "cookie", "jwt")


def test_a_place_that_is_not_configured_is_not_looked_into() -> None:
    assert find(query="access_token=t", bearer_token_param_type=["header"]) is None
    assert find((("authorization", "Bearer t"),), bearer_token_param_type=["query"]) is None
    assert find((("authorization", "Bearer t"),), bearer_token_header_name="X_My_Token") is None
    named = find((("x-my-token", "t"),), bearer_token_header_name="X_My_Token")
    assert named == ("t", "header", "x-my-token")


def test_another_scheme_is_no_bearer_token() -> None:
    assert find((("authorization", "Basic dTpw"),)) is None
    assert find((("authorization", "Bearer"),)) is None
    assert find((("authorization", "DPoP t"),)) is None


@pytest.mark.parametrize(
    "sent",
    [
        {"headers": (("authorization", "Bearer t,Bearer u"),)},
        {"headers": (("authorization", "Bearer t"), ("x-access-token", "t"))},
        {"headers": (("authorization", "Bearer t"),), "query": "access_token=u"},
        {"query": "access_token=t&access_token=u"},
        {"headers": (("authorization", "Bearer t"), FORM), "body": b"access_token=u"},
    ],
)
def test_two_tokens_are_refused_whichever_is_good(sent: dict[str, Any]) -> None:
    with pytest.raises(CredentialRepeated):
        find(**sent)


def test_two_cookies_of_the_tokens_name_are_refused() -> None:
    cookie = {"bearer_token_param_type": ["cookie"], "bearer_token_cookie_name": "jwt"}
    with pytest.raises(CredentialRepeated):
        find((("cookie", "jwt=t; jwt=u"),), **cookie)


def test_json_is_not_buffered_where_a_header_has_the_token() -> None:
    json = ("content-type", "application/json")
    found = find((("authorization", "Bearer t"), json), state=Body.NOT_READ)
    assert found == ("t", "header", "authorization")
    with pytest.raises(BodyWanted):
        find((json,), state=Body.NOT_READ)
    with pytest.raises(BodyWanted):
        find((("authorization", "Bearer t"), FORM), state=Body.NOT_READ)


def test_a_credential_does_not_show_its_value() -> None:
    request = plugin_request(headers=(("authorization", "Bearer secret"),))
    found = BearerPlaces.from_config(CONFIG).find(request, Arguments(request))
    assert "secret" not in repr(found)
