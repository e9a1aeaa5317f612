"""Bodies in the dialogue with the policy service, and on their way to the upstream."""

from __future__ import annotations

import asyncio
import json

import pytest
import pytest_asyncio

from scopegate.envoy.settings import EnvoySettings
from support.policy_double import WANT_BODY, Asked, Verdict, allow, message

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")
ENVOY = {"settings": EnvoySettings(body_limit_bytes=1000)}

FORM = ("Content-Type", "application/x-www-form-urlencoded")


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(node: Node) -> Node:
    await node.serve(node.protected("/guarded", strip_path=True))
    return node


def needs_body(asked: Asked) -> Verdict:
    return allow() if asked.has_body else WANT_BODY


async def broken(node: Node) -> None:
    """A POST is refused, for the answer cannot be applied."""
    reply = await node.ask("/guarded", method="POST", headers=[FORM], body=b"token=t")
    assert (reply.status, json.loads(reply.body)["reason"]) == (500, "policy_answer_broken")
    assert node.upstream.received == []


async def test_the_body_is_sent_when_asked_for_and_goes_on(guarded: Node):
    guarded.policy.decide = needs_body
    reply = await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"token=t")
    assert reply.status == 200
    head, body = guarded.policy.asked
    assert (head.facts["body"], head.body) == ("not-read", b"")
    assert (body.facts["body"], body.body) == ("whole", b"token=t")
    assert guarded.upstream.last.body == b"token=t"


async def test_a_request_without_body_has_an_empty_one(guarded: Node):
    guarded.policy.decide = needs_body
    assert (await guarded.ask("/guarded")).status == 200
    body = guarded.policy.asked[1]
    assert (body.facts["body"], body.body) == ("whole", b"")


@pytest.mark.parametrize(("size", "state"), [(1000, "whole"), (1001, "too-large")])
async def test_a_body_over_the_limit_is_not_sent(guarded: Node, size: int, state: str):
    guarded.policy.decide = needs_body
    assert (await guarded.ask("/guarded", method="POST", body=b"x" * size)).status == 200
    asked = guarded.policy.asked[1]
    assert (asked.facts["body"], len(asked.body)) == (state, 1000 if state == "whole" else 0)
    assert guarded.upstream.last.body == b"x" * size


async def test_a_large_body_goes_on_whole(guarded: Node):
    guarded.policy.decide = needs_body
    large = bytes(range(256)) * 4000
    assert (await guarded.ask("/guarded", method="POST", body=large)).status == 200
    assert guarded.policy.asked[1].facts["body"] == "too-large"
    assert guarded.upstream.last.body == large


async def test_a_body_that_is_asked_for_twice_is_a_refusal(guarded: Node):
    guarded.policy.decide = lambda asked: WANT_BODY
    await broken(guarded)
    assert [asked.facts["body"] for asked in guarded.policy.asked] == ["not-read", "whole"]


async def test_a_decision_on_the_head_waits_for_no_body(guarded: Node):
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


async def test_the_method_may_change_and_the_body_be_dropped(guarded: Node):
    for decide in (
        lambda asked: allow(method="GET", drop_body=True),
        lambda asked: allow(method="GET", drop_body=True) if asked.has_body else WANT_BODY,
    ):
        guarded.policy.decide = decide
        reply = await guarded.ask("/guarded/cb", method="POST", headers=[FORM], body=b"code=c")
        assert reply.status == 200
        got = guarded.upstream.last
        assert (got.method, got.body, got.one("content-type")) == ("GET", b"", None)
        assert got.one("content-length") in (None, "0")


async def test_a_dropped_body_that_comes_late_goes_nowhere(guarded: Node):
    guarded.policy.decide = lambda asked: allow(drop_body=True)
    connection = await guarded.connect()
    await connection.send("/guarded", method="POST", headers=[("Content-Length", "300000")])
    await asyncio.sleep(0.2)
    connection.writer.write(b"x" * 300_000)
    assert (await connection.reply()).status == 200
    assert guarded.upstream.last.body == b""
    connection.close()


async def test_parts_of_the_body_may_be_cut(guarded: Node):
    def cut(asked: Asked) -> Verdict:
        if not asked.has_body:
            return WANT_BODY
        first, last = asked.body.index(b"token"), asked.body.index(b"&c")
        return allow(cuts=[(0, 2), (first, last + 1)], method="PUT", query="other")

    guarded.policy.decide = cut
    await guarded.ask("/guarded", method="POST", headers=[FORM], body=b"a=1&token=t&c=3")
    got = guarded.upstream.last
    assert (got.body, got.one("content-length")) == (b"1&c=3", "5")
    assert (got.method, got.target) == ("PUT", "/?other")


async def test_a_cut_body_may_have_come_in_chunks(guarded: Node):
    guarded.policy.decide = lambda asked: allow(cuts=[(0, 4)]) if asked.has_body else WANT_BODY
    connection = await guarded.connect()
    await connection.send("/guarded", method="POST", headers=[("Transfer-Encoding", "chunked")])
    connection.writer.write(b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n")
    assert (await connection.reply()).status == 200
    assert guarded.upstream.last.body == b"efg"
    connection.close()


@pytest.mark.parametrize(
    "cuts", [["3-1"], ["0-99"], ["2-3", "1-2"], ["token"], ["1-3", "2-4"], ["-1-2"]]
)
async def test_cuts_that_do_not_fit_are_a_refusal(guarded: Node, cuts: list[str]):
    wrong = message("verdict allow", *(f"cut {each}" for each in cuts))
    guarded.policy.decide = lambda asked: wrong if asked.has_body else WANT_BODY
    await broken(guarded)


async def test_cuts_of_a_body_that_was_not_sent_are_a_refusal(guarded: Node):
    guarded.policy.decide = lambda asked: allow(cuts=[(0, 1)])
    await broken(guarded)
