"""Check responses as the service writes them. Source: docs/check-protocol.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.plugins.access import Cacheable, Continue
from scopegate.plugins.openid_connect.reasons import PassReason
from scopegate.policy.check_response import LIMIT_BYTES, allow, answer, want_body
from scopegate.policy.client_answer import ClientAnswer
from support.cache_profile import PROFILE
from support.policy_check import read_response

LINE = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x7f").filter(
        lambda char: char >= " " or char == "\t"
    )
)
NAME = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1)
HEADERS = st.lists(st.tuples(NAME, LINE))


def test_allow_without_changes_is_two_lines() -> None:
    assert allow(Continue()) == b"scopegate-check 1\nverdict allow\nreason allowed\n\n"


def test_allow_carries_all_changes() -> None:
    outcome = Continue(
        set_headers=(("authorization", "Bearer t"), ("x-mail", "grün")),
        remove_headers=("authorization", "x_consumer_id"),
        response_headers=(("set-cookie", "a=1"), ("set-cookie", "b=2")),
        query="",
        method="GET",
        body_cuts=((0, 4), (9, 12)),
    )
    response = read_response(allow(outcome))
    assert response.headers("set") == list(outcome.set_headers)
    assert response.all("remove") == ["authorization", "x_consumer_id"]
    assert response.headers("client") == [
        *outcome.response_headers,
        ("cache-control", 'no-cache="set-cookie"'),
    ]
    assert (response.one("query"), response.one("method")) == ("", "GET")
    assert response.all("cut") == ["0-4", "9-12"]
    assert (response.all("drop-body"), response.body) == ([], b"")


def test_body_that_is_dropped_is_not_cut() -> None:
    response = read_response(allow(Continue(drop_body=True, body_cuts=((0, 4),))))
    assert (response.one("drop-body"), response.all("cut")) == ("", [])


@pytest.mark.parametrize("query", ["a b", "a#b", "é", "a\tb"])
def test_query_that_is_none_cannot_be_written(query: str) -> None:
    with pytest.raises(ValueError, match="query"):
        allow(Continue(query=query))


@pytest.mark.parametrize("method", ["", "get", "GET POST", "G3T"])
def test_method_that_is_none_cannot_be_written(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        allow(Continue(method=method))


def test_allow_carries_profile_and_how_long_it_may_be_cached() -> None:
    outcome = Continue(cacheable=Cacheable(0, ("cafe", "bead")))
    response = read_response(
        allow(outcome, profile=str(PROFILE), cache_until_s=1_800_000_000, plugin_id="plugin-1")
    )
    assert response.one("profile") == str(PROFILE)
    assert response.one("cache") == "1800000000"
    assert response.all("tag") == ["cafe", "bead"]
    assert response.one("count") == "plugin-1 allowed"


def test_answer_has_status_headers_and_body() -> None:
    headers = (("www-authenticate", "Bearer"), ("www-authenticate", "DPoP"))
    message = answer(ClientAnswer(403, headers, b"\n\n"), PassReason.LOGOUT)
    response = read_response(message)
    assert (response.status, response.one("reason")) == (403, "logout")
    assert response.headers("client") == list(headers)
    assert response.body == b"\n\n"


def test_every_verdict_carries_revoked_tags() -> None:
    revoked = ["cafe", "bead"]
    for message in (
        allow(Continue(), revoked=revoked),
        answer(ClientAnswer(302, ()), PassReason.LOGOUT, revoked),
        want_body(revoked),
    ):
        assert read_response(message).all("revoke") == revoked


@given(headers=HEADERS, sent=HEADERS, body=st.binary())
def test_values_are_read_back_as_written(
    headers: list[tuple[str, str]], sent: list[tuple[str, str]], body: bytes
) -> None:
    outcome = Continue(set_headers=tuple(headers), response_headers=tuple(sent))
    response = read_response(allow(outcome))
    assert response.headers("set") == headers
    assert response.headers("client")[: len(sent)] == sent
    given = ClientAnswer(200, tuple(sent), body)
    response = read_response(answer(given, PassReason.LOGOUT))
    assert response.headers("client") == sent
    assert response.body == body


@pytest.mark.parametrize("odd", ["\n", "\r", "\0", "\x1f", "\x7f", "a\nset x-user:root", "\n\n"])
@pytest.mark.parametrize(
    "field", ["set_headers", "response_headers", "remove_headers", "query", "method"]
)
def test_control_character_cannot_be_written(field: str, odd: str) -> None:
    values: dict[str, Any] = {
        "set_headers": (("x", odd),),
        "response_headers": (("x", odd),),
        "remove_headers": (odd,),
    }
    with pytest.raises(ValueError, match=r"control|query|method"):
        allow(replace(Continue(), **{field: values.get(field, odd)}))
    with pytest.raises(ValueError, match="control"):
        answer(ClientAnswer(302, (("location", odd),)), PassReason.LOGOUT)


@pytest.mark.parametrize("name", ["", "A", "a:b", "a b", "a\nb", "é"])
def test_name_that_is_no_headers_cannot_be_written(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        allow(Continue(set_headers=((name, "1"),)))
    with pytest.raises(ValueError, match="name"):
        allow(Continue(response_headers=((name, "1"),)))


def test_response_over_the_limit_cannot_be_written() -> None:
    answer(ClientAnswer(200, (), b"x" * (LIMIT_BYTES - 200)), PassReason.LOGOUT)
    with pytest.raises(ValueError, match="limit"):
        answer(ClientAnswer(200, (), b"x" * LIMIT_BYTES), PassReason.LOGOUT)
