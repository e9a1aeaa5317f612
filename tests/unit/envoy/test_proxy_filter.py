"""What the proxy filter reads: the two texts, and the names of the route table's entries."""

from __future__ import annotations

from dataclasses import replace

import pytest
from envoy.config.route.v3.route_components_pb2 import Route as EnvoyRoute
from envoy.extensions.filters.http.dynamic_modules.v3.dynamic_modules_pb2 import (
    DynamicModuleFilterPerRoute,
)
from google.protobuf.wrappers_pb2 import StringValue

from scopegate.envoy import names
from scopegate.envoy.path_rewrites import goes_deeper
from scopegate.envoy.proxy_filter import proxy_filter
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.route_entries import Surroundings, entries
from scopegate.envoy.routes import route_table
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import (
    Forward,
    Gateway,
    GatewayCookie,
    HttpsOnly,
    Listener,
    PathMatch,
    Refuse,
    Route,
    RouteMatch,
)

POLICY = "0123456789abcdef" * 2
FORWARD = Forward("c", "/", False, None, 1, 0)
ROUTE = Route("k", RouteMatch(), FORWARD, "r", "orders", "s", "shop", policy_id=POLICY)


def text(config) -> list[str]:
    value = StringValue()
    assert config.filter_config.Unpack(value)
    assert value.value.endswith("\n") or not value.value
    return value.value.splitlines()


def table_text(**fields) -> list[str]:
    message = route_table(Gateway(**fields), EnvoySettings()).message()
    config = DynamicModuleFilterPerRoute()
    assert message.typed_per_filter_config[names.FILTER].Unpack(config)
    return text(config)


def made(route: Route) -> list[EnvoyRoute]:
    return list(entries(route, Surroundings(False, True, frozenset())))


def entry_names(route: Route) -> set[str]:
    return {entry.name for entry in made(route)}


def test_the_listeners_text_has_the_settings():
    lines = text(proxy_filter(EnvoySettings(policy_socket="/p/policy.sock", headers_limit_kib=2)))
    assert "policy-cluster scopegate.policy" in lines
    assert "policy-socket /p/policy.sock" in lines
    assert "headers-limit-bytes 2048" in lines
    assert not [line for line in lines if line.startswith("debug-header")]
    assert "debug-header on" in text(proxy_filter(EnvoySettings(debug_header=True)))


def test_the_tables_text_has_cookies_one_to_a_line():
    cookies = {
        GatewayCookie("session", ("AQaa", "AQbb"), ("session2", "session3")),
        GatewayCookie("login", ("AQcc",)),
    }
    lines = table_text(cookies=frozenset(cookies), escaped_slashes="keep", path_parameters="keep")
    assert lines == ["cookie login AQcc -", "cookie session AQaa,AQbb session2,session3"]


def test_the_tables_text_says_which_paths_are_refused():
    assert table_text() == ["refuse escaped-slashes", "refuse path-parameters"]
    deeper = replace(ROUTE, match=RouteMatch(path=PathMatch("prefix", "/a/b")))
    assert table_text(routes=(deeper,), escaped_slashes="keep", path_parameters="keep") == [
        "refuse trailing-dots"
    ]


def test_an_entry_is_named_by_route_service_and_policy():
    assert entry_names(ROUTE) == {f"r/orders s/shop {POLICY}"}
    alone = Route("k", RouteMatch(), Refuse(503, "x", "m"), "r")
    assert entry_names(alone) == {"r - open"}


def test_what_a_route_answers_before_its_policy_is_open():
    route = replace(ROUTE, https_only=HttpsOnly(301), grpc_only=True)
    redirect, *others, forward = (entry.name.split(" ")[2] for entry in made(route))
    assert {redirect, *others} == {"open"}
    assert forward == POLICY


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (None, []),
        (PathMatch("prefix", "/a"), []),
        (PathMatch("prefix", "/a%2Fb"), ["slashes"]),
        (PathMatch("prefix", "/a%5Cb"), ["slashes"]),
        (PathMatch("prefix", "/a;v="), ["parameters"]),
        (PathMatch("regex", "/a(?i:%2F)b(?:;|(?i:%3B))"), ["slashes,parameters"]),
        (PathMatch("regex", "/[!-~]+"), []),
    ],
)
def test_a_fourth_word_says_what_the_path_names(path: PathMatch | None, word: list[str]):
    (name,) = entry_names(replace(ROUTE, match=RouteMatch(path=path)))
    assert name.split(" ")[3:] == word


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, False),
        (PathMatch("prefix", "/a"), False),
        (PathMatch("prefix", "/a/"), True),
        (PathMatch("prefix", "/a%2Fb"), True),
        (PathMatch("regex", r"/([a-z0-9_-]+|v\d\.\w{2,3})$"), False),
        (PathMatch("regex", "/r[!-~]"), True),
        (PathMatch("regex", "/r.x"), True),
    ],
)
def test_paths_that_look_at_a_second_segment_go_deeper(path: PathMatch | None, expected: bool):
    assert goes_deeper(path) is expected


def test_a_change_of_policies_changes_routes_alone():
    """Header names that a policy sets are told by its answers, not by any filter."""
    listener = Listener("http", "127.0.0.1", 8000)
    before, after = (
        gateway_resources(
            Gateway(listeners=(listener,), routes=(replace(ROUTE, policy_id=digit * 32),)),
            EnvoySettings(),
        )
        for digit in "ab"
    )
    assert before.listeners == after.listeners
    assert before.routes != after.routes
