"""A change of what policies set is no moment in which a client's word stands in its place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from scopegate.ir.gateway import Gateway, GatewayCookie, PathMatch, PolicyNames, RouteMatch
from support.control import Control
from support.policy_double import Asked, Verdict, allow
from support.raw_http import RawConnection

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE, TWO = "1" * 32, "2" * 32
SETS = {ONE: "x-one", TWO: "x-two"}
FORGED = [("X-One", "forged"), ("X-Two", "forged"), ("X-Decided-By", "forged")]


def names(policy_id: str, **more) -> PolicyNames:
    return PolicyNames(upstream_headers=frozenset({SETS[policy_id], "x-decided-by"}), **more)


def gateway(node: Node, policy_id: str, others: int = 0, **more) -> Gateway:
    other = node.route("/", route_id="other")
    paths = (PathMatch("prefix", f"/other/{number}") for number in range(others))
    return Gateway(
        listeners=(node.listener,),
        clusters=(node.cluster,),
        routes=(
            *(replace(other, key=path.value, match=RouteMatch(path=path)) for path in paths),
            node.route("/", policy_id=policy_id),
        ),
        names=names(policy_id, **more),
    )


def decide(asked: Asked) -> Verdict:
    policy_id = asked.one("x-scopegate-policy")
    assert policy_id is not None
    return allow((SETS[policy_id], "ours"), ("x-decided-by", policy_id))


@pytest_asyncio.fixture(loop_scope="module")
async def control(node: Node, tmp_path: Path) -> AsyncIterator[Control]:
    assert node.envoy.ads is not None
    await node.envoy.ads.stop()
    made = Control(tmp_path, node.envoy.start_control, node.envoy.settings)
    await made.start()
    node.forget()
    node.policy.decide = decide
    yield made
    await made.end()


def refused_filters(node: Node) -> Gateway:
    """Envoy takes filters of one response one by one, in an order that is not ours."""
    broken = GatewayCookie('a"', ("1AQ",))  # no name of a cookie, and no Lua
    return gateway(node, TWO, cookies=frozenset({broken}), guarded_headers=frozenset({"x-g"}))


def no_word_of_the_client_counts(node: Node) -> None:
    for received in node.upstream.received:
        policy_id = received.one("x-decided-by")
        assert policy_id in SETS
        assert received.one(SETS[policy_id]) == "ours"


@pytest.mark.slow
async def test_while_filters_and_routes_change_one_after_the_other(node: Node, control: Control):
    assert await control.change(gateway(node, ONE, others=2000)) == "live"
    stop = asyncio.Event()

    async def client() -> int:
        connection = await RawConnection.open(node.plain)
        count = 0
        while not stop.is_set():
            assert (await connection.ask("/", headers=FORGED)).status == 200
            count += 1
        connection.close()
        return count

    clients = [asyncio.create_task(client()) for _ in range(4)]
    for policy_id in (TWO, ONE) * 3:
        assert await control.change(gateway(node, policy_id, others=2000)) == "live"
    stop.set()
    assert sum(await asyncio.gather(*clients)) > 100
    no_word_of_the_client_counts(node)


@pytest.mark.parametrize("turn", range(4))
async def test_when_some_filters_are_refused_none_of_their_like_stays(
    node: Node, control: Control, turn: int
):
    assert await control.change(gateway(node, ONE)) == "live"
    assert await control.change(refused_filters(node)) == "rejected"
    for _ in range(2):
        assert (await node.ask("/", headers=[*FORGED, ("X_G", str(turn))])).status == 200
        assert await control.change(gateway(node, ONE)) == "live"
    assert await control.change(gateway(node, TWO)) == "live"
    assert (await node.ask("/", headers=[*FORGED, ("X_G", str(turn))])).status == 200
    no_word_of_the_client_counts(node)
    assert node.upstream.last.one("x_g") == str(turn)


async def test_a_start_of_all_with_filters_that_are_refused_serves_what_was_good(
    node: Node, control: Control
):
    assert await control.change(gateway(node, ONE)) == "live"
    assert await control.change(refused_filters(node)) == "rejected"
    await control.end()
    await node.envoy.kill_envoy()
    await control.start()
    await node.envoy.start_envoy()
    assert await control.change(refused_filters(node)) == "rejected"
    assert (await node.ask("/", headers=FORGED)).status == 200
    assert await control.change(gateway(node, ONE)) == "live"
    assert (await node.ask("/", headers=FORGED)).status == 200
    no_word_of_the_client_counts(node)


async def test_a_proxy_that_comes_while_filters_are_refused_serves_what_was_good(
    node: Node, control: Control
):
    assert await control.change(gateway(node, ONE)) == "live"
    await node.envoy.kill_envoy()
    change = asyncio.create_task(control.change(refused_filters(node)))
    await asyncio.sleep(0.05)
    await node.envoy.start_envoy()
    assert await change == "rejected"
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                if (await node.ask("/", headers=FORGED)).status == 200:
                    break
            await asyncio.sleep(0.05)
    assert await control.change(gateway(node, ONE)) == "live"
    no_word_of_the_client_counts(node)


@pytest.mark.slow
async def test_envoy_takes_very_many_long_names(node: Node, control: Control):
    long = frozenset(f"{'x-' * 61}{number:04}" for number in range(100))
    many = frozenset(f"x-name-of-some-length-{number}" for number in range(20_000))
    assert await control.change(gateway(node, ONE, guarded_headers=many | long)) == "live"
    twins = [("X_Name-Of-Some-Length-19999", "x"), ("x_" * 61 + "0099", "y"), ("X-Other", "z")]
    assert (await node.ask("/", headers=[*FORGED, *twins])).status == 200
    assert (
        not {"x_name-of-some-length-19999", "x_" * 61 + "0099"}
        & dict(node.upstream.last.headers).keys()
    )
    assert node.upstream.last.one("x-other") == "z"
