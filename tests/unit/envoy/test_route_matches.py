"""A route's entries for Envoy: how many, and for which spellings of header names."""

from __future__ import annotations

import pytest

from scopegate.envoy.route_matches import envoy_matches
from scopegate.ir.gateway import HeaderMatch, RouteMatch
from scopegate.ir.matching import MIXED_SPELLINGS_LIMIT


def spellings(count: int) -> list[tuple[str, ...]]:
    headers = tuple(HeaderMatch(f"x-h{number}", ("v",)) for number in range(count))
    match = RouteMatch(headers=(*headers, HeaderMatch("plain", ("v",))))
    return [tuple(each.name for each in entry.headers) for entry in envoy_matches(match)]


def test_few_names_may_each_be_spelled_either_way():
    assert set(spellings(2)) == {
        ("x-h0", "x-h1", "plain"),
        ("x-h0", "x_h1", "plain"),
        ("x_h0", "x-h1", "plain"),
        ("x_h0", "x_h1", "plain"),
    }


@pytest.mark.parametrize("count", [MIXED_SPELLINGS_LIMIT + 1, 24, 255])
def test_many_are_spelled_all_alike_so_that_a_route_stays_small(count: int):
    hyphens = tuple(f"x-h{number}" for number in range(count))
    underscores = tuple(name.replace("-", "_") for name in hyphens)
    assert spellings(count) == [(*hyphens, "plain"), (*underscores, "plain")]
