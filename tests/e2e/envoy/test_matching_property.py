"""Random tables and requests: Envoy takes the route that the pure matcher names."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.ir.gateway import Gateway, Listener, TlsIdentity
from scopegate.ir.matching import RequestHead, first_match
from scopegate.ir.route_label import read_label
from support import entities
from support.certificates import Pki
from support.ports import free_port
from support.raw_http import RawConnection

from .conftest import POLICY_ID, Node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

TABLES, REQUESTS = 30, 12

METHODS = ["GET", "POST", "PUT"]
NAMES = ["a.test", "b.a.test", "a.b.test", "c.example"]
PIECES = ["a", "b", "ab", "a.b", "é", "v1:x", "x~"]
PATHS = st.lists(st.sampled_from(PIECES), max_size=3).map(lambda pieces: "/" + "/".join(pieces))
REGEXES = ["~/a", "~/a/(b|ab)$", r"~/[ab]+/\w", "~/(?i)AB", "~/a|/b", r"~/v1:x/\d*", "~/a(/b)?"]
VALUES = ["1", "two", "0,1", "~*^2|w", "~*^w$", "~*3.*1"]


def lists(values: list[str] | st.SearchStrategy[str], most: int = 2) -> st.SearchStrategy:
    """None, or some of these."""
    each = values if isinstance(values, st.SearchStrategy) else st.sampled_from(values)
    return st.none() | st.lists(each, min_size=1, max_size=most, unique=True)


def hosts(ports: tuple[int, int]) -> st.SearchStrategy:
    names = st.sampled_from([*NAMES, "*.a.test", "a.*", "*.test"])
    port = st.sampled_from(["", "", "", f":{ports[0]}", f":{ports[1]}", ":99"])
    return lists(st.tuples(names, port).map("".join))


def routes(ports: tuple[int, int]) -> st.SearchStrategy:
    one = st.fixed_dictionaries(
        {
            "methods": lists(METHODS),
            "hosts": hosts(ports),
            "paths": lists(PATHS | st.sampled_from(REGEXES), 3),
            "headers": st.none()
            | st.dictionaries(
                st.sampled_from(["X-A", "x_b-c"]),
                st.lists(st.sampled_from(VALUES), min_size=1, max_size=2),
                min_size=1,
                max_size=2,
            ),
            "snis": st.none() | st.just(["a.test"]),
            "regex_priority": st.integers(0, 2),
            "strip_path": st.booleans(),
        }
    )
    return st.lists(one, min_size=1, max_size=14)


def heads(ports: tuple[int, int]) -> st.SearchStrategy[RequestHead]:
    def head(tls: bool, method: str, host: str, port: str, path: str, headers: list) -> RequestHead:
        return RequestHead(
            path=path.replace("é", "%C3%A9"),
            method=method,
            host=host + port,
            port=ports[tls],
            tls=tls,
            sni="a.test" if tls and headers else "other.test",
            headers=tuple(headers),
        )

    suffix = st.sampled_from(["", "", "/", "b", "/1", "1"])
    return st.builds(
        head,
        tls=st.booleans(),
        method=st.sampled_from(METHODS),
        host=st.sampled_from([*NAMES, "A.Test", "a.test.", "other.example"]),
        port=st.sampled_from(["", "", f":{ports[0]}", f":{ports[1]}", ":99"]),
        path=st.tuples(PATHS, suffix).map("".join).map(lambda path: path.replace("//", "/")),
        headers=st.lists(
            st.tuples(
                st.sampled_from(["x-a", "x-b-c", "x_b_c"]),
                st.sampled_from(["1", "TWO", "0,1", "3", "w"]),
            ),
            max_size=3,
        ),
    )


@dataclass
class Harness:
    node: Node
    listeners: tuple[Listener, Listener]
    taken: int = 0

    @property
    def ports(self) -> tuple[int, int]:
        return self.listeners[0].port, self.listeners[1].port

    def gateway(self, described: list[dict]) -> Gateway:
        services = [entities.service(name="svc", port=self.node.upstream.port, path="/base")]
        made = [
            entities.route(name=str(number), service="svc", **fields)
            for number, fields in enumerate(described)
        ]
        snapshot = entities.snapshot(services=services, routes=made)
        node = CompileSettings(listeners=self.listeners)
        gateway = compile_gateway(snapshot, {}, node, ()).gateway
        asked_about = (replace(route, policy_id=POLICY_ID) for route in gateway.routes)
        return replace(gateway, routes=tuple(asked_about))

    async def chosen(self, head: RequestHead) -> str | None:
        """Which route Envoy asks the policy service about; None for a 404."""
        more: dict = {}
        if head.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            more = {"ssl": context, "server_hostname": head.sni}
        self.node.policy.asked.clear()
        connection = await RawConnection.open(head.port, **more)
        reply = await connection.ask(
            head.path, method=head.method, host=head.host, headers=list(head.headers)
        )
        connection.close()
        if reply.status == 404:
            return None
        assert reply.status == 200, (head, reply)
        return read_label(self.node.policy.asked[-1].facts["route"]).route_id

    async def compare(self, described: list[dict], asked: list[RequestHead]) -> None:
        gateway = self.gateway(described)
        await self.node.envoy.must_publish(gateway)
        for head in asked:
            expected = first_match(gateway.routes, head)
            chosen = await self.chosen(head)
            self.taken += chosen is not None
            assert chosen == (expected and expected.route_id), (head, expected)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory, node: Node) -> Harness:
    tls = TlsIdentity(*Pki(tmp_path_factory.mktemp("pki")).server("any.test"))
    return Harness(node, (node.listener, Listener("https", "127.0.0.1", free_port(), tls)))


async def test_envoy_takes_the_route_that_the_matcher_names(harness: Harness):
    loop = asyncio.get_running_loop()

    @settings(max_examples=TABLES, deadline=None, database=None, phases=[Phase.generate])
    @given(
        described=routes(harness.ports),
        asked=st.lists(heads(harness.ports), min_size=REQUESTS, max_size=REQUESTS),
    )
    def check(described: list[dict], asked: list[RequestHead]) -> None:
        comparing = harness.compare(described, asked)
        asyncio.run_coroutine_threadsafe(comparing, loop).result(30)

    await asyncio.to_thread(check)
    assert harness.taken > TABLES, "requests that nothing takes show little"
