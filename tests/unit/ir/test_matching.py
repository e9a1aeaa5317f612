"""The pure matcher: Kong's own routing cases, and what they leave open."""

from __future__ import annotations

import re

import pytest

from scopegate.ir import re2
from scopegate.ir.gateway import (
    HeaderMatch,
    HostMatch,
    Listener,
    PathMatch,
    Refuse,
    Route,
    RouteMatch,
)
from scopegate.ir.matching import RequestHead, first_match, takes
from scopegate.reason_code import ReasonCode
from support import router_cases
from support.router_cases import CASES, NEVER_ARRIVES

LISTENER = Listener("http", "127.0.0.1", 80)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_router_case(case: dict):
    request = case["request"]
    head = RequestHead(
        path=router_cases.arriving(request["uri"]),
        method=request["method"],
        host=router_cases.host(request),
        tls=request.get("scheme") == "https",
        sni=request.get("sni"),
        headers=tuple(router_cases.headers(request)),
    )
    found = first_match(router_cases.gateway(case, (LISTENER,)).routes, head)
    expected = case["expect"]
    if expected.get("match") is False or case["id"] in NEVER_ARRIVES:
        assert found is None
        return
    assert found is not None
    if "route_id" in expected:
        assert found.route_id == expected["route_id"]
    if expected.get("service?") == "falsy":
        assert isinstance(found.action, Refuse)
        assert found.action.status == 503


class Why(ReasonCode):
    WHY = ("why", 500, "why", "what")


def test_the_first_route_that_takes_it_wins():
    refuse = Refuse(500, Why.WHY, "")
    routes = [
        Route("first", RouteMatch(path=PathMatch("prefix", "/a/b")), refuse, "1"),
        Route("second", RouteMatch(path=PathMatch("prefix", "/a")), refuse, "2"),
        Route("third", RouteMatch(), refuse, "3"),
    ]
    for path, key in (("/a/b/c", "first"), ("/a/c", "second"), ("/x", "third")):
        route = first_match(routes, RequestHead(path))
        assert route is not None
        assert route.key == key
    assert first_match(routes[:2], RequestHead("/x")) is None


@pytest.mark.parametrize(
    ("pattern", "port", "host", "taken"),
    [
        ("api.test", None, "API.Test.:99", True),
        ("api.test", 80, "api.test", True),
        ("api.test", 99, "api.test", False),
        ("api.test", 99, "api.test.:99", True),
        ("*.api.test", None, "a.b.api.test", True),
        ("*.api.test", None, "api.test", False),
        ("api.*", None, "api.test:1", True),
        ("[::1]", None, "[::1]:80", True),
    ],
)
def test_hosts(pattern: str, port: int | None, host: str, taken: bool):
    match = RouteMatch(hosts=(HostMatch(pattern, port),))
    assert takes(match, RequestHead("/", host=host)) is taken


def test_server_names_count_on_tls_only():
    match = RouteMatch(snis=("*.one.test",))
    assert takes(match, RequestHead("/"))
    assert takes(match, RequestHead("/", tls=True, sni="A.one.test."))
    assert not takes(match, RequestHead("/", tls=True, sni="one.test"))
    assert not takes(match, RequestHead("/", tls=True))


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ([("X-Kind", "Gold")], True),
        ([("x_kind", "gold")], True),
        ([("x-kind", "tin"), ("x-kind", "gold")], True),
        ([("x-kind", "tin, gold")], True),
        ([("x-kind", "marigold")], False),
        ([("x-kind", "tin"), ("x_kind", "lead")], False),
        ([("x-kind", "with silver in it")], True),
        ([("x-kind", "s"), ("x-kind", "lver")], False),
    ],
)
def test_headers(headers: list[tuple[str, str]], taken: bool):
    match = RouteMatch(headers=(HeaderMatch("x-kind", ("gold",), ("s.lver",)),))
    assert takes(match, RequestHead("/", headers=tuple(headers))) is taken


@pytest.mark.parametrize(("count", "taken"), [(4, True), (5, False)])
def test_few_header_names_may_be_spelled_each_as_it_likes(count: int, taken: bool):
    names = [f"x-h{number}" for number in range(count)]
    match = RouteMatch(headers=tuple(HeaderMatch(name, ("1",)) for name in names))
    mixed = tuple((name.replace("-", "_" if name == "x-h0" else "-"), "1") for name in names)
    assert takes(match, RequestHead("/", headers=mixed)) is taken
    assert takes(match, RequestHead("/", headers=tuple((name, "1") for name in names)))


@pytest.mark.parametrize(
    ("prefix", "path", "taken"),
    [
        ("/caf%C3%A9", "/caf%c3%A9/x", True),
        ("/v1:x", "/v1%3ax", True),
        ("/v1%3Ax", "/v1:x", True),
        ("/rou", "/route", True),
        ("/Rou", "/route", False),
    ],
)
def test_prefixes_take_every_spelling(prefix: str, path: str, taken: bool):
    assert takes(RouteMatch(path=PathMatch("prefix", prefix)), RequestHead(path)) is taken


@pytest.mark.parametrize(
    ("pattern", "text", "whole"),
    [
        ("/(?i)a|b", "/A", True),
        ("(?:x(?i)a|b)c", "Bc", True),
        ("(?:x(?i)a|b)c", "bC", False),
        (r"/[[:alpha:]]+\z", "/aZ", True),
        (r"/[[:^digit:]x1]+", "/ab1", True),
        (r"/\pL+\PL", "/ab1", True),
        (r"/[\p{Nd}_]+", "/1_2", True),
        (r"/\x{7e}[]a]b", "/~]b", True),
        ("/a(?U)b+(?-i:c)(?P<n>d)(?<m>e)$", "/abbcde", True),
        ("/[[&&~]", "/&", True),
        (r"/\w", "/\u00e9", False),
    ],
)
def test_re2_in_python(pattern: str, text: str, whole: bool):
    re.compile(re2.translated(pattern))
    assert re2.matches(pattern, text) is whole
