"""Kong's own routing cases, on a real Envoy: which route, and what the upstream sees."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from urllib.parse import unquote

import pytest
import pytest_asyncio

from scopegate.ir.gateway import Listener, Route, TlsIdentity
from scopegate.ir.route_label import read_label
from support import router_cases
from support.certificates import Pki
from support.ports import free_port
from support.raw_http import RawConnection, Reply
from support.router_cases import CASES, NEVER_ARRIVES

from .conftest import POLICY_ID, Node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listeners(pki: Pki, node: Node) -> tuple[Listener, Listener]:
    tls = TlsIdentity(*pki.server("any.test"))
    return node.listener, Listener("https", "127.0.0.1", free_port(), tls)


def gateway(case: dict, node: Node, listeners: tuple[Listener, ...]):
    made = router_cases.gateway(case, listeners, node.upstream.port)
    return replace(made, routes=tuple(map(asked_about, made.routes)))


def asked_about(route: Route) -> Route:
    """So that the policy service sees which route it was."""
    return replace(route, policy_id=POLICY_ID)


async def send(request: dict, listeners: tuple[Listener, Listener]) -> Reply:
    headers, host = router_cases.headers(request), router_cases.host(request)
    if request.get("scheme") == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = await RawConnection.open(
            listeners[1].port, ssl=context, server_hostname=request.get("sni")
        )
    else:
        connection = await RawConnection.open(listeners[0].port)
    reply = await connection.ask(
        request["uri"], method=request["method"], host=host, headers=headers
    )
    connection.close()
    return reply


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
async def test_router_case(case: dict, node: Node, listeners: tuple[Listener, Listener]):
    await node.envoy.must_publish(gateway(case, node, listeners))
    node.forget()
    expected = case["expect"]
    reply = await send(case["request"], listeners)
    if expected.get("match") is False or case["id"] in NEVER_ARRIVES:
        assert reply.status == 404
        assert node.policy.asked == []
        return
    assert reply.status in (200, 503), reply
    if "route_id" in expected:
        label = read_label(node.policy.asked[-1].facts["route"])
        assert label.route_id == expected["route_id"]
    if expected.get("service?") == "falsy":
        assert json.loads(reply.body)["message"] == "no Service found with those values"
        return
    seen = node.upstream.last
    if "upstream_uri" in expected:
        assert unquote(seen.target) == unquote(expected["upstream_uri"])
    if "upstream_host" in expected:
        assert seen.one("host") == expected["upstream_host"]
    if "prefix" in expected and "regex" not in str(case["routes"]):
        stripped = expected["prefix"]
        fixed = stripped != "/" and "\\" not in str(case["routes"][0]["route"]["paths"])
        assert seen.one("x-forwarded-prefix") == (stripped if fixed else None)
