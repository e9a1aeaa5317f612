"""Kong's priority of routes. Source: contract admin-api.md §3."""

from __future__ import annotations

import itertools
from uuid import UUID, uuid5

import pytest

from scopegate.compile.order import in_order, priority, split
from support.entities import route

NAMESPACE = UUID("7f145bf9-0dce-4f91-98eb-debbce4b9f6b")


def names(*routes) -> list[str]:
    return [part.route.name for part in in_order(routes)]


def test_a_route_with_one_kind_of_path_keeps_its_id():
    for paths in ([], ["/a"], ["/a", "/b"], ["~/a", "~/bbb"]):
        one = route(paths=paths)
        (part,) = split(one)
        assert (part.id, part.paths) == (one.id, tuple(paths))


def test_a_route_is_split_by_kind_and_length_of_path():
    many = route(paths=["/bb", "~/r", "/a", "/cc", "~/s"])
    parts = split(many)
    assert [part.paths for part in parts] == [("/bb", "/cc"), ("~/r", "~/s"), ("/a",)]
    assert [part.id for part in parts] == [
        str(uuid5(NAMESPACE, f"{many.id}#{number}")) for number in (1, 2, 3)
    ]


def test_length_is_counted_in_bytes():
    assert [part.paths for part in split(route(paths=["/é", "/ab"]))] == [("/é", "/ab")]
    assert priority(split(route(paths=["/é"]))[0])[-1] == 3


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        # more fields, whatever they are
        ({"methods": ["GET"], "paths": ["/"]}, {"paths": ["/a/very/long/prefix"]}),
        ({"snis": ["a"], "methods": ["GET"]}, {"hosts": ["a.test"]}),
        # then plain hosts
        ({"hosts": ["a.test"], "paths": ["/"]}, {"hosts": ["*.test"], "paths": ["/long"]}),
        ({"hosts": ["a.test"]}, {"hosts": ["a.test", "b.*"]}),
        ({"hosts": ["a.test"]}, {"headers": {"a": ["1"]}}),
        # then the number of headers
        ({"headers": {"a": ["1"], "b": ["1"]}}, {"headers": {"a": ["1"]}}),
        ({"headers": {"a": ["1"]}}, {"paths": ["~/a"]}),
        # then regex paths, by their priority
        ({"paths": ["~/a"]}, {"paths": ["/a/very/long/prefix"]}),
        ({"paths": ["~/a"], "regex_priority": 2}, {"paths": ["~/aaaa"], "regex_priority": 1}),
        ({"paths": ["~/a"]}, {"paths": ["/a"], "regex_priority": 9}),
        # then the length of the prefix
        ({"paths": ["/abc"]}, {"paths": ["/ab"]}),
    ],
)
def test_what_goes_first(higher: dict, lower: dict):
    one, two = route(name="higher", **higher), route(name="lower", **lower)
    assert names(one, two) == names(two, one) == ["higher", "lower"]


def test_of_equals_the_larger_id_goes_first():
    small, large = (
        "1" * 8 + "-0000-4000-8000-000000000000",
        "f" * 8 + "-0000-4000-8000-000000000000",
    )
    routes = [route(name=id_, id=id_, paths=["/a"]) for id_ in (small, large)]
    assert names(*routes) == [large, small]


def test_more_than_255_headers_count_as_255():
    lots = {f"x-{number}": ["1"] for number in range(300)}
    one = route(name="a", id="1" * 36, headers=lots)
    two = route(name="b", id="2" * 36, headers=dict(itertools.islice(lots.items(), 255)))
    assert names(one, two) == ["b", "a"]
