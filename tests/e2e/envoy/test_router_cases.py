"""Kong's own routing cases, on a real Envoy: which route, and what the upstream sees."""

from __future__ import annotations

import json
import ssl
from dataclasses import replace
from urllib.parse import unquote

import pytest
import pytest_asyncio

from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.ir import policy_dialogue
from scopegate.ir.gateway import Listener, Route, TlsIdentity
from support import entities
from support.certificates import Pki
from support.contract import ROUTER_CASES
from support.ports import free_port
from support.raw_http import RawConnection, Reply

from .conftest import POLICY_ID, Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

CASES = json.loads(ROUTER_CASES.read_text())

# This case hands `%58` to the router itself. In a request Kong decodes it before, as we do, and
# then the configured `%58` matches nothing.
NEVER_ARRIVES = {86}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def listeners(pki: Pki, node: Node) -> tuple[Listener, Listener]:
    tls = TlsIdentity(*pki.server("any.test"))
    return node.listener, Listener("https", "127.0.0.1", free_port(), tls)


def gateway(case: dict, node: Node, listeners: tuple[Listener, ...]):
    services, routes = {}, []
    for number, pair in enumerate(case["routes"]):
        fields = {key: value for key, value in pair["route"].items() if value != {}}
        fields.pop("path_handling", None)  # this flavor of the router does not look at it
        described = pair.get("service")
        if described:
            name = f"service-{number}"
            services[name] = entities.service(
                name=name, port=node.upstream.port, path=described.get("path")
            )
            fields["service"] = name
        fields.setdefault("name", fields["id"])
        fields.setdefault("strip_path", False)  # the cases come from below the schema
        routes.append(entities.route(**fields))
    compiled = compile_gateway(
        entities.snapshot(services=services.values(), routes=routes),
        {},
        CompileSettings(listeners=listeners),
        (),
    )
    return replace(compiled.gateway, routes=tuple(map(asked_about, compiled.gateway.routes)))


def asked_about(route: Route) -> Route:
    """So that the policy service sees which route it was."""
    return replace(route, policy_id=POLICY_ID)


async def send(request: dict, listeners: tuple[Listener, Listener]) -> Reply:
    headers = []
    for name, value in request.get("headers", {}).items():
        if name != "host":
            headers += [(name, one) for one in (value if isinstance(value, list) else [value])]
    host = request.get("host") or request.get("headers", {}).get("host") or "no-host.test"
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
        id_, _, _name = (node.policy.asked[-1].one(policy_dialogue.ROUTE) or "").partition(" ")
        assert id_ == expected["route_id"]
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
