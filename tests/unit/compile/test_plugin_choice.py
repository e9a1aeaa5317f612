"""Which plugins run on a route. Source: contract admin-api.md §4."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from scopegate.compile import plugin_choice
from scopegate.entities.snapshot import Plugin, Route
from support.entities import plugin, route

PRIORITIES = {"first": 1050, "later": 1}
ROUTE = route(name="r", service="s")
LEVELS = [
    plugin(id="both", name="p", route="r", service="s"),
    plugin(id="route", name="p", route="r"),
    plugin(id="service", name="p", service="s"),
    plugin(id="global", name="p"),
]


def chain(on: Route, plugins: Iterable[Plugin]) -> list[Plugin]:
    return plugin_choice.chain(on, plugins, PRIORITIES)


@pytest.mark.parametrize("count", range(1, 5))
def test_the_most_specific_instance_wins_in_any_order(count: int):
    for chosen in itertools.combinations(LEVELS, count):
        best = min(chosen, key=LEVELS.index)
        for order in itertools.permutations(chosen):
            assert chain(ROUTE, order) == [best]


def test_what_belongs_to_others_does_not_run():
    others = [
        plugin(id="1", name="p", route="other"),
        plugin(id="2", name="p", service="other"),
        plugin(id="3", name="p", route="r", service="other"),
    ]
    assert chain(ROUTE, others) == []
    assert chain(route(name="serviceless"), [plugin(id="4", name="p", service="s")]) == []


def test_a_disabled_instance_gives_way_to_a_broader_one():
    off = plugin(id="off", name="p", route="r", enabled=False)
    assert chain(ROUTE, [off, LEVELS[3]]) == [LEVELS[3]]


def test_protocols_must_overlap():
    grpc = plugin(id="grpc", name="p", protocols=["grpc", "grpcs"])
    assert chain(ROUTE, [grpc]) == []
    assert chain(route(name="g", protocols=["grpc"]), [grpc]) == [grpc]


def test_plugins_run_by_priority_and_then_by_name_backwards():
    made = [plugin(id=name, name=name) for name in ("b", "later", "first", "a", "c")]
    assert [p.name for p in chain(ROUTE, made)] == ["first", "later", "c", "b", "a"]
