"""Errors of the gateway's own, in the format that Accept wants."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from scopegate.ir.gateway import Cluster, HttpsOnly, Refuse
from support.policy_double import Verdict, answer
from support.policy_double import message as check_response
from support.ports import free_port
from support.raw_http import RawConnection, Reply

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTML, XML = "text/html; charset=utf-8", "application/xml; charset=utf-8"
PLAIN, JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
NO_ROUTE = "no Route matched with those values"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def message(reply: Reply) -> str:
    """What an answer says, after its shape is checked."""
    text, kind = reply.body.decode(), reply.one("content-type")
    request_id = reply.one("x-kong-request-id") or ""
    assert len(request_id.replace("-", "")) == 32
    if kind == PLAIN:
        said, rest = text.split("\n", 1)
        assert rest == f"request_id: {request_id}\n"
        return said
    if kind == JSON:
        document = json.loads(text)
        assert document["request_id"] == request_id
        return document["message"]
    root = ElementTree.fromstring(
        text.replace("<!doctype html>", "").replace(' charset="utf-8">', "/>")
    )
    if kind == XML:
        assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')
        assert root.findtext("requestid") == request_id
        return root.findtext("message") or ""
    assert kind == HTML
    assert root.findtext("body/p") == f"Request id: {request_id}"
    assert root.findtext("head/title") == root.findtext("body/h1")
    return root.findtext("body/h1") or ""


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        *((None, JSON), ("", JSON), ("*/*", JSON), ("application/json", JSON)),
        *(
            ("text/html", HTML),
            ("Text/HTML", HTML),
            ("application/xml", XML),
            ("text/plain", PLAIN),
        ),
        *((FIREFOX, HTML), ("application/xhtml+xml", HTML), ("text/*", PLAIN)),
        *(("text/html;level=1", HTML), ("text/html ; q=1.0", HTML), ("text/html;Q=0.3", HTML)),
        *(("application/json, text/html", JSON), ("text/html, application/json", HTML)),
        *(("text/html;q=0.9, application/json", JSON), ("text/html;q=0.9,application/xml", XML)),
        *(("text/plain; q=0.5, text/html", HTML), ("application/*", JSON), ("image/png", JSON)),
        *(("text/html;q=0", JSON), ("text/html;q=0.0", JSON), ("text/html;q=0, */*", JSON)),
        *(("text/htmlx", JSON), ("x-text/html", JSON), ("image/png, text/html", JSON)),
        *(("text/html;q=0.5, application/json;q=0.9", JSON), ("text/html;level=1;q=0.1,*/*", JSON)),
    ],
)
async def test_the_format_follows_accept(node: Node, accept: str | None, kind: str):
    await node.serve(node.route("/known"))
    headers = [] if accept is None else [("Accept", accept)]
    reply = await node.ask("/unknown", headers=headers)
    assert (reply.status, reply.one("content-type"), message(reply)) == (404, kind, NO_ROUTE)


async def test_accept_in_several_lines_is_one_list(node: Node):
    await node.serve(node.route("/known"))
    headers = [("Accept", "text/plain;q=0.1"), ("Accept", "application/xml")]
    assert (await node.ask("/unknown", headers=headers)).one("content-type") == XML


@pytest.mark.parametrize(
    ("accept", "kind"),
    [("text/html", HTML), ("application/xml", XML), ("text/plain", PLAIN), ("*/*", JSON)],
)
async def test_every_error_has_every_format(node: Node, accept: str, kind: str):
    dead = Cluster("dead-1", "127.0.0.1", free_port(), 1000, 5000)
    lost = Cluster("lost-1", "no-such-host.invalid", 80, 1000, 5000)
    odd = 'Say "no" & <go>, 100%'
    await node.serve(
        node.route("/dead", cluster="dead-1"),
        node.route("/lost", cluster="lost-1"),
        node.route("/slow", read_timeout_ms=100),
        node.route("/refused", action=Refuse(503, "r", "no Service found with those values")),
        node.route("/odd", action=Refuse(500, "r", odd)),
        node.route("/https", https_only=HttpsOnly(426)),
        node.route("/moved", https_only=HttpsOnly(301)),
        node.route("/grpc", grpc_only=True),
        node.route("/undecided", policy_id="no id of a policy"),
        node.protected("/broken"),
        node.protected("/unavailable"),
        clusters=(node.cluster, dead, lost),
    )
    node.policy.decide = lambda asked: (
        check_response("verdict maybe") if "broken" in asked.target else Verdict(b"", 500)
    )

    async def said(target: str, **more) -> tuple[int, str]:
        headers = [("Accept", accept), *more.pop("headers", [])]
        reply = await node.ask(target, headers=headers, **more)
        assert reply.one("content-type") == kind, target
        return reply.status, message(reply)

    bad = "Bad request"
    unexpected = "An unexpected error occurred"
    assert await said("/none") == (404, NO_ROUTE)
    bad_upstream = "An invalid response was received from the upstream server"
    assert await said("/dead") == (502, bad_upstream)
    assert await said("/lost") == (503, "name resolution failed")
    assert await said("/slow/5") == (504, "The upstream server is timing out")
    assert await said("/refused") == (503, "no Service found with those values")
    assert await said("/odd") == (500, odd)
    assert await said("/https") == (426, "Please use HTTPS protocol")
    assert await said("/grpc") == (426, "Please use HTTP2 protocol")
    assert await said("/undecided") == (503, unexpected)
    assert await said("/broken") == (500, unexpected)
    assert await said("/unavailable") == (503, unexpected)
    assert await said("/a%2fb") == (400, bad)
    assert await said("/", host="a..b") == (400, bad)
    assert await said("/", host=None) == (400, bad)
    assert await said("/%00") == (400, bad)
    assert await said("localhost:80", method="CONNECT") == (400, bad)
    upgrade = [("Connection", "upgrade"), ("Upgrade", "h9")]
    assert await said("/slow", headers=upgrade) == (400, bad)
    moved = await node.ask("/moved", headers=[("Accept", accept)])
    assert (moved.status, moved.body) == (301, b"")


async def test_the_policy_services_own_words_stay(node: Node):
    await node.serve(node.protected("/"))
    node.policy.decide = lambda asked: answer(403, [("content-type", "text/x")], b"<no>")
    reply = await node.ask("/", headers=[("Accept", "text/html")])
    assert (reply.status, reply.one("content-type"), reply.body) == (403, "text/x", b"<no>")


async def test_what_is_no_http_gets_json(node: Node):
    await node.serve(node.route("/"))
    connection = await RawConnection.open(node.plain)
    connection.writer.write(b"what?\r\nAccept: text/html\r\n\r\n")
    reply = await connection.reply()
    assert (reply.status, reply.one("content-type"), message(reply)) == (400, JSON, "Bad request")
    connection.close()
