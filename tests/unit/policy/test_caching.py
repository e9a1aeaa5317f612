"""Which decisions the filter may cache. Source: docs/adr/0035."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from scopegate.plugins.access import Body, Cacheable, Continue
from scopegate.policy.caching import Caching
from support.plugin_requests import plugin_request

NOW_S = 1_800_000_000.5
REQUEST = plugin_request()
ALLOW = Continue(cacheable=Cacheable(NOW_S + 10, ("cafe",)))


def until_s(outcome: Continue, body: Body = Body.NOT_READ, limit_s: float = 60) -> int | None:
    return Caching(limit_s, lambda: NOW_S).until_s(outcome, replace(REQUEST, body_state=body))


def test_cached_decision_ends_with_what_it_depends_on_or_at_the_limit() -> None:
    assert until_s(ALLOW) == 1_800_000_010
    assert until_s(ALLOW, limit_s=5) == 1_800_000_005


def test_decision_that_ends_within_the_second_is_not_cached() -> None:
    assert until_s(replace(ALLOW, cacheable=Cacheable(NOW_S + 0.4))) is None
    assert until_s(replace(ALLOW, cacheable=Cacheable(NOW_S - 1))) is None


def test_without_a_limit_or_the_plugins_word_nothing_is_cached() -> None:
    assert until_s(ALLOW, limit_s=0) is None
    assert until_s(replace(ALLOW, cacheable=None)) is None


@pytest.mark.parametrize(
    "more",
    [
        {"query": "y"},
        {"method": "GET"},
        {"drop_body": True},
        {"body_cuts": ((0, 1),)},
    ],
)
def test_decision_that_changes_more_than_headers_is_not_cached(more: dict[str, Any]) -> None:
    assert until_s(replace(ALLOW, **more)) is None


@pytest.mark.parametrize("state", [Body.WHOLE, Body.TOO_LARGE])
def test_decision_that_read_the_body_is_not_cached(state: Body) -> None:
    assert until_s(ALLOW, state) is None
