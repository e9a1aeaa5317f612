"""While policies change, and while Envoy refuses a route table, no client's word counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from scopegate.ir.gateway import Gateway, GatewayCookie, PathMatch, RouteMatch
from support.control import Control
from support.policy_double import Asked, Verdict, allow
from support.raw_http import RawConnection

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE, TWO = "1" * 32, "2" * 32
SETS = {ONE: "x-one", TWO: "x-two"}
FORGED = [("X-One", "forged"), ("X-Two", "forged"), ("X-Decided-By", "forged")]


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
        **more,
    )


def decide(asked: Asked) -> Verdict:
    policy_id = asked.facts["policy"]
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


def refused_table(node: Node) -> Gateway:
    """With a cookie whose name the filter does not take."""
    return gateway(node, TWO, cookies=frozenset({GatewayCookie("a b", ("1AQ",))}))


def no_word_of_the_client_counts(node: Node) -> None:
    for received in node.upstream.received:
        policy_id = received.one("x-decided-by")
        assert policy_id in SETS
        assert received.one(SETS[policy_id]) == "ours"


@pytest.mark.slow
async def test_while_policies_change_every_request_is_decided(node: Node, control: Control):
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


async def test_a_refused_table_leaves_the_last_one(node: Node, control: Control):
    assert await control.change(gateway(node, ONE)) == "live"
    assert await control.change(refused_table(node)) == "rejected"
    assert (await node.ask("/", headers=FORGED)).status == 200
    assert node.upstream.last.one("x-decided-by") == ONE
    assert await control.change(gateway(node, TWO)) == "live"
    assert (await node.ask("/", headers=FORGED)).status == 200
    assert node.upstream.last.one("x-decided-by") == TWO
    no_word_of_the_client_counts(node)


async def test_a_start_with_a_refused_table_serves_the_last(node: Node, control: Control):
    assert await control.change(gateway(node, ONE)) == "live"
    assert await control.change(refused_table(node)) == "rejected"
    await control.end()
    await node.envoy.kill_envoy()
    await control.start()
    await node.envoy.start_envoy()
    assert await control.change(refused_table(node)) == "rejected"
    assert (await node.ask("/", headers=FORGED)).status == 200
    assert await control.change(gateway(node, ONE)) == "live"
    assert (await node.ask("/", headers=FORGED)).status == 200
    no_word_of_the_client_counts(node)


async def test_a_proxy_that_comes_meanwhile_serves_the_last(node: Node, control: Control):
    assert await control.change(gateway(node, ONE)) == "live"
    await node.envoy.kill_envoy()
    change = asyncio.create_task(control.change(refused_table(node)))
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
