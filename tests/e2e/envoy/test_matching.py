"""Which route a request takes on a real Envoy."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest
import pytest_asyncio

from scopegate.compile.findings import HTTP1_METHODS
from scopegate.ir.gateway import (
    HeaderMatch,
    HostMatch,
    HttpsOnly,
    Listener,
    PathMatch,
    RouteMatch,
    TlsIdentity,
)
from support.certificates import Pki
from support.h2_client import H2Connection
from support.ports import free_port
from support.raw_http import RawConnection

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(tmp_path_factory: pytest.TempPathFactory) -> Listener:
    pki = Pki(tmp_path_factory.mktemp("pki"))
    return Listener("https", "127.0.0.1", free_port(), TlsIdentity(*pki.server("localhost")))


async def finds(node: Node, match: RouteMatch, **request) -> bool:
    await node.serve(node.route(match=match))
    return (await node.ask("/", **request)).status == 200


@pytest.mark.parametrize(
    ("pattern", "port", "host", "found"),
    [
        ("api.test", None, "api.test", True),
        ("api.test", None, "API.Test", True),
        ("api.test", None, "api.test.", True),
        ("api.test", None, "api.test:99", True),
        ("api.test", None, "API.TEST.:99", True),
        ("api.test", None, "api.test.evil", False),
        ("api.test", None, "xapi.test", False),
        ("api.test", None, "apixtest", False),
        ("api.test", 99, "api.test:99", True),
        ("api.test", 99, "api.test:0099", True),
        ("api.test", 99, "api.test:990", False),
        ("api.test", 99, "api.test:98", False),
        ("api.test", 99, "api.test", False),
        ("*.api.test", None, "a.api.test", True),
        ("*.api.test", None, "A.B.api.Test.:99", True),
        ("*.api.test", None, "api.test", False),
        ("*.api.test", None, "a.api.test.evil", False),
        ("api.*", None, "api.test", True),
        ("api.*", None, "api.test.x:80", True),
        ("api.*", None, "xapi.test", False),
        ("*.api.test", 99, "a.api.test:99", True),
        ("*.api.test", 99, "a.api.test:98", False),
    ],
)
async def test_hosts(node: Node, pattern: str, port: int | None, host: str, found: bool):
    assert await finds(node, RouteMatch(hosts=(HostMatch(pattern, port),)), host=host) is found


async def test_a_host_without_port_means_the_listeners(node: Node):
    match = RouteMatch(hosts=(HostMatch("api.test", node.plain),))
    assert await finds(node, match, host="api.test")
    assert await finds(node, match, host=f"api.test:{node.plain}")
    assert not await finds(node, match, host="api.test:1")


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: guarded.test", "Host: x"],
        ["Host: x", "Host: guarded.test"],
        ["Host: guarded.test,"],
        ["Host: user@guarded.test"],
        ["Host: guarded.test.."],
        ["Host: .guarded.test"],
        ["Host: guarded..test"],
        ["Host: guarded.test:80:80"],
        ["Host: guarded.test:0x50"],
        ["Host: guarded.test:99999999"],
        ["Host: guarded%2etest"],
        ["Host: guarded.test;x"],
        ["Host: [guarded.test]"],
        ["Host: guarded.test/"],
        ["Host: guarded.test\\x"],
        ["Host: guarded.test#x"],
        ["Host: x", " guarded.test"],
        ["Host : guarded.test"],
        ["Host: guarded。test"],
        ["Host:"],
    ],
)
async def test_a_host_that_is_none_reaches_nobody(node: Node, lines: list[str]):
    guarded = RouteMatch(hosts=(HostMatch("guarded.test"),))
    await node.serve(node.protected(match=guarded, key="guarded"), node.route("/"))
    connection = await RawConnection.open(node.plain)
    connection.writer.write("\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode())
    assert (await connection.reply()).status == 400
    assert node.upstream.received == []
    connection.close()


@pytest.mark.parametrize(
    "host",
    ["a", "a.b.test", "a.test.", "a_b.test:80", "127.0.0.1:8000", "[::1]", "[::1]:80", "a.test:"],
)
async def test_ordinary_hosts_reach_the_upstream(node: Node, host: str):
    await node.serve(node.route("/"))
    assert (await node.ask("/", host=host)).status == 200
    assert node.upstream.last.one("host") == host


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("X-Kind", "gold", True),
        ("x_kind", "GOLD", True),
        ("x-kind", "silver", False),
        ("x-kind", "marigold", False),
        ("x-kind", "", False),
    ],
)
async def test_headers(node: Node, name: str, value: str, found: bool):
    match = RouteMatch(headers=(HeaderMatch("x-kind", ("gold", "platinum")),))
    assert await finds(node, match, headers=[(name, value)]) is found


async def test_one_of_several_values_of_a_header_suffices(node: Node):
    match = RouteMatch(headers=(HeaderMatch("x-kind", ("gold",)),))
    assert await finds(node, match, headers=[("x-kind", "tin"), ("x-kind", "gold")])
    assert not await finds(node, match, headers=[("x-kind", "tin"), ("x-kind", "lead")])


async def test_header_regexes_are_found_anywhere(node: Node):
    match = RouteMatch(headers=(HeaderMatch("user-agent", regexes=("win|linux",)),))
    assert await finds(node, match, headers=[("User-Agent", "Mozilla (Linux x86)")])
    assert not await finds(node, match, headers=[("User-Agent", "Mozilla (BeOS)")])


async def test_all_headers_must_match(node: Node):
    match = RouteMatch(headers=(HeaderMatch("x-a", ("1",)), HeaderMatch("x-b", ("2",))))
    assert await finds(node, match, headers=[("x_a", "1"), ("x-b", "2")])
    assert not await finds(node, match, headers=[("x-a", "1")])


async def test_methods(node: Node):
    match = RouteMatch(methods=("POST", "DELETE"))
    assert await finds(node, match, method="DELETE")
    assert not await finds(node, match, method="GET")
    assert not await finds(node, match, method="POSTS")


@pytest.mark.parametrize("method", ["PURGE", "REPORT", "PROPFIND"])
async def test_methods_that_envoys_parser_knows_can_be_named(node: Node, method: str):
    match = RouteMatch(methods=(method,))
    assert await finds(node, match, method=method)
    assert node.upstream.last.method == method
    for other in (method.lower(), "FOO", "F(O"):
        assert (await node.ask("/", method=other)).status == 400


async def test_many_header_names_are_spelled_alike(node: Node):
    names = [f"x-h{number}" for number in range(6)]
    match = RouteMatch(headers=tuple(HeaderMatch(name, ("1",)) for name in names))
    for alike in (names, [name.replace("-", "_") for name in names]):
        assert await finds(node, match, headers=[(name, "1") for name in alike])
    mixed = [("x_h0", "1"), *((name, "1") for name in names[1:])]
    assert not await finds(node, match, headers=mixed)


async def test_a_prefix_knows_no_segments(node: Node):
    await node.serve(node.route("/rou"))
    assert (await node.ask("/route")).status == 200
    assert (await node.ask("/Route")).status == 404
    assert (await node.ask("/ro")).status == 404


async def test_a_regex_is_anchored_at_the_start_only(node: Node):
    await node.serve(node.route(match=RouteMatch(path=PathMatch("regex", r"/v\d|/x$"))))
    for target, status in (("/v1/more", 200), ("/a/v1", 404), ("/x", 200), ("/xy", 404)):
        assert (await node.ask(target)).status == status


async def test_the_first_route_that_matches_is_taken(node: Node):
    await node.serve(
        node.route("/a/b", base_path="/first"),
        node.route("/a", base_path="/second"),
        node.route(match=RouteMatch(), key="last", base_path="/last"),
    )
    for target, seen in (("/a/b", "/first/a/b"), ("/a/c", "/second/a/c"), ("/x", "/last/x")):
        await node.ask(target)
        assert node.upstream.last.target == seen


async def test_server_names_count_on_tls_only(node: Node, secure: Listener):
    await node.serve(
        node.route(match=RouteMatch(snis=("one.test", "*.two.test", "Four.Test"))),
        listeners=(node.listener, secure),
    )
    assert (await node.ask("/")).status == 200
    found = ("one.test", "a.two.test", "ONE.Test", "four.test")
    for name, status in (*((name, 200) for name in found), ("three.test", 404)):
        connection = await RawConnection.open(secure.port, ssl=trusting(), server_hostname=name)
        assert (await connection.ask("/")).status == status, name
        connection.close()


async def test_a_client_cannot_claim_a_server_name(node: Node, secure: Listener):
    await node.serve(node.route(match=RouteMatch(snis=("one.test",))), listeners=(secure,))
    connection = await RawConnection.open(secure.port, ssl=trusting(), server_hostname="x.test")
    reply = await connection.ask("/", headers=[("x-scopegate-sni", "one.test")])
    assert reply.status == 404
    connection.close()


async def test_https_only_routes_answer_plain_text_without_asking(node: Node, secure: Listener):
    await node.serve(
        node.protected("/upgrade", https_only=HttpsOnly(426)),
        node.protected("/moved", https_only=HttpsOnly(308)),
        node.protected(
            match=RouteMatch(hosts=(HostMatch("named.test"),), path=PathMatch("prefix", "/named")),
            https_only=HttpsOnly(301),
        ),
        listeners=(node.listener, secure),
    )
    reply = await node.ask("/upgrade")
    assert reply.status == 426
    assert json.loads(reply.body)["message"] == "Please use HTTPS protocol"
    reply = await node.ask("/moved/x?a=1", host="Api.test:8000")
    assert (reply.status, reply.one("location")) == (308, "https://Api.test/moved/x?a=1")
    reply = await node.ask("/named/x?a=1", host="Named.test:8000")
    assert (reply.status, reply.one("location")) == (301, "https://Named.test/named/x?a=1")
    assert node.policy.asked == []
    connection = await RawConnection.open(secure.port, ssl=trusting())
    assert (await connection.ask("/moved/x")).status == 200
    assert node.policy.asked[-1].facts["scheme"] == "https"
    assert node.upstream.last.one("x-forwarded-proto") == "https"
    connection.close()


async def test_grpc_routes_want_grpc(node: Node):
    await node.serve(node.protected("/", grpc_only=True))
    assert (await node.ask("/pkg.Service/Call")).status == 426
    # Envoy tells a gRPC client in gRPC's own way: unknown (2) or unavailable.
    reply = await node.ask("/pkg.Service/Call", headers=[("content-type", "application/grpc")])
    assert reply.one("grpc-status") not in (None, "0")
    assert node.policy.asked == node.upstream.received == []
    connection = await H2Connection.open(node.plain)
    headers = [("content-type", "application/json")]
    reply = await connection.ask("/pkg.Service/Call", headers=headers, method="POST", body=b"{}")
    assert (reply.status, node.policy.asked) == (415, [])
    headers = [("content-type", "application/grpc+proto"), ("te", "trailers")]
    await connection.ask("/pkg.Service/Call", headers=headers, method="POST", body=b"\0\0\0\0\0")
    assert len(node.policy.asked) == 1
    connection.close()


async def test_http2_with_prior_knowledge_and_over_tls(node: Node, secure: Listener):
    await node.serve(node.protected("/"), listeners=(node.listener, secure))
    context = trusting()
    context.set_alpn_protocols(["h2"])
    for port, tls in ((node.plain, {}), (secure.port, {"ssl": context})):
        connection = await H2Connection.open(port, **tls)
        reply = await connection.ask(
            "/x", scheme="https", headers=[("cookie", "a=1"), ("cookie", "b=2")]
        )
        assert reply.status == 200
        asked = node.policy.asked[-1]
        assert asked.one("cookie") == "a=1; b=2"
        # the scheme is that of the listener, whatever the client says
        assert asked.facts["scheme"] == ("https" if tls else "http")
        connection.close()


async def test_http2_paths_are_fenced_as_well(node: Node):
    await node.serve(node.protected("/admin"), node.route("/"))
    connection = await H2Connection.open(node.plain)
    for path, status in (
        ("/public/../admin", 200),  # asked about and allowed
        ("/public/..%2fadmin", 400),
        ("/public\\..\\admin", 200),
        ("/public#/../admin", 400),
        ("/public/..;/admin", 200),
    ):
        node.forget()
        assert (await connection.ask(path)).status == status, path
        assert len(node.policy.asked) == (status == 200)
        assert all(request.target == "/admin" for request in node.upstream.received)
    connection.close()


@pytest.mark.parametrize("method", sorted(HTTP1_METHODS))
async def test_what_no_finding_warns_of_arrives(node: Node, method: str):
    assert await finds(node, RouteMatch(methods=(method,)), method=method)


@pytest.mark.parametrize("method", ["BAN", "FOO", "QUERY", "get"])
async def test_a_method_that_the_parser_does_not_know_is_a_400(node: Node, method: str):
    await node.serve(node.route(match=RouteMatch()))
    assert (await node.ask("/", method=method)).status == 400


async def test_http_1_0_without_a_host_is_a_request_without_a_host(node: Node):
    """A load balancer's check. Source: RFC 1945 §10 knows no Host header."""
    await node.serve(
        node.route("/", key="other", match=RouteMatch(hosts=(HostMatch("other.example"),))),
        node.route("/"),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", node.plain)
    writer.write(b"OPTIONS / HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 200 ")
    writer.close()
    assert node.upstream.last.method == "OPTIONS"
    assert node.upstream.last.all("x-forwarded-host") == []
