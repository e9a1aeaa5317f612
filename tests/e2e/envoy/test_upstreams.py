"""How requests reach upstreams: TLS and its verification, HTTP/2, retries, timeouts."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

import pytest
import pytest_asyncio

from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Cluster, UpstreamTls
from support.certificates import Pki
from support.h2_client import H2Connection, H2Reply
from support.h2_upstream import running_h2_upstream
from support.ports import free_port
from support.raw_http import RawConnection
from support.upstream import running_upstream

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest_asyncio.fixture(loop_scope="module")
async def tls_node(node: Node, pki: Pki) -> Node:
    node.envoy.settings = EnvoySettings(ca_bundle_path=str(pki.bundle))
    return node


def server_context(paths: tuple[str, str], *protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*paths)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.mark.parametrize(
    ("names", "trusted", "host", "verify", "status"),
    [
        (["localhost"], True, "localhost", True, 200),
        (["127.0.0.1"], True, "127.0.0.1", True, 200),
        (["other.test"], True, "localhost", True, 502),
        (["other.test"], True, "127.0.0.1", True, 502),
        (["localhost"], False, "localhost", True, 502),
        (["other.test"], False, "localhost", False, 200),
    ],
)
async def test_tls_to_the_upstream(
    tls_node: Node, pki: Pki, tmp_path, names, trusted, host, verify, status
):
    paths = (pki if trusted else Pki(tmp_path)).server(*names)
    context = server_context(paths)
    seen_names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: seen_names.append(name)
    async with running_upstream(ssl=context) as upstream:
        cluster = Cluster(
            f"tls-{upstream.port}", host, upstream.port, 1000, 5000, tls=UpstreamTls(host, verify)
        )
        await tls_node.serve(tls_node.route("/", cluster=cluster.name), clusters=(cluster,))
        assert (await tls_node.ask("/")).status == status
        assert len(upstream.received) == (status == 200)
    assert set(seen_names) == {None if host == "127.0.0.1" else host}


@pytest.mark.parametrize("with_tls", [False, True], ids=["grpc", "grpcs"])
async def test_grpc_goes_up_as_http2_with_its_trailers(tls_node: Node, pki: Pki, with_tls: bool):
    more = {"ssl": server_context(pki.server("localhost"), "h2")} if with_tls else {}
    async with running_h2_upstream(**more) as upstream:
        tls = UpstreamTls("localhost", True) if with_tls else None
        cluster = Cluster(
            f"h2-{upstream.port}", "localhost", upstream.port, 1000, 5000, http2=True, tls=tls
        )
        route = tls_node.protected("/", cluster=cluster.name, grpc_only=True, host="svc.test")
        await tls_node.serve(route, clusters=(cluster,))
        connection = await H2Connection.open(tls_node.plain)
        reply = await connection.ask(
            "/pkg.Service/Call",
            method="POST",
            headers=[("content-type", "application/grpc"), ("te", "trailers")],
            body=b"\0\0\0\0\2hi",
        )
        assert (reply.status, reply.body) == (200, b"\0\0\0\0\2ok")
        assert reply.trailers["grpc-status"] == "0"
        assert upstream.received[0][":authority"] == "svc.test"
        assert upstream.received[0]["via"] == "HTTP/2 scopegate"
        assert reply.headers["via"] == "2 scopegate"
        assert len(tls_node.policy.asked) == 1
        connection.close()


async def test_no_trailer_of_a_client_goes_on(tls_node: Node):
    """Nobody looks at one, and an upstream may take it for a header (RFC 9110 §6.5.1)."""
    async with running_h2_upstream() as upstream:
        cluster = Cluster(f"h2-{upstream.port}", "localhost", upstream.port, 1000, 5000, http2=True)
        route = tls_node.route("/", cluster=cluster.name)
        await tls_node.serve(route, clusters=(cluster,))
        assert (await ask_with_trailers(tls_node)).status == 200
        assert upstream.trailers in ([], [{}])


async def test_over_http_1_no_trailer_goes_on_either(node: Node):
    got = b""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        while not got.endswith(b"0\r\n\r\n") and (more := await reader.read(65536)):
            got += more
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    cluster = Cluster("old", "127.0.0.1", server.sockets[0].getsockname()[1], 1000, 5000)
    await node.serve(node.route("/", cluster="old"), clusters=(cluster,))
    assert (await ask_with_trailers(node)).status == 200
    assert got.endswith(b"hi\r\n0\r\n\r\n")
    assert b"forged" not in got
    server.close()


async def ask_with_trailers(node: Node) -> H2Reply:
    connection = await H2Connection.open(node.plain)
    trailers = [("x-consumer-username", "forged"), ("x-any", "1")]
    reply = await connection.ask("/", method="POST", body=b"hi", trailers=trailers)
    connection.close()
    return reply


async def test_a_connection_that_is_refused_is_tried_again(node: Node):
    """Nothing has reached the upstream then, so any method may be."""
    port = free_port()
    cluster = Cluster("flaky", "127.0.0.1", port, 1000, 5000)
    await node.serve(node.route("/", cluster="flaky", retries=5), clusters=(cluster,))
    asking = asyncio.create_task(node.ask("/", method="POST", body=b"once"))
    await asyncio.sleep(0.02)
    server = await asyncio.start_server(node.upstream.serve, "127.0.0.1", port)
    assert (await asking).status == 200
    assert [request.body for request in node.upstream.received] == [b"once"]
    server.close()


async def test_a_request_that_was_sent_is_not_sent_again(node: Node):
    attempts = 0

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        await reader.readuntil(b"\r\n\r\n")
        attempts += 1
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    cluster = Cluster("breaks", "127.0.0.1", server.sockets[0].getsockname()[1], 1000, 5000)
    await node.serve(node.route("/", cluster="breaks", retries=5), clusters=(cluster,))
    assert (await node.ask("/", method="POST", body=b"x")).status == 502
    assert attempts == 1
    server.close()


@pytest.mark.slow
async def test_a_stream_may_last_longer_than_the_read_timeout(node: Node):
    await node.serve(node.route("/", read_timeout_ms=200))
    connection = await RawConnection.open(node.plain)
    await connection.send("/stream")
    await connection.head()
    began, ticks = time.monotonic(), aiter(connection.chunks())
    while time.monotonic() - began < 0.7:
        assert await anext(ticks) == b"tick"
    connection.close()


@pytest.mark.slow
async def test_a_websocket_may_be_silent_longer_than_the_read_timeout(node: Node):
    await node.serve(node.route("/", read_timeout_ms=200))
    connection = await RawConnection.open(node.plain)
    await connection.send("/", headers=[("Connection", "Upgrade"), ("Upgrade", "websocket")])
    assert (await connection.head()).status == 101
    await asyncio.sleep(0.7)
    connection.writer.write(b"still")
    assert await connection.reader.read(9) == b"still"
    connection.close()


@pytest.mark.slow
async def test_a_slow_upload_may_last_longer_than_the_read_timeout(node: Node):
    await node.serve(node.route("/", read_timeout_ms=200))
    connection = await RawConnection.open(node.plain)
    await connection.send("/", method="POST", headers=[("Content-Length", "6")])
    for piece in (b"ab", b"cd", b"ef"):
        await asyncio.sleep(0.3)
        connection.writer.write(piece)
    assert (await connection.reply()).status == 200
    assert node.upstream.last.body == b"abcdef"
    connection.close()


@pytest.mark.slow
async def test_an_upstream_that_takes_nothing_is_given_up_after_the_write_timeout(node: Node):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never reads
        cluster = Cluster("stuck", "127.0.0.1", silent.getsockname()[1], 1000, 600)
        await node.serve(node.route("/", cluster="stuck"), clusters=(cluster,))
        await _upload_in_vain(node)


async def _upload_in_vain(node: Node) -> None:
    began = time.monotonic()
    connection = await RawConnection.open(node.plain)
    size = 30_000_000
    await connection.send("/", method="POST", headers=[("Content-Length", str(size))])

    async def upload() -> None:
        for _ in range(size // 100_000):
            connection.writer.write(b"x" * 100_000)
            await connection.writer.drain()

    uploading = asyncio.create_task(upload())
    reply = await asyncio.wait_for(connection.head(), 10)
    assert reply.status == 502
    assert 0.5 < time.monotonic() - began < 8
    uploading.cancel()
    connection.close()


async def test_requests_and_answers_stream_through(node: Node):
    await node.serve(node.route("/"))
    size = 5_000_000
    reply = await node.ask(f"/bytes/{size}")
    assert len(reply.body) == size
    body = b"y" * size
    assert (await node.ask("/", method="PUT", body=body)).status == 200
    assert node.upstream.last.body == body


async def test_a_certificate_behind_an_intermediate_is_verified(tls_node: Node, pki: Pki):
    paths = pki.server_behind_intermediate("localhost")
    async with running_upstream(ssl=server_context(paths)) as upstream:
        tls = UpstreamTls("localhost", True)
        cluster = Cluster("chain", "localhost", upstream.port, 1000, 5000, tls=tls)
        await tls_node.serve(tls_node.route("/", cluster="chain"), clusters=(cluster,))
        assert (await tls_node.ask("/")).status == 200


async def test_envoy_is_told_nothing_that_it_calls_deprecated(tls_node: Node):
    async with running_upstream() as upstream:
        tls = UpstreamTls("localhost", True)
        clusters = (
            Cluster(f"named-{upstream.port}", "localhost", upstream.port, 1000, 5000),
            Cluster("addressed", "127.0.0.1", upstream.port, 1000, 5000, http2=True, tls=tls),
        )
        await tls_node.serve(tls_node.route("/", cluster=clusters[0].name), clusters=clusters)
        assert (await tls_node.ask("/")).status == 200
    # In the operator's log such a warning is several lines about what he cannot change.
    assert "deprecated" not in tls_node.envoy.log.lower()
