"""What Envoy and the policy service say to each other, and what comes of it."""

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
from support.policy_double import UNDECIDED, Asked, Verdict, allow

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
        upstream_headers=frozenset({"x-user", "authorization"}),
        downstream_headers=frozenset({"x-hint"}),
    )
    return node


def needs_body(asked: Asked) -> Verdict:
    return Verdict() if asked.one("x-scopegate-phase") == "body" else UNDECIDED


async def test_a_question_says_what_the_decision_needs(guarded: Node):
    reply = await guarded.ask(
        "/guarded/x?q=1", method="PUT", host="Api.Example:99", headers=[("X-Mine", "1")], body=b"b"
    )
    assert reply.status == 200
    (asked,) = guarded.policy.asked
    assert (asked.method, asked.target, asked.body) == ("PUT", "/guarded/x?q=1", b"")
    said = {name: asked.one(name) for name, _ in asked.headers}
    assert said["host"] == "Api.Example:99"
    assert said["x-mine"] == "1"
    assert said["x-scopegate-phase"] == "head"
    assert said["x-scopegate-policy"] == POLICY_ID
    assert said["x-scopegate-route"] == "route-id service-id"
    assert said["x-scopegate-client-ip"] == "127.0.0.1"
    assert said["x-scopegate-scheme"] == "http"
    assert said["x-request-id"] == reply.one("x-kong-request-id")
    assert not {"x-scopegate-protocol", "x-forwarded-proto"} & said.keys()


async def test_a_question_names_route_and_service_in_any_letters(node: Node):
    name = "größe-价格-\u0085\u2028\u009b"
    known = {"route_name": name, "service_id": "service-id", "service_name": "a" * 2000}
    await node.serve(node.protected("/named", **known), node.protected("/nameless"))
    assert (await node.ask("/named")).status == 200
    assert (await node.ask("/nameless")).status == 200
    named, nameless = node.policy.asked
    label = (named.one("x-scopegate-route") or "").encode("latin-1").decode()
    assert label == f"route-id/{name} service-id/{'a' * 2000}"
    assert nameless.one("x-scopegate-route") == "route-id"


async def test_a_route_without_policy_is_not_asked_about(guarded: Node):
    assert (await guarded.ask("/open")).status == 200
    assert (await guarded.ask("/nowhere")).status == 404
    assert guarded.policy.asked == []


async def test_a_refusal_reaches_the_client_as_it_is(guarded: Node):
    guarded.policy.decide = lambda asked: Verdict(
        401,
        [
            ("set-cookie", "a=1; Path=/"),
            ("set-cookie", "b=2"),
            ("www-authenticate", 'Bearer realm="x"'),
            ("www-authenticate", "DPoP"),
            ("content-type", "text/html"),
            ("x-xss-protection", "0"),
            ("x-scopegate-decided", "1"),
            ("X-Envoy-Attempt-Count", "1"),
            ("x-scope", "s"),
            ("x-envoys", "e"),
        ],
        b"<p>no</p>",
    )
    reply = await guarded.ask("/guarded")
    assert (reply.status, reply.body) == (401, b"<p>no</p>")
    assert reply.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert reply.all("www-authenticate") == ['Bearer realm="x"', "DPoP"]
    assert reply.one("content-type") == "text/html"
    assert reply.one("x-xss-protection") == "0"
    assert (reply.one("x-scope"), reply.one("x-envoys")) == ("s", "e")
    assert len(reply.one("x-kong-request-id") or "") == 32
    assert not [name for name, _ in reply.headers if name.startswith(("x-scopegate-", "x-envoy-"))]
    assert guarded.upstream.received == []


async def test_a_redirect_keeps_its_cookies_and_location(guarded: Node):
    location = "https://idp.example/auth?a=1&b=2"
    guarded.policy.decide = lambda asked: Verdict(
        302, [("location", location), ("set-cookie", "x=1"), ("set-cookie", "y=2")]
    )
    reply = await guarded.ask("/guarded")
    assert (reply.status, reply.one("location")) == (302, location)
    assert reply.all("set-cookie") == ["x=1", "y=2"]


async def test_a_yes_sets_and_removes_headers_for_the_upstream(guarded: Node):
    guarded.policy.decide = lambda asked: allow(
        ("x-user", "u1"),
        ("authorization", "Bearer new"),
        ("x-not-named", "1"),
        ("x-envoy-auth-headers-to-remove", "cookie,x-secret,x_secret"),
    )
    sent = [
        ("X-User", "forged"),
        ("Authorization", "Bearer old"),
        ("Cookie", "session=1"),
        ("X-Secret", "1"),
        ("X_Secret", "1"),
        ("X-Kept", "1"),
    ]
    assert (await guarded.ask("/guarded/x", headers=sent)).status == 200
    got = guarded.upstream.last
    assert got.one("x-user") == "u1"
    assert got.one("authorization") == "Bearer new"
    assert got.one("x-kept") == "1"
    for gone in ("cookie", "x-secret", "x_secret", "x-not-named"):
        assert got.all(gone) == []
    assert not [name for name, _ in got.headers if "scopegate" in name or "envoy" in name]


async def test_a_yes_adds_headers_to_the_answer_one_by_one(guarded: Node):
    guarded.upstream.response_headers = [("set-cookie", "theirs=1")]
    guarded.policy.decide = lambda asked: allow(
        ("set-cookie", "ours=1; HttpOnly"),
        ("set-cookie", "ours2=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ("x-hint", "h"),
        ("x-not-named", "1"),
    )
    reply = await guarded.ask("/guarded")
    assert reply.all("set-cookie") == [
        "theirs=1",
        "ours=1; HttpOnly",
        "ours2=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    ]
    assert reply.one("x-hint") == "h"
    assert reply.all("x-not-named") == []


async def test_neither_phase_decided_means_no(guarded: Node):
    guarded.policy.decide = lambda asked: UNDECIDED
    for body in (None, b"a=1"):
        reply = await guarded.ask("/guarded", method="POST", headers=[FORM], body=body)
        assert reply.status == 503
        assert json.loads(reply.body)["reason"] == "policy_undecided"
    assert [asked.one("x-scopegate-phase") for asked in guarded.policy.asked] == [
        "head",
        "body",
    ] * 2
    assert guarded.upstream.received == []


async def test_a_yes_that_does_not_say_so_is_none_and_nobody_is_asked_again(guarded: Node):
    guarded.policy.decide = lambda asked: Verdict(headers=[])
    reply = await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"a=1")
    assert reply.status == 503
    assert json.loads(reply.body)["reason"] == "policy_undecided"
    assert [asked.one("x-scopegate-phase") for asked in guarded.policy.asked] == ["head"]
    assert guarded.upstream.received == []


async def test_only_the_exact_word_decides(guarded: Node):
    for value in ("0", "true", "11", ""):
        guarded.policy.decide = lambda asked, value=value: Verdict(
            headers=[("x-scopegate-decided", value)]
        )
        assert (await guarded.ask("/guarded")).status == 503
    assert guarded.upstream.received == []


async def test_a_client_cannot_decide_for_itself(guarded: Node):
    guarded.policy.decide = lambda asked: UNDECIDED
    forged = [
        ("x-scopegate-decided", "1"),
        ("x_scopegate_decided", "1"),
        ("x-scopegate-query", "?elsewhere"),
        ("x-scopegate-body", "drop"),
    ]
    assert (await guarded.ask("/guarded", headers=forged)).status == 503
    asked = guarded.policy.asked[0]
    assert (
        not {"x-scopegate-decided", "x_scopegate_decided", "x-scopegate-query"}
        & dict(asked.headers).keys()
    )
    assert guarded.upstream.received == []


@pytest.mark.parametrize("value", ["1", "2", "0"])
async def test_no_spelling_of_the_mark_decides(guarded: Node, value: str):
    guarded.policy.decide = lambda asked: Verdict(403)
    for name in ("x-scopegate-decided", "X-Scopegate-Decided", "X_SCOPEGATE_DECIDED"):
        for forged in (
            [(name, value)],
            [(name, value), (name, value)],
            [("Connection", f"keep-alive, {name}"), (name, value)],
        ):
            reply = await guarded.ask("/guarded", method="POST", headers=[FORM, *forged], body=b"a")
            assert reply.status == 403
            asked = guarded.policy.asked.pop()
            assert asked.one("x-scopegate-phase") == "head"
            assert name.lower() not in dict(asked.headers)
    assert guarded.upstream.received == []


async def test_the_second_question_has_the_body_and_the_upstream_gets_it_too(guarded: Node):
    guarded.policy.decide = needs_body
    reply = await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"token=t")
    assert reply.status == 200
    head, body = guarded.policy.asked
    assert (head.body, body.body) == (b"", b"token=t")
    assert body.one("x-envoy-auth-partial-body") == "false"
    assert body.one("x-scopegate-decided") is None  # the answer to the first
    assert guarded.upstream.last.body == b"token=t"


async def test_of_a_large_body_the_second_question_has_the_beginning(guarded: Node):
    guarded.policy.decide = needs_body
    large = b"x" * 300_000
    reply = await guarded.ask("/guarded", method="POST", body=large)
    assert reply.status == 200
    asked = guarded.policy.asked[1]
    assert (asked.body, asked.one("x-envoy-auth-partial-body")) == (large[:1000], "true")
    assert guarded.upstream.last.body == large


async def test_a_decision_on_the_head_does_not_wait_for_the_body(guarded: Node):
    connection = await guarded.connect()
    await connection.send(
        "/guarded", method="POST", headers=[("Content-Length", "5")]
    )  # and no body yet
    async with asyncio.timeout(2):
        while not guarded.policy.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    connection.writer.write(b"later")
    assert (await connection.reply()).status == 200
    assert guarded.upstream.last.body == b"later"
    connection.close()


@pytest.mark.parametrize(
    ("query", "arrives"), [("?kept=1", "/x?kept=1"), ("?", "/x"), ("?a?b=/../", "/x?a?b=/../")]
)
@pytest.mark.parametrize("sent", ["/guarded/x?access_token=t&kept=1", "/guarded/x?", "/guarded/x"])
async def test_the_query_may_be_changed_and_the_path_stays(
    guarded: Node, sent: str, query: str, arrives: str
):
    guarded.policy.decide = lambda asked: allow(("x-scopegate-query", query))
    await guarded.ask(sent)
    assert guarded.upstream.last.target == arrives


async def test_method_may_be_changed_and_the_body_dropped(guarded: Node):
    guarded.policy.decide = lambda asked: allow(
        ("x-scopegate-method", "GET"), ("x-scopegate-body", "drop")
    )
    reply = await guarded.ask("/guarded/cb", method="POST", headers=[FORM], body=b"code=c&state=s")
    assert reply.status == 200
    got = guarded.upstream.last
    assert (got.method, got.body, got.one("content-type")) == ("GET", b"", None)


async def test_parts_of_the_body_may_be_cut(guarded: Node):
    def cut(asked: Asked) -> Verdict:
        if asked.one("x-scopegate-phase") == "head":
            return UNDECIDED
        first, last = asked.body.index(b"token"), asked.body.index(b"&c")
        return allow(
            ("x-scopegate-body-cut", f"0-2,{first}-{last + 1}"),
            ("x-scopegate-method", "PUT"),
            ("x-scopegate-query", "?other"),
        )

    guarded.policy.decide = cut
    await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"a=1&token=t&c=3")
    got = guarded.upstream.last
    assert (got.body, got.one("content-length")) == (b"1&c=3", "5")
    assert (got.method, got.target) == ("PUT", "/?other")


async def test_a_cut_body_keeps_its_framing_when_it_came_in_chunks(guarded: Node):
    guarded.policy.decide = lambda asked: (
        allow(("x-scopegate-body-cut", "0-4"))
        if asked.one("x-scopegate-phase") == "body"
        else UNDECIDED
    )
    connection = await guarded.connect()
    await connection.send("/guarded", method="POST", headers=[("Transfer-Encoding", "chunked")])
    connection.writer.write(b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n")
    assert (await connection.reply()).status == 200
    assert guarded.upstream.last.body == b"efg"
    connection.close()


@pytest.mark.parametrize(
    "wrong",
    [
        ("x-scopegate-body-cut", "3-1"),
        ("x-scopegate-body-cut", "0-99"),
        ("x-scopegate-body-cut", "2-3,1-2"),
        ("x-scopegate-body-cut", "token"),
        ("x-scopegate-body", "blank"),
        ("x-scopegate-query", "/elsewhere?"),
    ],
)
async def test_an_answer_that_cannot_be_applied_lets_nothing_through(guarded: Node, wrong):
    guarded.policy.decide = lambda asked: allow(wrong)
    reply = await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"token=t")
    assert reply.status == 500
    assert json.loads(reply.body)["reason"] == "policy_answer_broken"
    assert guarded.upstream.received == []


async def test_a_refusing_route_asks_its_policy_first(guarded: Node):
    reply = await guarded.ask("/refused")
    assert reply.status == 503
    assert json.loads(reply.body)["message"] == "no Service found with those values"
    guarded.policy.decide = lambda asked: Verdict(401)
    assert (await guarded.ask("/refused")).status == 401


async def test_a_slow_policy_is_asked_once_and_waited_for(guarded: Node):
    async def slow(asked: Asked) -> Verdict:
        await asyncio.sleep(0.4)
        return Verdict()

    guarded.policy.decide = slow
    assert (await guarded.ask("/guarded")).status == 200
    assert len(guarded.policy.asked) == 1


async def test_a_policy_that_does_not_answer_in_time_is_a_503(guarded: Node):
    async def stuck(asked: Asked) -> Verdict:
        await asyncio.sleep(60)
        return Verdict()

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


@pytest.mark.parametrize("status", [500, 503, 404, 599])
async def test_a_policy_that_fails_lets_nothing_through(guarded: Node, status: int):
    guarded.policy.decide = lambda asked: Verdict(status, [("x-scopegate-decided", "1")])
    assert (await guarded.ask("/guarded")).status >= 400
    assert guarded.upstream.received == []


async def test_headers_sent_twice_are_seen_twice(guarded: Node):
    await guarded.ask(
        "/guarded", headers=[("Authorization", "Bearer a"), ("authorization", "Bearer b")]
    )
    assert guarded.policy.asked[0].one("authorization") == "Bearer a,Bearer b"


async def test_every_kind_of_method_is_asked_about(guarded: Node):
    for method in ("GET", "HEAD", "OPTIONS", "DELETE", "PATCH", "PURGE"):
        guarded.policy.decide = lambda asked: Verdict(403)
        assert (await guarded.ask("/guarded", method=method)).status == 403
    assert guarded.upstream.received == []


async def test_an_upgrade_is_asked_about(guarded: Node):
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    guarded.policy.decide = lambda asked: Verdict(401)
    assert (await guarded.ask("/guarded", headers=upgrade)).status == 401
    guarded.policy.decide = lambda asked: UNDECIDED
    assert (await guarded.ask("/guarded", headers=upgrade)).status == 503
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
        upstream_headers=frozenset({"x-user"}),
    )
    node.policy.decide = lambda asked: allow(
        ("x-scopegate-method", "GET"), ("x-scopegate-query", "?kept=1")
    )
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
