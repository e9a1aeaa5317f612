"""Which yes Envoy may give again. Source: docs/adr/0035."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scopegate.plugins.access import Body, Continue, Lasting, Request
from scopegate.policy.grants import ANSWER_LIMIT_BYTES, Grants

NOW_S = 1_800_000_000.5
REQUEST = Request(
    method="GET",
    scheme="http",
    host="api.example",
    path="/x",
    query="",
    headers=(("authorization", "Bearer t"), ("cookie", "a=1"), ("x-mail", "m")),
    client_ip="192.0.2.1",
    request_id="r",
)
YES = Continue(lasting=Lasting(NOW_S + 10, ("cafe",)))


def grant(outcome: Continue, request: Request | None = REQUEST, limit_s: float = 60) -> str | None:
    return Grants(limit_s, lambda: NOW_S).of(outcome, request)


def test_a_grant_ends_with_what_it_rests_on_or_at_the_limit():
    assert grant(YES) == "1800000010 cafe - ."
    assert grant(YES, limit_s=5) == "1800000005 cafe - ."


def test_what_is_over_within_the_second_is_not_granted():
    assert grant(replace(YES, lasting=Lasting(NOW_S + 0.4))) is None
    assert grant(replace(YES, lasting=Lasting(NOW_S - 1))) is None


def test_without_a_limit_or_a_word_of_the_plugin_there_is_none():
    assert grant(YES, limit_s=0) is None
    assert grant(replace(YES, lasting=None)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"query": "y"},
        {"method": "GET"},
        {"drop_body": True},
        {"body_cuts": ((0, 1),)},
    ],
)
def test_a_yes_that_changes_more_than_headers_is_not_granted(more: dict):
    assert grant(replace(YES, **more)) is None


@pytest.mark.parametrize("state", [Body.WHOLE, Body.TOO_LARGE])
def test_a_yes_that_read_the_body_is_not_granted(state: Body):
    assert grant(YES, replace(REQUEST, body_state=state)) is None


def test_headers_go_with_their_lengths_in_bytes():
    outcome = replace(
        YES,
        set_headers=(("x-mail", "grün 1"), ("x-empty", "")),
        remove_headers=("x_mail", "x-mail"),
    )
    assert grant(outcome) == "1800000010 cafe x_mail x-mail 7 grün 1 x-empty 0  ."


def test_a_credential_that_goes_on_as_it_came_is_not_said_twice():
    outcome = replace(YES, set_headers=(("authorization", "Bearer t"), ("x-mail", "m")))
    # x-mail is in no key: another client may not have sent it.
    assert grant(outcome) == "1800000010 cafe - x-mail 1 m ."


def test_headers_for_the_client_are_not_in_it():
    outcome = replace(YES, response_headers=(("set-cookie", "session=secret"),))
    assert grant(outcome) == "1800000010 cafe - ."


def test_what_said_twice_would_be_too_much_for_envoy_is_not_granted():
    def of(size: int) -> str | None:
        return grant(replace(YES, set_headers=(("x-mail", "m" * size),)))

    assert of(ANSWER_LIMIT_BYTES // 2 - 100) is not None
    assert of(ANSWER_LIMIT_BYTES // 2) is None
    cookie = "c" * ANSWER_LIMIT_BYTES
    same = replace(REQUEST, headers=(("cookie", cookie),))
    assert grant(replace(YES, set_headers=(("cookie", cookie),)), same) is None
