"""The access log: a line for each request, and the reason of each refusal."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Gateway, Listener, Refuse
from support.envoy_process import running_envoy
from support.policy_double import allow, answer, message, running_policy
from support.ports import free_port
from support.raw_http import ask

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def logged(path: Path, count: int) -> list[dict]:
    async with asyncio.timeout(15):
        while not path.exists() or len(path.read_text().splitlines()) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_a_refusal_on_arrival_is_in_the_access_log_under_its_id(node: Node, tmp_path: Path):
    path = tmp_path / "access.log"
    async with running_envoy(settings=EnvoySettings(access_log_path=str(path))) as envoy:
        listener = Listener("logged", "127.0.0.1", free_port())
        gateway = Gateway(
            listeners=(listener,), routes=(node.route("/"),), clusters=(node.cluster,)
        )
        await envoy.must_publish(gateway)
        mine = ("X-Kong-Request-Id", "mine")
        replies = [
            await ask(listener.port, "/", headers=[("Connection", "x-forwarded-proto"), mine]),
            await ask(listener.port, "/%00", headers=[mine]),
            await ask(listener.port, "/", headers=[mine]),
        ]
        lines = await logged(path, 3)
    ids = [reply.one("x-kong-request-id") for reply in replies]
    assert len(set(ids) - {None, "", "-", "mine"}) == 3
    assert [line["request_id"] for line in lines] == ids
    assert [line.get("reason") for line in lines] == ["refused_on_arrival"] * 2 + [None]
    assert [line["status"] for line in lines] == [400, 400, 200]


async def test_the_access_log_has_no_query_and_no_header(node: Node, tmp_path: Path):
    path = tmp_path / "access.log"
    async with running_envoy(settings=EnvoySettings(access_log_path=str(path))) as envoy:
        listener = Listener("logged", "127.0.0.1", free_port())
        route = replace(
            node.route("/a", strip_path=True),
            route_name="r1",
            service_id="s",
            service_name="s1",
        )
        await envoy.must_publish(
            Gateway(listeners=(listener,), routes=(route,), clusters=(node.cluster,))
        )
        secrets = [
            ("Authorization", "Bearer secret"),
            ("Cookie", "session=secret"),
            ("User-Agent", "secret"),
            ("Referer", "http://x/?code=secret"),
        ]
        reply = await ask(
            listener.port, "/a/b?code=secret&state=secret", host="secret.test", headers=secrets
        )
        await ask(listener.port, "/a/%2e%2e%2fsecretless?token=secret")
        first, second = await logged(path, 2)
    assert "secret" not in json.dumps(first)
    assert first["request_id"] == reply.one("x-kong-request-id")
    assert (first["method"], first["path"], first["status"]) == ("GET", "/a/b", 200)
    assert first["route"] == "route-id/r1 s/s1 open"
    assert first["client_ip"] == "127.0.0.1"
    assert (second["status"], second["reason"]) == (400, "path_ambiguous")
    assert "token" not in json.dumps(second)


async def test_what_nobody_answers_about_has_its_reason_in_the_access_log(
    node: Node, tmp_path: Path
):
    node.forget()
    path = tmp_path / "access.log"
    async with running_envoy(settings=EnvoySettings(access_log_path=str(path))) as envoy:
        listener = Listener("logged", "127.0.0.1", free_port())
        routes = (node.protected("/"),)
        await envoy.must_publish(
            Gateway(listeners=(listener,), routes=routes, clusters=(node.cluster,))
        )
        nobody = await ask(listener.port, "/")
        async with running_policy(envoy.policy_socket) as policy:
            policy.decide = lambda asked: allow(("x-user", "me"))
            many = [(f"x-{number}", "1") for number in range(95)]
            replies = [
                await ask(listener.port, "/", headers=many),
                await ask(listener.port, "/", headers=[("x-long", "x" * 61_350)]),
                await ask(listener.port, "/" + "x" * 31_000),
                await ask(listener.port, "/", headers=many[:50]),
            ]
        lines = await logged(path, 5)
    too_large = (431, "headers_too_large")
    assert [(line["status"], line.get("reason")) for line in lines] == [
        (503, "policy_unavailable"),
        *[too_large] * 3,
        (200, None),
    ]
    for reply, line in zip((nobody, *replies[:3]), lines, strict=False):
        said = json.loads(reply.body)
        assert (reply.status, said["reason"]) == (line["status"], line["reason"])
        assert said["request_id"] == reply.one("x-kong-request-id") == line["request_id"]
    assert len(node.upstream.received) == 1


async def test_no_access_log_unless_it_is_wanted(node: Node):
    await node.serve(node.route("/"))
    await node.ask("/quiet")
    assert "quiet" not in node.envoy.log


async def test_every_refusal_has_its_reason_in_the_access_log(node: Node, tmp_path: Path):
    path = tmp_path / "access.log"
    async with running_envoy(settings=EnvoySettings(access_log_path=str(path))) as envoy:
        listener = Listener("logged", "127.0.0.1", free_port())
        routes = (
            node.protected("/policy"),
            node.route("/route", action=Refuse(500, "plugin_defect", "m")),
            node.route("/"),
        )
        await envoy.must_publish(
            Gateway(listeners=(listener,), routes=routes, clusters=(node.cluster,))
        )
        async with running_policy(envoy.policy_socket) as policy:
            for verdict in (answer(401, reason="token_expired"), message("verdict maybe")):
                policy.decide = lambda asked, verdict=verdict: verdict
                await ask(listener.port, "/policy")
        for target in ("/route", "/a;b", "/a%2fb", "/"):
            await ask(listener.port, target)
        await ask(listener.port, "/", host="a..b")
        lines = await logged(path, 7)
    assert [(line["status"], line.get("reason")) for line in lines] == [
        (401, "token_expired"),
        (500, "policy_answer_broken"),
        (500, "plugin_defect"),
        (400, "path_parameters"),
        (400, "path_escaped_slash"),
        (200, None),
        (400, "host_malformed"),
    ]
