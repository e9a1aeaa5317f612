"""What the proxy filter and the policy service say to each other, and what comes of it.

The protocol: docs/check-protocol.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
import pytest_asyncio

from scopegate.compile.route_table import NO_SERVICE
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import PathMatch, RouteMatch
from support.policy_double import WANT_BODY, Asked, Verdict, allow, answer, message

from .conftest import POLICY_ID, Node

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENVOY = {"settings": EnvoySettings(policy_timeout_ms=800, body_limit_bytes=1000)}

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(node: Node) -> Node:
    await node.serve(
        node.protected("/guarded", strip_path=True, service_id="service-id"),
        node.protected("/refused", action=NO_SERVICE),
        node.route("/open"),
    )
    return node


async def refused(node: Node, status: int, reason: str, **more) -> None:
    """A POST to the protected route is refused so, and the upstream sees nothing of it."""
    reply = await node.ask("/guarded", method="POST", headers=[FORM], body=b"token=t", **more)
    assert (reply.status, json.loads(reply.body)["reason"]) == (status, reason)
    assert json.loads(reply.body)["request_id"] == reply.one("x-kong-request-id")
    assert node.upstream.received == []


async def test_a_check_says_what_the_decision_needs(guarded: Node):
    reply = await guarded.ask(
        "/guarded/x?q=1", method="PUT", host="Api.Example:99", headers=[("X-Mine", "1")], body=b"b"
    )
    assert reply.status == 200
    (asked,) = guarded.policy.asked
    assert asked.facts == {
        "policy": POLICY_ID,
        "route": f"route-id service-id {POLICY_ID}",
        "id": reply.one("x-kong-request-id"),
        "client": "127.0.0.1",
        "protocol": "HTTP/1.1",
        "method": "PUT",
        "scheme": "http",
        "authority": "Api.Example:99",
        "path": "/guarded/x",
        "query": "q=1",
        "body": "not-read",
    }
    assert asked.one("x-mine") == "1"
    assert asked.body == b""
    ours = ("x-scopegate-", "x-envoy-", "x-forwarded-", "x-kong-", ":")
    assert not [name for name, _ in asked.headers if name.startswith(ours)]


async def test_a_route_s_label_has_names_in_any_letters(node: Node):
    name = "größe-价格-\u0085\u2028\u009b"
    known = {"route_name": name, "service_id": "service-id", "service_name": "a" * 2000}
    await node.serve(node.protected("/named", **known), node.protected("/nameless"))
    assert (await node.ask("/named")).status == 200
    assert (await node.ask("/nameless")).status == 200
    named, nameless = node.policy.asked
    assert named.facts["route"] == f"route-id/{name} service-id/{'a' * 2000} {POLICY_ID}"
    assert nameless.facts["route"] == f"route-id - {POLICY_ID}"


async def test_a_route_without_policy_is_not_asked_about(guarded: Node):
    assert (await guarded.ask("/open")).status == 200
    assert (await guarded.ask("/nowhere")).status == 404
    assert guarded.policy.asked == []


async def test_a_refusal_reaches_the_client_as_it_is(guarded: Node):
    guarded.policy.decide = lambda asked: answer(
        401,
        [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2"),
            ("www-authenticate", 'Bearer realm="x"'),
            ("www-authenticate", "DPoP"),
            ("content-type", "text/html"),
            ("x-xss-protection", "0"),
            ("x-scope", "s"),
        ],
        b"<p>no</p>",
    )
    reply = await guarded.ask("/guarded")
    assert (reply.status, reply.body) == (401, b"<p>no</p>")
    assert reply.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert reply.all("www-authenticate") == ['Bearer realm="x"', "DPoP"]
    assert reply.one("content-type") == "text/html"
    assert (reply.one("x-xss-protection"), reply.one("x-scope")) == ("0", "s")
    assert len(reply.one("x-kong-request-id") or "") == 32
    assert not [name for name, _ in reply.headers if name.startswith(("x-scopegate-", "x-envoy-"))]
    assert guarded.upstream.received == []


async def test_a_redirect_keeps_its_cookies_and_location(guarded: Node):
    location = "https://idp.example/auth?a=1&b=2"
    guarded.policy.decide = lambda asked: answer(
        302, [("location", location), ("set-cookie", "x=1"), ("set-cookie", "y=2")]
    )
    reply = await guarded.ask("/guarded")
    assert (reply.status, reply.one("location")) == (302, location)
    assert reply.all("set-cookie") == ["x=1", "y=2"]


async def test_allow_sets_and_removes_request_headers(guarded: Node):
    guarded.policy.decide = lambda asked: allow(
        ("x-user", "größe"),
        ("authorization", "Bearer new"),
        remove=["cookie", "x-secret", "x_secret"],
    )
    sent = [
        ("X-User", "forged"),
        ("X-User", "forged"),
        ("Authorization", "Bearer old"),
        ("Cookie", "session=1"),
        ("X-Secret", "1"),
        ("X_Secret", "1"),
        ("X-Kept", "1"),
    ]
    assert (await guarded.ask("/guarded/x", headers=sent)).status == 200
    got = guarded.upstream.last
    assert (got.one("x-user") or "").encode("latin-1").decode() == "größe"
    assert got.one("authorization") == "Bearer new"
    assert got.one("x-kept") == "1"
    for gone in ("cookie", "x-secret", "x_secret"):
        assert got.all(gone) == []
    assert not [name for name, _ in got.headers if "scopegate" in name or "envoy" in name]


async def test_allow_adds_response_headers_one_by_one(guarded: Node):
    guarded.upstream.response_headers = [("set-cookie", "theirs=1")]
    cookies = ["ours=1; HttpOnly", "ours2=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"]
    guarded.policy.decide = lambda asked: allow(
        client=[*(("set-cookie", cookie) for cookie in cookies), ("x-hint", "h")]
    )
    reply = await guarded.ask("/guarded")
    assert reply.all("set-cookie") == ["theirs=1", *cookies]
    assert reply.one("x-hint") == "h"


@pytest.mark.parametrize(
    "verdict",
    [
        message(),
        message("verdict maybe"),
        message("verdict allow", "verdict allow"),
        message("reason allowed", "verdict allow"),
        message("verdict allow", "unknown 1"),
        message("verdict allow", "set x-user"),
        message("verdict allow", "set :path:/admin"),
        message("verdict allow", "set X-User:1"),
        message("verdict allow", "query a b"),
        message("verdict allow", "method get it"),
        message("verdict allow", "drop-body now"),
        message("verdict answer 99"),
        message("verdict answer 1000"),
        message("verdict answer 200", "client a b:1"),
        message("verdict body", "reason none"),
        message("verdict allow", body=b"and more"),
        Verdict(b""),
        Verdict(b"scopegate-check 2\nverdict allow\n\n"),
        Verdict(b"scopegate-check 1\nverdict allow"),
        Verdict(b"scopegate-check 1\nverdict allow\r\n\n"),
    ],
    ids=lambda verdict: repr(verdict.message)[2:40],
)
async def test_a_malformed_response_is_a_refusal(guarded: Node, verdict: Verdict):
    guarded.policy.decide = lambda asked: verdict
    await refused(guarded, 500, "policy_answer_broken")
    assert len(guarded.policy.asked) == 1
    assert "a check response is malformed" in guarded.envoy.log


@pytest.mark.parametrize("size", [2**20 + 1, 10 * 2**20])
async def test_a_response_over_a_mebibyte_is_a_refusal(guarded: Node, size: int):
    guarded.policy.decide = lambda asked: answer(403, body=b"x" * size)
    await refused(guarded, 500, "policy_answer_broken")


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(b"", 500),
        Verdict(allow().message, 503),
        Verdict(allow().message, 404),
        Verdict(allow().message, 201),
        Verdict(allow().message, 200, "text/plain"),
        Verdict(b"<h1>It works!</h1>", 200, "text/html"),
    ],
    ids=lambda verdict: f"{verdict.status} {verdict.content_type}",
)
async def test_a_response_from_something_else_is_none(guarded: Node, verdict: Verdict):
    guarded.policy.decide = lambda asked: verdict
    await refused(guarded, 503, "policy_unavailable")


@pytest.mark.parametrize("policy_id", ["x", "A" * 32, "0" * 31, "open0"])
async def test_an_entry_without_policy_or_open_is_refused(node: Node, policy_id: str):
    await node.serve(node.route("/guarded", policy_id=policy_id))
    await refused(node, 503, "policy_undecided")
    assert node.policy.asked == []


async def test_no_header_of_a_client_decides(guarded: Node):
    guarded.policy.decide = lambda asked: answer(403)
    for name in ("x-scopegate-decided", "X_SCOPEGATE_DECIDED", "X-Scopegate-Query"):
        for forged in (
            [(name, "1")],
            [(name, "1"), (name, "1")],
            [("Connection", f"keep-alive, {name}"), (name, "1")],
        ):
            reply = await guarded.ask("/guarded", method="POST", headers=[FORM, *forged], body=b"a")
            assert reply.status == 403
            asked = guarded.policy.asked.pop()
            assert not asked.has_body
            assert name.lower() not in dict(asked.headers)
    assert guarded.upstream.received == []


@pytest.mark.parametrize(
    ("query", "arrives"), [("kept=1", "/x?kept=1"), ("", "/x"), ("a?b=/../", "/x?a?b=/../")]
)
@pytest.mark.parametrize("sent", ["/guarded/x?access_token=t&kept=1", "/guarded/x?", "/guarded/x"])
async def test_the_query_may_change_and_the_path_stays(
    guarded: Node, sent: str, query: str, arrives: str
):
    guarded.policy.decide = lambda asked: allow(query=query)
    await guarded.ask(sent)
    assert guarded.upstream.last.target == arrives


async def test_a_refusing_route_asks_its_policy_first(guarded: Node):
    reply = await guarded.ask("/refused")
    assert reply.status == 503
    assert json.loads(reply.body)["message"] == "no Service found with those values"
    guarded.policy.decide = lambda asked: answer(401)
    assert (await guarded.ask("/refused")).status == 401


async def test_a_slow_policy_is_asked_once_and_waited_for(guarded: Node):
    async def slow(asked: Asked) -> Verdict:
        await asyncio.sleep(0.4)
        return allow()

    guarded.policy.decide = slow
    assert (await guarded.ask("/guarded")).status == 200
    assert len(guarded.policy.asked) == 1


async def test_no_answer_in_time_is_a_503(guarded: Node):
    async def stuck(asked: Asked) -> Verdict:
        await asyncio.sleep(60)
        return allow()

    guarded.policy.decide = stuck
    reply = await guarded.ask("/guarded")
    assert reply.status == 503
    assert reply.one("retry-after") == "5"
    assert json.loads(reply.body) == {
        "message": "An unexpected error occurred",
        "reason": "policy_unavailable",
        "request_id": reply.one("x-kong-request-id"),
    }
    assert guarded.upstream.received == []
    assert len(guarded.policy.asked) == 1


async def test_a_client_that_goes_meanwhile_harms_nothing(guarded: Node):
    async def slow(asked: Asked) -> Verdict:
        await asyncio.sleep(0.2)
        return allow()

    guarded.policy.decide = slow
    for _ in range(5):
        connection = await guarded.connect()
        await connection.send("/guarded")
        await asyncio.sleep(0.05)
        connection.close()
    await asyncio.sleep(0.4)
    assert guarded.upstream.received == []
    assert (await guarded.ask("/guarded")).status == 200


async def test_headers_sent_twice_are_seen_twice(guarded: Node):
    twice = [("Authorization", "a"), ("X-Two", "1"), ("authorization", "b"), ("x-two", "2")]
    await guarded.ask("/guarded", headers=twice)
    asked = guarded.policy.asked[0]
    assert asked.all("x-two") == ["1", "2"]
    assert asked.one("authorization") == "a,b"  # Envoy joins those that it knows


async def test_every_kind_of_method_is_asked_about(guarded: Node):
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "PURGE"):
        guarded.policy.decide = lambda asked: answer(403)
        assert (await guarded.ask("/guarded", method=method)).status == 403
    assert guarded.upstream.received == []


async def test_an_upgrade_is_asked_about(guarded: Node):
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    guarded.policy.decide = lambda asked: answer(401)
    assert (await guarded.ask("/guarded", headers=upgrade)).status == 401
    guarded.policy.decide = lambda asked: message("verdict maybe")
    assert (await guarded.ask("/guarded", headers=upgrade)).status == 500
    assert guarded.upstream.received == []


async def test_what_the_answer_changes_never_leads_to_another_route(node: Node):
    """Decided for one route is not decided for its neighbour."""
    match = RouteMatch(path=PathMatch("prefix", "/two"))
    await node.serve(
        node.route(
            "/two",
            key="neighbour",
            match=replace(match, methods=("GET",)),
            base_path="/neighbour",
            policy_id="f" * 32,
        ),
        node.protected("/two", match=match, base_path="/decided"),
    )
    node.policy.decide = lambda asked: allow(method="GET", query="kept=1")
    assert (await node.ask("/two?code=c", method="POST")).status == 200
    assert node.upstream.last.method == "GET"
    assert node.upstream.last.target == "/decided/two?kept=1"


async def test_an_upgrade_takes_no_header_of_ours_away(guarded: Node):
    guarded.policy.decide = lambda asked: allow(("x-user", "u1"))
    upgrade = [("Connection", "Upgrade, X-User, Authorization"), ("Upgrade", "websocket")]
    # The upstream does not answer an upgrade; what it got is what counts.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await guarded.ask("/guarded", headers=upgrade)
    got = guarded.upstream.last
    assert got.one("x-user") == "u1"
    assert [v.lower() for v in got.all("connection")] in ([], ["upgrade"]), got.all("connection")


async def test_a_slow_body_does_not_take_the_time_for_the_decision(node: Node):
    """The limit is 800 ms for each check; the body comes after more than that."""
    await node.serve(node.protected("/"))
    node.policy.decide = lambda asked: allow() if asked.has_body else WANT_BODY
    reader, writer = await asyncio.open_connection("127.0.0.1", node.plain)
    head = "POST / HTTP/1.1\r\nHost: api.example\r\nContent-Length: 2\r\n\r\n"
    writer.write(head.encode() + b"a")
    await asyncio.sleep(1.2)
    writer.write(b"b")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    assert node.upstream.last.body == b"ab"
    writer.close()
