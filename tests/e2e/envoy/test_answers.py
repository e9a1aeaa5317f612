"""Answers that Envoy makes itself, and the access log."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from datetime import UTC, datetime, timedelta

import pytest

from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Cluster, Gateway, Listener, Refuse
from support.envoy_process import running_envoy
from support.policy_double import Asked, Verdict, answer
from support.ports import free_port
from support.raw_http import RawConnection

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD_UPSTREAM = "An invalid response was received from the upstream server"


ON_ARRIVAL = {"reason": "refused_on_arrival"}


async def expect(node: Node, target: str, status: int, message: str, **more) -> dict:
    """The answer is Kong's JSON with this message; the rest of it is given back."""
    reply = await node.ask(target, **more)
    assert reply.status == status, reply
    assert reply.one("content-type") == "application/json; charset=utf-8"
    assert reply.one("server") == "scopegate"
    document = json.loads(reply.body)
    assert document.pop("message") == message
    request_id = document.pop("request_id")
    assert request_id == reply.one("x-kong-request-id")
    assert len(request_id.replace("-", "")) == 32
    return document


async def test_an_id_has_the_time_in_it_and_is_no_other_request_s(node: Node):
    await node.serve(node.route("/"))
    before = datetime.now(UTC)
    ids = [(await node.ask("/")).one("x-kong-request-id") or "" for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids), ids[0]
    began = datetime.strptime(ids[0][:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert before - timedelta(seconds=2) <= began <= datetime.now(UTC)


async def test_no_route(node: Node):
    await node.serve(node.route("/known"))
    reply = await node.ask("/unknown")
    request_id = reply.one("x-kong-request-id")
    assert reply.body.decode() == (
        f'{{\n  "message":"no Route matched with those values",\n  "request_id":"{request_id}"\n}}'
    )
    await expect(node, "/unknown", 404, "no Route matched with those values")


async def test_a_refusal_says_its_reason(node: Node):
    await node.serve(node.route("/", action=Refuse(500, "broken", 'Say "no" 100%')))
    assert await expect(node, "/", 500, 'Say "no" 100%') == {"reason": "broken"}


async def test_nobody_listens_upstream(node: Node):
    dead = Cluster("dead-1", "127.0.0.1", free_port(), 1000, 5000)
    await node.serve(node.route("/", cluster="dead-1", retries=2), clusters=(node.cluster, dead))
    await expect(node, "/", 502, BAD_UPSTREAM)


async def test_the_upstream_does_not_take_the_connection(node: Node):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:  # they fill its queue; whoever comes now is not answered
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        cluster = Cluster("full", *full.getsockname(), 200, 5000)
        await node.serve(node.route("/", cluster="full"), clusters=(cluster,))
        await expect(node, "/", 504, "The upstream server is timing out")
        for one in waiting:
            one.close()


async def test_a_name_that_does_not_resolve(node: Node):
    lost = Cluster("lost-1", "no-such-host.invalid", 80, 1000, 5000)
    await node.serve(node.route("/", cluster="lost-1"), clusters=(node.cluster, lost))
    await expect(node, "/", 503, "name resolution failed")


async def test_the_upstream_breaks_off(node: Node):
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"what?\r\n\r\n")
        writer.close()

    for number, behaviour in enumerate((hang_up, babble)):
        server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bad = Cluster(f"bad-{number}", "127.0.0.1", port, 1000, 5000)
        await node.serve(node.route("/", cluster=bad.name), clusters=(bad,))
        await expect(node, "/", 502, BAD_UPSTREAM)
        server.close()


async def test_the_upstream_says_nothing(node: Node):
    await node.serve(node.route("/", read_timeout_ms=200, retries=1))
    await expect(node, "/slow/5", 504, "The upstream server is timing out")
    assert len(node.upstream.received) == 1, "a request that was sent is not sent again"


async def test_answers_of_the_upstream_stay_as_they_are(node: Node):
    await node.serve(node.route("/"))
    for status in (400, 404, 431, 500, 502, 503, 504):
        reply = await node.ask(f"/status/{status}")
        assert (reply.status, reply.body) == (status, b"")
        assert reply.one("x-kong-request-id")
    node.upstream.response_headers = [("server", "theirs"), ("x-kept", "1")]
    reply = await node.ask("/")
    assert (reply.one("server"), reply.one("x-kept")) == ("theirs", "1")
    assert not [name for name, _ in reply.headers if name.startswith("x-envoy")]


async def test_too_large_a_head(node: Node):
    await node.serve(node.route("/"))
    message = "Request header or cookie too large"
    large = [("x", "y" * 61 * 1024)]
    many = [(f"x-{number}", "1") for number in range(120)]
    for headers in (large, many):
        assert await expect(node, "/", 431, message, headers=headers) == ON_ARRIVAL
    fits = [("x", "y" * 50 * 1024)]
    assert (await node.ask("/", headers=fits)).status == 200
    assert node.upstream.last.one("x") == fits[0][1]


async def test_what_is_no_http(node: Node):
    await node.serve(node.protected("/"))
    for raw in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"what?\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-forwarded-proto\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: a\r\nX-Kong-Request-Id: mine\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Kong-Request-Id: mine\r\n\r\n",
    ):
        connection = await RawConnection.open(node.plain)
        connection.writer.write(raw)
        reply = await connection.reply()
        assert reply.status == 400
        said = json.loads(reply.body)
        assert said["reason"] == "refused_on_arrival"
        assert said["request_id"] == reply.one("x-kong-request-id") != "mine"
        connection.close()
    assert node.policy.asked == node.upstream.received == []


async def test_an_upgrade_that_nobody_knows_is_refused_with_a_reason(node: Node):
    await node.serve(node.route("/"))
    headers = [("Connection", "upgrade"), ("Upgrade", "h9")]
    assert await expect(node, "/", 400, "Bad request", headers=headers) == {
        "reason": "upgrade_unsupported"
    }
    assert node.upstream.received == []


async def test_smuggling_forms_are_refused(node: Node):
    await node.serve(node.route("/"))
    for lines in (
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Content-Length: 3", "Content-Length: 4"],
        ["Transfer-Encoding: chunked, identity"],
    ):
        connection = await RawConnection.open(node.plain)
        head = "\r\n".join(["POST / HTTP/1.1", "Host: a", *lines])
        connection.writer.write(f"{head}\r\n\r\n0\r\n\r\n".encode())
        assert (await connection.reply()).status in (400, 501)
        connection.close()
    assert node.upstream.received == []


@pytest.mark.parametrize("path", ["/", "/a", None])
async def test_connect_is_refused(node: Node, path: str | None):
    await node.serve(node.protected(path), node.route("/open"))
    said = await expect(node, "localhost:80", 400, "Bad request", method="CONNECT")
    assert said == {"reason": "upgrade_unsupported"}
    assert node.policy.asked == node.upstream.received == []


async def test_http_1_0_is_answered(node: Node):
    await node.serve(node.route("/"))
    assert (await node.ask("/", version="HTTP/1.0")).status == 200


async def test_a_client_that_never_ends_its_head_is_sent_away(node: Node):
    settings = EnvoySettings(request_headers_timeout_ms=200)
    async with running_envoy(settings=settings) as envoy:
        listener = Listener("patient", "127.0.0.1", free_port())
        gateway = Gateway(
            listeners=(listener,), routes=(node.route("/"),), clusters=(node.cluster,)
        )
        await envoy.must_publish(gateway)
        connection = await RawConnection.open(listener.port)
        connection.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow")
        reply = await asyncio.wait_for(connection.reply(), 5)
        assert reply.status == 408
        assert json.loads(reply.body)["message"] == "Request timeout"
        connection.close()


async def test_more_clients_than_allowed_are_turned_away(node: Node):
    async with running_envoy(connections_limit=2) as envoy:
        listener = Listener("small", "127.0.0.1", free_port())
        gateway = Gateway(
            listeners=(listener,), routes=(node.route("/"),), clusters=(node.cluster,)
        )
        await envoy.must_publish(gateway)
        inside = [await RawConnection.open(listener.port) for _ in range(2)]
        assert (await inside[0].ask("/")).status == 200
        assert (await inside[1].ask("/")).status == 200
        outside = await RawConnection.open(listener.port)
        assert await asyncio.wait_for(outside.reader.read(), 5) == b""
        assert (await inside[0].ask("/")).status == 200
        for connection in (*inside, outside):
            connection.close()


async def test_the_upstreams_share_of_the_time_is_told(node: Node):
    await node.serve(node.route("/none", action=Refuse(500, "r", "m")), node.route("/"))
    reply = await node.ask("/slow/0.1")
    assert 100 <= int(reply.one("x-kong-upstream-latency") or 0) < 1000
    assert 0 <= int(reply.one("x-kong-proxy-latency") or -1) < 100
    assert reply.all("x-kong-response-latency") == []


async def test_answers_of_our_own_tell_the_whole_time_only(node: Node):
    lost = Cluster("lost-1", "no-such-host.invalid", 80, 1000, 5000)
    routes = (
        node.route("/none", action=Refuse(500, "r", "m")),
        node.route("/lost", cluster="lost-1"),
        node.protected("/no"),
    )
    await node.serve(*routes, clusters=(node.cluster, lost))

    async def refuse(asked: Asked) -> Verdict:
        await asyncio.sleep(0.1)
        return answer(403, [], b"no")

    node.policy.decide = refuse
    least = {"/none": 0, "/lost": 0, "/no": 100, "/unknown": 0, "/%00": 0, "/a%2fb": 0}
    for target, least_ms in least.items():
        reply = await node.ask(target)
        assert least_ms <= int(reply.one("x-kong-response-latency") or -1) < 1000, target
        others = ("via", "x-kong-upstream-latency", "x-kong-proxy-latency")
        assert [name for name in others if reply.all(name)] == [], target


async def test_answers_of_an_upstream_name_us_in_via(node: Node):
    await node.serve(node.route("/"))
    assert (await node.ask("/")).one("via") == "1.1 scopegate"
    node.upstream.response_headers = [("via", "1.0 fred")]
    assert (await node.ask("/status/404")).one("via") == "1.0 fred,1.1 scopegate"


async def test_what_goes_wrong_with_an_upstream_counts_as_proxied(node: Node):
    dead = Cluster("dead-1", "127.0.0.1", free_port(), 1000, 5000)
    await node.serve(
        node.route("/dead", cluster="dead-1"),
        node.route("/slow", read_timeout_ms=100),
        clusters=(node.cluster, dead),
    )
    for target, status in (("/dead", 502), ("/slow/5", 504)):
        reply = await node.ask(target)
        assert (reply.status, reply.one("via")) == (status, "1.1 scopegate")
        assert reply.all("x-kong-response-latency") == []


@pytest.mark.parametrize("status", [200, 204, 302, 400, 431, 480, 500, 503, 504, 599])
async def test_the_policy_service_may_answer_with_any_status(node: Node, status: int):
    await node.serve(node.protected("/"))
    headers = [("content-type", "text/html"), ("retry-after", "7"), ("set-cookie", "a=1")]
    body = b"" if status == 204 else b"<p>down</p>"
    headers = headers[status == 204 :]  # no body has no type
    node.policy.decide = lambda asked: answer(status, headers, body)
    reply = await node.ask("/")
    assert (reply.status, reply.body) == (status, body)
    assert [reply.one(name) for name, _ in headers] == [value for _, value in headers]
    assert len(reply.one("x-kong-request-id") or "") == 32


async def test_an_upstreams_480_stays_a_480(node: Node):
    await node.serve(node.protected("/"))
    assert (await node.ask("/status/480")).status == 480


async def test_what_goes_wrong_with_an_upstream_is_in_the_log_once_in_a_while(node: Node):
    dead = Cluster("dead-2", "127.0.0.1", free_port(), 1000, 5000)
    await node.serve(
        node.route("/dead2", cluster="dead-2", route_id="dead-route", service_id="dead-service"),
        node.route("/status", route_id="sick-route"),
        clusters=(node.cluster, dead),
    )
    ids = {}
    for target in ("/dead2", "/status/503", "/dead2", "/status/503"):
        reply = await node.ask(target)
        assert reply.status in (502, 503)
        ids.setdefault(target, reply.one("x-kong-request-id"))
    lines = [line for line in node.envoy.log.splitlines() if "an upstream " in line]
    (gone,) = (line for line in lines if "dead-route" in line)
    (sick,) = (line for line in lines if "sick-route" in line)
    assert "gave no response: upstream_reset_before_response_started" in gone
    assert f"route dead-route, service dead-service, request_id {ids['/dead2']}" in gone
    assert f"answered 503, route sick-route, service -, request_id {ids['/status/503']}" in sick
