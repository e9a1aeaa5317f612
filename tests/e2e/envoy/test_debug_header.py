"""Who asks is told which route took the request, where the node allows it."""

from __future__ import annotations

import pytest

from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Refuse
from support.policy_double import answer
from support.raw_http import Reply

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENVOY = {"settings": EnvoySettings(debug_header=True)}

ASKS = [("Kong-Debug", "1")]
KNOWN = {"route_id": "r", "route_name": "näme", "service_id": "s", "service_name": "s1"}
TOLD = {
    "kong-route-id": "r",
    "kong-route-name": "näme",
    "kong-service-id": "s",
    "kong-service-name": "s1",
}


def told(reply: Reply) -> dict[str, str]:
    found = {name: value for name, value in reply.headers if name.startswith("kong-")}
    return {name: value.encode("latin-1").decode() for name, value in found.items()}


async def test_who_asks_is_told(node: Node):
    await node.serve(node.route("/", **KNOWN))
    assert told(await node.ask("/", headers=ASKS)) == TOLD
    assert node.upstream.last.one("kong-debug") == "1"


@pytest.mark.parametrize("headers", [[], [("Kong-Debug", "0")], [*ASKS, *ASKS]])
async def test_nobody_else_is(node: Node, headers: list[tuple[str, str]]):
    await node.serve(node.route("/", **KNOWN))
    assert told(await node.ask("/", headers=headers)) == {}


async def test_what_a_route_does_not_have_is_left_out(node: Node):
    await node.serve(node.route("/", route_id="r"))
    assert told(await node.ask("/", headers=ASKS)) == {"kong-route-id": "r"}


async def test_refusals_tell_it_too(node: Node):
    await node.serve(
        node.protected("/protected", **KNOWN),
        node.route("/answered", action=Refuse(503, "r", "m"), **KNOWN),
    )
    node.policy.decide = lambda asked: answer(401, [], b"no")
    for path, status in (("/protected", 401), ("/answered", 503)):
        reply = await node.ask(path, headers=ASKS)
        assert (reply.status, told(reply)) == (status, TOLD)
        assert told(await node.ask(path)) == {}


async def test_what_no_route_took_tells_nothing(node: Node):
    await node.serve(node.route("/a", **KNOWN))
    for path, status in (("/b", 404), ("/%00", 400), ("/b/%2e%2e%2fa", 400)):
        reply = await node.ask(path, headers=ASKS)
        assert (reply.status, told(reply)) == (status, {})
