"""A route's entries for Envoy: how many, for which spellings of header names and which ports."""

from __future__ import annotations

import pytest

from scopegate.envoy.route_matches import envoy_matches
from scopegate.ir.gateway import HeaderMatch, HostMatch, RouteMatch
from scopegate.ir.matching import MIXED_SPELLINGS_LIMIT


def spellings(count: int) -> list[tuple[str, ...]]:
    headers = tuple(HeaderMatch(f"x-h{number}", ("v",)) for number in range(count))
    match = RouteMatch(headers=(*headers, HeaderMatch("plain", ("v",))))
    found = envoy_matches(match, frozenset())
    return [tuple(each.name for each in entry.headers) for entry in found]


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


def test_a_host_without_port_needs_an_entry_for_each_listener_and_no_other():
    match = RouteMatch(hosts=tuple(HostMatch(f"h{port}.test", port) for port in range(1, 1000)))
    usual, silent = envoy_matches(match, frozenset({80, 8443}))
    assert [each.name for each in usual.headers] == [":authority"]
    assert [each.name for each in silent.headers] == [":authority", "x-forwarded-port"]
    assert silent.headers[1].string_match.exact == "80"
    assert r"h80\.test" in silent.headers[0].string_match.safe_regex.regex
    assert r"h81\.test" not in silent.headers[0].string_match.safe_regex.regex
