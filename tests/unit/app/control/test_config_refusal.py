"""What an operator is told when the proxy refuses a configuration: why, and which routes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scopegate.app.control.config_refusal import LENGTH_LIMIT, explain
from scopegate.ir.gateway import Gateway, HeaderMatch, PathMatch, Refuse, Route, RouteMatch

REFUSE = Refuse(500, "x", "x")
PLAIN = Route("a", RouteMatch(path=PathMatch("prefix", "/a")), REFUSE, "id-a", "a")
BAD_PATH = Route("b", RouteMatch(path=PathMatch("regex", r"/\p{Klingon}+")), REFUSE, "id-b", "bad")
BAD_HEADER = Route(
    "c", RouteMatch(headers=(HeaderMatch("x", regexes=(r"y\p{Klingon}",)),)), REFUSE, "id-c"
)
UNKNOWN = r"routes: invalid character class range: \p{Klingon}"


@pytest.mark.parametrize("good", [None, Gateway(routes=(PLAIN,))])
def test_the_routes_that_hold_what_envoy_quotes_are_named(good: Gateway | None) -> None:
    refusal = explain(UNKNOWN, Gateway(routes=(PLAIN, BAD_PATH, BAD_HEADER)), good)
    assert str(refusal) == f"{UNKNOWN} (in route bad, route id-c)"
    assert refusal.routes == ("id-b", "id-c")


def test_without_a_quotation_the_routes_that_changed_are_named() -> None:
    changed = replace(PLAIN, match=RouteMatch(path=PathMatch("prefix", "/other")))
    good = Gateway(routes=(PLAIN, BAD_PATH))
    refusal = explain("routes: no", Gateway(routes=(changed, BAD_PATH)), good)
    assert str(refusal) == "routes: no (changed since the last good one: route a)"


def test_many_routes_are_counted() -> None:
    routes = tuple(replace(PLAIN, key=f"{n}", route_id=f"id-{n // 2}") for n in range(16))
    refusal = explain("routes: no", Gateway(routes=routes), Gateway())
    assert refusal.where.endswith("route a and 3 more")
    assert len(refusal.routes) == 5


def test_nothing_is_guessed() -> None:
    assert str(explain("clusters: no", Gateway(routes=(PLAIN,)), None)) == "clusters: no"


def test_a_whole_table_is_not_shown() -> None:
    table = 'routes: goo.gle/debugproto  \nname: "routes"\nvirtual_hosts {\n' * 50
    said = explain(table, Gateway(), None).said
    assert "virtual_hosts" not in said
    assert said.startswith("routes: a value is beyond Envoy's own limits")
    long = explain("routes: " + "long\n" * 500, Gateway(), None).said
    assert len(long) == LENGTH_LIMIT + 1
    assert "\n" not in long
