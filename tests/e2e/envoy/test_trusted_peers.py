"""What load balancers say about clients: whom the proxy believes, and about what.

The client of a test connects from 127.0.0.1 (trusted here, unless a test says otherwise).
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from scopegate.envoy.settings import EnvoySettings, TrustedPeers
from scopegate.ir.gateway import (
    HostMatch,
    HttpsOnly,
    Listener,
    PathMatch,
    RouteMatch,
    TlsIdentity,
)
from support.certificates import Pki
from support.h2_client import H2Connection
from support.policy_double import Asked
from support.ports import free_port
from support.raw_http import RawConnection, Reply

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

BALANCER, STRANGER = "127.0.0.1", "127.0.0.9"
CHAIN = TrustedPeers(("127.0.0.1/32", "10.0.0.0/8", "2001:db8::/32"), "x-forwarded-for")
RECURSIVE = replace(CHAIN, recursive=True)
REAL_IP = replace(CHAIN, address_header="x-real-ip")
PREAMBLE = replace(CHAIN, address_header="proxy_protocol")
V2 = b"\r\n\r\n\x00\r\nQUIT\n"


@dataclass
class Front:
    """A listener of a node."""

    node: Node
    listener: Listener

    async def connect(self, peer: str = BALANCER, **tls: Any) -> RawConnection:
        return await RawConnection.open(self.listener.port, local_addr=(peer, 0), **tls)

    async def ask(self, target: str = "/", *, peer: str = BALANCER, **more: Any) -> Reply:
        connection = await self.connect(peer)
        try:
            async with asyncio.timeout(10):
                return await connection.ask(target, **more)
        finally:
            connection.close()

    async def with_preamble(self, preamble: bytes, *, peer: str = BALANCER, **more: Any) -> Reply:
        """The preamble and a request in one go."""
        connection = await self.connect(peer)
        connection.writer.write(preamble)
        try:
            async with asyncio.timeout(10):
                return await connection.ask("/", **more)
        finally:
            connection.close()

    async def upstream_saw(self, **more: Any) -> dict[str, str]:
        """The headers that the upstream got, none twice."""
        reply = await self.ask(**more)
        assert reply.status == 200, reply
        headers = self.node.upstream.last.headers
        assert len(dict(headers)) == len(headers)
        return dict(headers)

    def asked(self) -> Asked:
        return self.node.policy.asked[-1]

    async def logged(self, count: int) -> list[dict[str, Any]]:
        """The access log, once it has so many lines."""
        path = Path(self.node.envoy.settings.access_log_path or "")
        async with asyncio.timeout(15):
            while not path.exists() or len(path.read_text().splitlines()) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return [json.loads(line) for line in path.read_text().splitlines()]


async def front(
    node: Node, *routes: Any, trusted: TrustedPeers | None = CHAIN, **fields: Any
) -> Front:
    """The node with this trust, on a listener of its own."""
    port = free_port()
    log_path = node.envoy.folder / f"access-{port}.log"
    node.envoy.settings = EnvoySettings(trusted_peers=trusted, access_log_path=str(log_path))
    listener = Listener(f"front-{port}", "127.0.0.1", port, **fields)
    await node.serve(*(routes or [node.protected("/")]), listeners=(listener,))
    return Front(node, listener)


LIES = [
    ("X-Forwarded-For", "10.9.9.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.test:99"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Path", "/evil"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Real-IP", "10.9.9.9"),
    ("CF-Connecting-IP", "10.9.9.9"),
    ("X-Scopegate-Client-IP", "10.9.9.9"),
    ("X-Scopegate-Authority", "evil.test"),
    ("X-Scopegate-Forwarded-Port", "1"),
    ("X-Scopegate-Forwarded-Path", "/evil"),
    ("X-Scopegate-Reason", "evil"),
]


@pytest.mark.parametrize(
    "trusted",
    [None, CHAIN, RECURSIVE, REAL_IP, PREAMBLE, replace(CHAIN, address_header="cf-connecting-ip")],
)
async def test_nothing_that_a_stranger_says_is_believed(
    node: Node, trusted: TrustedPeers | None
) -> None:
    here = await front(node, node.protected("/prefix", strip_path=True), trusted=trusted)
    got = await here.upstream_saw(target="/prefix/x", peer=STRANGER, host="shop.test", headers=LIES)
    ours = {
        "x-forwarded-for": f"10.9.9.9,{STRANGER}",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "shop.test",
        "x-forwarded-port": str(here.listener.port),
        "x-forwarded-path": "/prefix/x",
        "x-forwarded-prefix": "/prefix",
        "x-real-ip": STRANGER,
    }
    assert {name: got.get(name) for name in ours} == ours
    assert not [name for name in got if name.startswith("x-scopegate")]
    if trusted is None or trusted.address_header != "cf-connecting-ip":
        assert got["cf-connecting-ip"] == "10.9.9.9"
    else:
        assert "cf-connecting-ip" not in got
    facts = here.asked().facts
    told = (facts["client"], facts["scheme"], facts["authority"], facts["path"])
    assert told == (STRANGER, "http", "shop.test", "/prefix/x")


async def test_what_a_balancer_says_is_believed(node: Node) -> None:
    here = await front(node, node.protected("/prefix", strip_path=True))
    said = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "Shop.test:8443"),
        ("X-Forwarded-Path", "/outside/prefix/x?q=1"),
        ("X-Forwarded-Prefix", "/outside/prefix"),
    ]
    got = await here.upstream_saw(target="/prefix/x?q=1", host="inside.test:8000", headers=said)
    believed = {
        "host": "inside.test:8000",
        "x-forwarded-for": "203.0.113.9,127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "Shop.test",
        "x-forwarded-port": "8443",
        "x-forwarded-path": "/outside/prefix/x",
        "x-forwarded-prefix": "/outside/prefix",
        "x-real-ip": "203.0.113.9",
    }
    assert {name: got.get(name) for name in believed} == believed
    assert not [name for name in got if name.startswith("x-scopegate")]
    facts = here.asked().facts
    assert (facts["client"], facts["scheme"]) == ("203.0.113.9", "https")
    assert (facts["authority"], facts["path"]) == ("Shop.test:8443", "/prefix/x")


@pytest.mark.parametrize(
    ("headers", "authority", "port"),
    [
        ({}, "shop.test:8000", None),
        ({"proto": "https"}, "shop.test:8000", "8000"),
        ({"proto": "https", "port": "443"}, "shop.test", "443"),
        ({"proto": "https", "host": "a.test"}, "a.test", "443"),
        ({"proto": "http", "host": "a.test"}, "a.test", "80"),
        ({"host": "a.test:81"}, "a.test:81", "81"),
        ({"proto": "https", "host": "a.test:444", "port": "445"}, "a.test:445", "445"),
        ({"proto": "https", "host": "[2001:db8::1]:444"}, "[2001:db8::1]:444", "444"),
    ],
)
async def test_the_authority_is_the_one_that_the_client_sees(
    node: Node, headers: dict[str, str], authority: str, port: str | None
) -> None:
    here = await front(node)
    said = [(f"X-Forwarded-{name}", value) for name, value in headers.items()]
    got = await here.upstream_saw(host="shop.test:8000", headers=said)
    assert here.asked().facts["authority"] == authority
    assert got["x-forwarded-port"] == port or port is None
    if port is None:
        assert got["x-forwarded-port"] == str(here.listener.port)


@pytest.mark.parametrize(
    ("trusted", "value", "client"),
    [
        (CHAIN, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (CHAIN, "6.6.6.6, 203.0.113.9, 10.2.2.2", "10.2.2.2"),
        (RECURSIVE, "6.6.6.6, 203.0.113.9, 10.2.2.2", "203.0.113.9"),
        (RECURSIVE, "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        (RECURSIVE, "6.6.6.6, unknown, 10.2.2.2", "10.2.2.2"),
        (RECURSIVE, "6.6.6.6, 2001:db9::7, [2001:db8::5]:443", "2001:db9::7"),
        (CHAIN, "203.0.113.9:4711", "203.0.113.9"),
        (CHAIN, "[2001:db9::7]:4711", "2001:db9::7"),
        (CHAIN, "::ffff:203.0.113.9", "203.0.113.9"),
        (CHAIN, "rubbish", "127.0.0.1"),
        (CHAIN, "", "127.0.0.1"),
        (REAL_IP, "6.6.6.6", "127.0.0.1"),
    ],
)
async def test_the_client_is_found_in_the_chain(
    node: Node, trusted: TrustedPeers, value: str, client: str
) -> None:
    here = await front(node, trusted=trusted)
    got = await here.upstream_saw(headers=[("X-Forwarded-For", value)])
    assert got["x-real-ip"] == here.asked().facts["client"] == client


MALFORMED = [
    ("X-Forwarded-Proto", "https, http"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "a.test, b.test"),
    ("X-Forwarded-Host", "a.test/x"),
    ("X-Forwarded-Host", "<script>"),
    ("X-Forwarded-Port", "0"),
    ("X-Forwarded-Port", "443, 80"),
    ("X-Forwarded-Path", "//evil.test"),
    ("X-Forwarded-Prefix", "evil"),
    ("X-Forwarded-Prefix", "/\u00e9"),
]


@pytest.mark.parametrize("header", MALFORMED)
async def test_malformed_words_of_a_balancer_are_refused(
    node: Node, header: tuple[str, str]
) -> None:
    here = await front(node)
    for headers in ([header], [header, header]):
        reply = await here.ask(headers=headers)
        assert reply.status == 400
        body = json.loads(reply.body)
        assert (body["message"], body["reason"]) == ("Bad request", "forwarded_malformed")
        assert body["request_id"] == reply.one("x-kong-request-id")
    assert node.upstream.received == []
    assert (await here.ask(headers=[header], peer=STRANGER)).status == 200


async def test_the_access_log_has_client_path_and_reason(node: Node) -> None:
    here = await front(node)
    said = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Path", "/outside")]
    await here.ask("/x?q=1", headers=said)
    await here.ask("/y", headers=said, peer=STRANGER)
    refused = await here.ask("/z", headers=[*said, ("X-Forwarded-Port", "http")])
    believed, stranger, malformed = await here.logged(3)
    assert (believed["client_ip"], believed["path"]) == ("203.0.113.9", "/x")
    assert (stranger["client_ip"], stranger["path"]) == (STRANGER, "/y")
    assert (malformed["client_ip"], malformed["path"]) == (BALANCER, "/z")
    assert malformed["reason"] == "forwarded_malformed"
    assert malformed["request_id"] == refused.one("x-kong-request-id")
    assert "reason" not in believed


async def test_a_repeated_scheme_is_refused(node: Node) -> None:
    here = await front(node)
    repeated = [("X-Forwarded-Proto", "https")] * 2
    assert (await here.ask(headers=repeated)).status == 400
    assert node.upstream.received == []


async def test_https_only_counts_the_scheme_that_the_client_sees(node: Node) -> None:
    here = await front(node, node.protected("/", https_only=HttpsOnly(301)))
    plain = await here.ask("/x?q=1", host="shop.test:8000")
    assert (plain.status, plain.one("location")) == (301, "https://shop.test/x?q=1")
    outside = [("X-Forwarded-Host", "outside.test:80")]
    plain = await here.ask("/x?q=1", host="shop.test", headers=outside)
    assert (plain.status, plain.one("location")) == (301, "https://outside.test/x?q=1")
    for word in ("https", "HTTPS", "wss"):
        assert (await here.ask("/x", headers=[("X-Forwarded-Proto", word)])).status == 200
    lie = [("X-Forwarded-Proto", "https")]
    assert (await here.ask("/x", peer=STRANGER, headers=lie)).status == 301


async def test_routes_are_chosen_by_what_arrives(node: Node) -> None:
    """By the Host header, the listener's port and the handshake, whatever the client sees."""

    def at(host: str, port: int | None, path: str) -> Any:
        match = RouteMatch(hosts=(HostMatch(host, port),), path=PathMatch("prefix", "/"))
        return node.route(match=match, base_path=path)

    named = RouteMatch(snis=("sni.test",), path=PathMatch("prefix", "/sni"))
    here = await front(
        node,
        at("inside.test", None, "/inside"),
        at("outside.test", None, "/outside"),
        at("port.test", 443, "/port"),
        node.route(match=named),
    )
    said = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "outside.test"),
        ("X-Forwarded-Port", "443"),
    ]
    assert (await here.ask("/", host="inside.test", headers=said)).status == 200
    assert node.upstream.last.target == "/inside"
    assert (await here.ask("/", host="port.test", headers=said)).status == 404
    assert (await here.ask("/sni", host="x.test", headers=said)).status == 200


async def test_a_scheme_of_http2_is_no_word_of_a_balancer(node: Node, tmp_path: Path) -> None:
    identity = TlsIdentity(*Pki(tmp_path).server("localhost"))
    here = await front(node, tls=identity)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    for headers, scheme in (
        ([], "https"),
        ([("x-forwarded-proto", "http")], "http"),
        ([("x-forwarded-proto", "https")], "https"),
    ):
        connection = await H2Connection.open(
            here.listener.port, ssl=context, server_hostname="localhost"
        )
        reply = await connection.ask("/", headers=headers, scheme="http")
        connection.close()
        assert reply.status == 200
        assert here.asked().facts["scheme"] == scheme
        assert node.upstream.last.one("x-forwarded-proto") == scheme


def v1(text: str) -> bytes:
    return f"PROXY {text}\r\n".encode()


def v2(family: int, addresses: bytes, *, command: int = 1) -> bytes:
    return V2 + bytes([0x20 | command, family]) + struct.pack(">H", len(addresses)) + addresses


IPV4 = bytes([203, 0, 113, 9, 127, 0, 0, 1]) + struct.pack(">HH", 4711, 443)
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db9::7") * 2 + struct.pack(">HH", 4711, 443)
TLV = b"\x01\x00\x02h2"
GOOD = {
    "v1, IPv4": (v1("TCP4 203.0.113.9 127.0.0.1 4711 443"), "203.0.113.9"),
    "v1, IPv6": (v1("TCP6 2001:db9::7 ::1 4711 443"), "2001:db9::7"),
    "v1, unknown": (v1("UNKNOWN"), BALANCER),
    "v2, IPv4": (v2(0x11, IPV4), "203.0.113.9"),
    "v2, IPv6": (v2(0x21, IPV6), "2001:db9::7"),
    "v2, with more": (v2(0x11, IPV4 + TLV), "203.0.113.9"),
    "v2, a check of the balancer's own": (v2(0, b"", command=0), BALANCER),
}
BAD = {
    "none": b"",
    "no address": v1("TCP4 203.0.113.999 127.0.0.1 4711 443"),
    "another family": v1("TCP4 2001:db9::7 ::1 4711 443"),
    "too long": v1("TCP4 " + "1" * 200),
    "no end": b"PROXY TCP4 203.0.113.9 127.0.0.1 4711 443",
    "v2, too short": v2(0x11, IPV4[:6]),
    "v2, a path": v2(0x31, b"a" * 216),
    "v3": V2 + bytes([0x31, 0x11, 0, 0]),
}


@pytest.mark.parametrize("kind", GOOD)
async def test_a_preamble_names_the_client(node: Node, kind: str) -> None:
    preamble, client = GOOD[kind]
    here = await front(node, trusted=PREAMBLE, proxy_protocol=True)
    reply = await here.with_preamble(preamble, headers=[("X-Forwarded-For", "10.9.9.9")])
    assert reply.status == 200
    got = node.upstream.last
    assert got.one("x-real-ip") == here.asked().facts["client"] == client
    assert got.one("x-forwarded-for") == f"10.9.9.9,{client}"
    assert got.one("x-forwarded-port") == str(here.listener.port)


@pytest.mark.parametrize("kind", BAD)
async def test_without_a_good_preamble_the_connection_ends(node: Node, kind: str) -> None:
    here = await front(node, trusted=PREAMBLE, proxy_protocol=True)
    with pytest.raises((OSError, EOFError)):
        await here.with_preamble(BAD[kind])
    assert node.upstream.received == []
    assert (await here.with_preamble(GOOD["v2, IPv4"][0])).status == 200


async def test_a_preamble_of_a_stranger_ends_the_connection(node: Node) -> None:
    here = await front(node, trusted=PREAMBLE, proxy_protocol=True)
    for preamble, _ in GOOD.values():
        with pytest.raises((OSError, EOFError)):
            await here.with_preamble(preamble, peer=STRANGER)
    assert node.upstream.received == []


async def test_a_second_preamble_is_no_request(node: Node) -> None:
    here = await front(node, trusted=PREAMBLE, proxy_protocol=True)
    twice = GOOD["v1, IPv4"][0] * 2
    assert (await here.with_preamble(twice)).status == 400


async def test_headers_behind_a_preamble_are_those_of_whom_it_names(node: Node) -> None:
    """A balancer that passes connections on cannot vouch for what clients write in them."""
    here = await front(node, trusted=CHAIN, proxy_protocol=True)
    lies = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "10.9.9.9")]
    assert (await here.with_preamble(GOOD["v2, IPv4"][0], headers=lies)).status == 200
    facts = here.asked().facts
    assert (facts["client"], facts["scheme"]) == ("203.0.113.9", "http")
    # Another balancer, in front of that one.
    inner = v1("TCP4 10.1.1.1 127.0.0.1 4711 443")
    assert (await here.with_preamble(inner, headers=lies)).status == 200
    facts = here.asked().facts
    assert (facts["client"], facts["scheme"]) == ("10.9.9.9", "https")
    assert node.upstream.last.one("x-forwarded-for") == "10.9.9.9,10.1.1.1"


async def test_the_preamble_comes_before_the_handshake(node: Node, tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    identity = TlsIdentity(*pki.server("localhost"))
    here = await front(node, trusted=PREAMBLE, proxy_protocol=True, tls=identity)
    context = ssl.create_default_context(cafile=str(pki.bundle))
    for number, preamble in enumerate((GOOD["v1, IPv4"][0], GOOD["v2, IPv4"][0], b"")):
        connection = await here.connect()
        connection.writer.write(preamble)
        await connection.writer.drain()
        tls = connection.writer.start_tls(context, server_hostname="localhost")
        if not preamble:
            with pytest.raises((OSError, EOFError)):
                await tls
            continue
        await tls
        assert (await connection.ask("/")).status == 200
        connection.close()
        facts = here.asked().facts
        assert (facts["client"], facts["scheme"]) == ("203.0.113.9", "https")
        assert facts["tls"].split()[-1] == "localhost"
        assert len(node.upstream.received) == number + 1


async def test_a_request_over_a_listener_without_the_flag_has_no_preamble(node: Node) -> None:
    here = await front(node)
    assert (await here.with_preamble(GOOD["v1, IPv4"][0])).status == 400
    assert node.upstream.received == []
