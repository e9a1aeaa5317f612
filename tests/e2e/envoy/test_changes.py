"""Changes cut nothing, a no keeps the last good configuration, and everybody finds back."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace

import pytest

from scopegate.envoy.ads import PublishOutcome
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import (
    Cluster,
    Forward,
    Gateway,
    Listener,
    PathMatch,
    Route,
    RouteMatch,
)
from support.envoy_process import RunningEnvoy, running_envoy
from support.h2_client import H2Connection
from support.policy_double import running_policy
from support.ports import free_port
from support.raw_http import RawConnection, ask
from support.upstream import Upstream, running_upstream

UNKNOWN_TO_ENVOY = PathMatch("regex", "/(?=x)")
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket")]


def gateway(port: int, upstream: Upstream, number: int = 0, **fields) -> Gateway:
    """A gateway whose clusters and routes differ from number to number."""
    cluster = Cluster(f"up-{number}", "127.0.0.1", upstream.port, 1000 + number, 5000)
    forward = Forward(cluster.name, "/", False, None, 5000 + number, 0)
    routes = [
        Route(f"extra-{n}", RouteMatch(path=PathMatch("prefix", f"/extra-{n}")), forward, "id")
        for n in range(number % 5)
    ]
    routes.append(
        Route(
            "all", RouteMatch(), forward, "id", policy_id=f"{number:032x}" if number % 2 else None
        )
    )
    return Gateway(
        **{
            "listeners": (Listener("http", "127.0.0.1", port),),
            "routes": tuple(routes),
            "clusters": (cluster,),
            **fields,
        }
    )


@pytest.mark.slow
async def test_fifty_changes_cut_nothing():
    port = free_port()
    async with (
        running_envoy() as envoy,
        running_policy(envoy.policy_socket),
        running_upstream() as upstream,
    ):
        await envoy.ads.stop()
        await envoy.start_control(keep_clusters_s=0.2)  # old clusters go while they are in use
        await envoy.must_publish(gateway(port, upstream))
        websocket = await RawConnection.open(port)
        await websocket.send("/ws", headers=UPGRADE)
        assert (await websocket.head()).status == 101
        streaming = await RawConnection.open(port)
        await streaming.send("/stream")
        await streaming.head()
        ticks = aiter(streaming.chunks())
        kept = await RawConnection.open(port)
        assert (await kept.ask("/")).status == 200
        h2 = await H2Connection.open(port)
        h2_stream = await h2.send("/stream")
        # a request that is under way while everything changes
        slow = asyncio.create_task(ask(port, "/slow/1.5"))
        for number in range(1, 51):
            await envoy.must_publish(gateway(port, upstream, number))
            assert (await kept.ask(f"/kept-{number}")).status == 200
            assert (await h2.ask(f"/h2-{number}")).status == 200
            websocket.writer.write(b"%d" % number)
            assert await websocket.reader.read(10) == b"%d" % number
            assert await anext(ticks) == b"tick"
        await asyncio.sleep(0.5)  # the last old cluster has gone by now
        before = len(h2.replies[h2_stream].body)
        websocket.writer.write(b"still")
        assert await websocket.reader.read(10) == b"still"
        assert await anext(ticks) == b"tick"
        await asyncio.sleep(0.1)
        assert len(h2.replies[h2_stream].body) > before
        assert not h2.is_closed
        assert (await kept.ask("/kept")).status == 200
        assert (await slow).status == 200
        clusters = await ask_admin(envoy.admin_socket, "/clusters")
        assert "up-50::" in clusters
        assert "up-49::" not in clusters
        for connection in (websocket, streaming, kept, h2):
            connection.close()


async def ask_admin(path, target: str) -> str:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text


async def test_a_change_is_live_when_it_is_said_to_be():
    port = free_port()
    async with running_envoy(concurrency=2) as envoy, running_upstream() as upstream:
        for number in range(20):
            forward = Forward(f"up-{number}", f"/n{number}", False, None, 5000, 0)
            cluster = Cluster(f"up-{number}", "127.0.0.1", upstream.port, 1000, 5000)
            await envoy.must_publish(
                gateway(
                    port,
                    upstream,
                    clusters=(cluster,),
                    routes=(Route("all", RouteMatch(), forward, "id"),),
                )
            )
            for _ in range(4):
                assert (await ask(port, "/x")).status == 200
                assert upstream.last.target == f"/n{number}/x"


async def test_a_new_cluster_by_name_is_used_only_once_it_resolves():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        await envoy.must_publish(gateway(port, upstream))
        for number in range(1, 8):
            change = gateway(port, upstream, 2 * number)
            (cluster,) = change.clusters
            change = replace(change, clusters=(replace(cluster, host="localhost"),))
            await envoy.must_publish(change)
            assert (await ask(port, "/")).status == 200


async def test_only_what_changed_is_sent_again():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        await envoy.must_publish(gateway(port, upstream))
        before = await stats(envoy)
        await envoy.must_publish(gateway(port, upstream))
        assert await stats(envoy) == before
        first = gateway(port, upstream)
        extra = replace(first.routes[0], key="extra", route_id="extra")
        await envoy.must_publish(replace(first, routes=(extra, *first.routes)))
        after = await stats(envoy)
        changed = {name for name in after if after[name] != before[name]}
        assert changed == {"http.http.rds.routes.update_success"}


async def stats(envoy) -> dict[str, str]:
    text = await ask_admin(envoy.admin_socket, "/stats?filter=(cds|lds|rds.*)\\.update_success")
    lines = [line.strip() for line in text.splitlines() if "update_success: " in line]
    return dict(line.split(": ") for line in lines)


async def test_a_no_keeps_the_last_good_configuration():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        good = gateway(port, upstream)
        await envoy.must_publish(good)
        bad_match = RouteMatch(path=UNKNOWN_TO_ENVOY)
        bad = replace(
            gateway(port, upstream, 1),
            routes=(replace(good.routes[0], match=bad_match),),
        )
        outcome = await envoy.publish(bad)
        assert outcome.status == "rejected"
        assert outcome.detail.startswith("routes: ")
        assert "(?=" in outcome.detail
        assert (await ask(port, "/")).status == 200
        # also for an Envoy that comes anew
        await envoy.kill_envoy()
        await envoy.start_envoy()
        await reachable(port)
        assert (await ask(port, "/")).status == 200
        await envoy.must_publish(gateway(port, upstream, 2))


async def reachable(port: int) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                (await RawConnection.open(port)).close()
                return
            except OSError:
                await asyncio.sleep(0.02)


async def test_a_taken_port_is_told_and_tried_again():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()
            outcome = await envoy.publish(gateway(port, upstream))
            assert outcome.status == "rejected"
            assert outcome.detail.startswith("listeners: ")
            assert f"127.0.0.1:{port}" in outcome.detail
            assert "in use" in outcome.detail
        await envoy.must_publish(gateway(port, upstream))
        assert (await ask(port, "/")).status == 200


async def test_without_a_proxy_it_is_pending_and_told_when_it_is_live():
    port = free_port()
    outcomes: list[PublishOutcome] = []
    async with running_envoy() as envoy, running_upstream() as upstream:
        await envoy.kill_envoy()
        await envoy.ads.stop()
        await envoy.start_control(on_outcome=outcomes.append)
        outcome = await envoy.publish(gateway(port, upstream), timeout_s=0.1)
        assert outcome == PublishOutcome("pending", "the proxy is not connected")
        outcome = await envoy.publish(gateway(port, upstream, 2), timeout_s=0.1)
        assert outcome.status == "pending"
        assert outcomes == []
        await envoy.start_envoy()
        await reachable(port)
        assert (await ask(port, "/")).status == 200
        async with asyncio.timeout(5):
            while not outcomes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert outcomes == [PublishOutcome("live")]


async def test_a_killed_control_costs_nothing_and_is_found_again():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        await envoy.must_publish(gateway(port, upstream))
        websocket = await RawConnection.open(port)
        await websocket.send("/ws", headers=UPGRADE)
        await websocket.head()
        kept = await RawConnection.open(port)
        await kept.ask("/")
        before = await stats(envoy)
        await envoy.ads.stop()
        for _ in range(10):
            assert (await kept.ask("/")).status == 200
        await envoy.start_control()
        began = time.monotonic()
        await envoy.must_publish(gateway(port, upstream))
        assert time.monotonic() - began < 2
        assert envoy.ads.connected == 1
        assert (await kept.ask("/")).status == 200
        websocket.writer.write(b"still")
        assert await websocket.reader.read(10) == b"still"
        after = await stats(envoy)
        routes = "http.http.rds.routes.update_success"
        assert after[routes] == before[routes], "the same content must not be applied again"
        await envoy.must_publish(gateway(port, upstream, 2))
        websocket.close()
        kept.close()


async def test_listeners_depend_on_settings_alone():
    upstream = Upstream(port=1)
    settings = EnvoySettings()
    listeners = [
        gateway_resources(gateway(8000, upstream, number), settings).listeners
        for number in range(5)
    ]
    assert all(one == listeners[0] for one in listeners)
    other = gateway_resources(gateway(8000, upstream), replace(settings, access_log_path="/x"))
    assert other.listeners != listeners[0]


async def test_what_a_new_envoy_refuses_is_told_although_nobody_publishes():
    port = free_port()
    outcomes: list[PublishOutcome] = []
    async with running_envoy() as envoy, running_upstream() as upstream:
        await envoy.ads.stop()
        await envoy.start_control(on_outcome=outcomes.append)
        await envoy.must_publish(gateway(port, upstream))
        await envoy.kill_envoy()
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            taken.listen()
            await envoy.start_envoy()
            async with asyncio.timeout(10):
                while outcomes[-1].status == "live":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert outcomes[-1].status == "rejected"
        assert outcomes[-1].detail.startswith("listeners: ")


async def test_what_an_earlier_control_knew_to_be_good_is_not_served_on_other_listeners():
    port, other_port = free_port(), free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        good = gateway(port, upstream)
        await start_after_a_refusal(envoy, good)
        bad = refused(good, listeners=(Listener("http", "127.0.0.1", other_port),))
        outcome = await envoy.publish(bad)
        assert (outcome.status, outcome.kept) == ("rejected", False)


async def test_a_start_of_all_in_the_refused_state_answers_from_the_first_request_on():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        good = gateway(port, upstream)
        await envoy.kill_envoy()
        await start_after_a_refusal(envoy, good)
        publishing = asyncio.create_task(envoy.publish(refused(good)))
        await envoy.start_envoy()
        statuses: list[int] = []
        async with asyncio.timeout(15):
            while not (publishing.done() and statuses):
                try:
                    statuses.append((await ask(port, "/")).status)
                except OSError:  # nobody listens yet; no pause, for the moment to see is short
                    await asyncio.sleep(0)
        statuses.append((await ask(port, "/")).status)
        assert set(statuses) == {200}
        outcome = await publishing
        assert (outcome.status, outcome.kept) == ("rejected", True)


async def test_what_was_good_for_an_earlier_envoy_and_is_refused_now_holds_up_nothing():
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        good = gateway(port, upstream)
        await start_after_a_refusal(envoy, refused(good))
        await envoy.must_publish(good)
        assert (await ask(port, "/")).status == 200


async def start_after_a_refusal(envoy: RunningEnvoy, good: Gateway) -> None:
    """A new control, which inherits `good`, beside an Envoy that has nothing yet."""
    await envoy.ads.stop()
    await envoy.start_control(last_good=gateway_resources(good, envoy.settings))


def refused(good: Gateway, **fields) -> Gateway:
    """The gateway with a route that Envoy does not take."""
    bad_route = replace(good.routes[0], match=RouteMatch(path=UNKNOWN_TO_ENVOY))
    return replace(good, routes=(bad_route,), **fields)
