"""Under load: writes and killed processes cost nothing, and a killed Envoy is back at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
import websockets

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import DemoIdp
from support.gateway import Gateway, running_gateway
from support.h2_client import H2Connection
from support.raw_http import Headers, RawConnection

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

CLIENTS = 50
PAUSE_S = 0.3
WRITES = 200


@dataclass
class Site:
    """A gateway with an open route, a protected one, one for WebSockets and one for streams."""

    gateway: Gateway
    echo: EchoUpstream
    bearer: Headers
    service_id: str
    plugin_path: str

    def started(self, child: str) -> list[int]:
        """All processes that this child has been, the living one last."""
        lines = self.gateway.log_lines()
        return [
            line["pid"]
            for line in lines
            if line["event"] == "process started" and line["child"] == child
        ]

    async def kill(self, child: str) -> None:
        """kill -9, and wait for the next one to have been started."""
        before = self.started(child)
        os.kill(before[-1], signal.SIGKILL)
        async with asyncio.timeout(15):
            while self.started(child) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("gateway")
    async with DemoIdp() as idp, EchoUpstream() as echo, running_gateway(folder) as gateway:
        opened = await gateway.add_route("/open", f"{echo.url}/anything")
        await gateway.add_route("/ws", f"{echo.url}/ws")
        await gateway.add_route("/stream", f"{echo.url}/stream")
        config = {
            "issuer": idp.issuer,
            "client_id": ["blog_post"],
            "client_secret": ["blog_post_secret"],
            "auth_methods": ["bearer"],
            "scopes_required": ["kong_api_access"],
        }
        route = await gateway.add_route(
            "/closed", f"{echo.url}/anything", {"openid-connect": config}
        )
        (plugin,) = (await gateway.call_admin("GET", f"/routes/{route['id']}/plugins"))["data"]
        bearer = [("Authorization", f"Bearer {idp.access_token('Blog_with_scope')}")]
        await gateway.until(200, "/closed", headers=bearer)
        assert (await gateway.ask("/closed")).status == 401, "it is protected"
        yield Site(gateway, echo, bearer, opened["service"]["id"], f"/plugins/{plugin['id']}")


@dataclass
class Load:
    """Clients that ask in turn for the open and the protected route, each on its own connection.

    connections   how many were opened; a lost one is opened anew
    faults        what went wrong: a status other than 200, or a connection that ended
    """

    site: Site
    connections: int = 0
    answers: int = 0
    faults: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def client(self, number: int) -> None:
        await asyncio.sleep(PAUSE_S * number / CLIENTS)
        turn = number
        while not self.over.is_set():
            try:
                connection = await RawConnection.open(self.site.gateway.proxy)
                self.connections += 1
                with contextlib.closing(connection):
                    while not self.over.is_set():
                        turn += 1
                        await self.ask(connection, protected=turn % 2 == 0)
                        await asyncio.sleep(PAUSE_S)
            except (OSError, EOFError, TimeoutError) as error:
                self.faults.append(repr(error))
                await asyncio.sleep(PAUSE_S)

    async def ask(self, connection: RawConnection, *, protected: bool) -> None:
        target = "/closed" if protected else "/open"
        async with asyncio.timeout(10):
            reply = await connection.ask(target, headers=self.site.bearer if protected else None)
        self.answers += 1
        if reply.status != 200:
            self.faults.append(f"{target}: {reply.status} {reply.body[:300]!r}")

    def must_be_unharmed(self, during: str) -> None:
        assert not self.faults, f"{during}: {len(self.faults)} faults, {self.faults[:3]}"
        assert self.connections == CLIENTS, f"{during}: connections were opened anew"


@contextlib.asynccontextmanager
async def running_load(site: Site) -> AsyncIterator[Load]:
    load = Load(site)
    async with asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(load.client(number))
        try:
            while load.answers < 2 * CLIENTS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            yield load
        finally:
            load.over.set()


@dataclass
class Lasting:
    """What stays open all the while: a WebSocket and a stream of an HTTP/2 connection."""

    websocket: websockets.ClientConnection
    h2: H2Connection
    stream: int

    async def must_live(self, during: str) -> None:
        async with asyncio.timeout(5):
            await self.websocket.send(during)
            assert await self.websocket.recv() == during
            reply = self.h2.replies[self.stream]
            before = len(reply.body)
            while len(reply.body) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert reply.status == 200
        assert not reply.is_over
        assert not self.h2.is_closed
        assert (await self.h2.ask("/open")).status == 200


@contextlib.asynccontextmanager
async def lasting_connections(site: Site) -> AsyncIterator[Lasting]:
    proxy = site.gateway.proxy
    h2 = await H2Connection.open(proxy)
    try:
        stream = await h2.send("/stream?interval_s=0.1")
        async with websockets.connect(f"ws://127.0.0.1:{proxy}/ws", ping_interval=None) as socket:
            yield Lasting(socket, h2, stream)
    finally:
        h2.close()


async def write(session: aiohttp.ClientSession, method: str, path: str, document=None) -> None:
    async with session.request(method, path, json=document) as answer:
        assert answer.status < 300, await answer.text()
        assert answer.headers["X-Scopegate-Config"] == "live"


async def change_everything(site: Site, session: aiohttp.ClientSession, number: int) -> None:
    """In turn: a new service, a new route, other headers of the plugin, both changed, one gone."""
    kind = number % 5
    name = f"extra-{number // 5}"
    if kind == 0:
        url = {"name": name, "url": f"{site.echo.url}/anything"}
        await write(session, "PUT", f"/services/{name}", url)
    elif kind == 1:
        route = {"name": name, "paths": [f"/{name}"]}
        await write(session, "POST", f"/services/{name}/routes", route)
        assert (await site.gateway.ask(f"/{name}")).status == 200
    elif kind == 2:
        headers = {"upstream_headers_claims": ["sub"], "upstream_headers_names": [f"x-{name}"]}
        await write(session, "PATCH", site.plugin_path, {"config": headers})
        await site.gateway.ask("/closed", headers=site.bearer)
        sent = [seen.header(f"x-{name}") for seen in site.echo.seen]
        assert any(sent), "the plugin's new header reaches the upstream"
    elif kind == 3:
        timeout = {"read_timeout": 50_000 + number}
        await write(session, "PATCH", f"/services/{site.service_id}", timeout)
        await write(session, "PATCH", f"/routes/{name}", {"paths": [f"/{name}", f"/{name}-2"]})
    else:
        await write(session, "DELETE", f"/routes/{name}")
        assert (await site.gateway.ask(f"/{name}")).status == 404


async def test_writes_and_killed_processes_cost_no_request_and_no_connection(site: Site) -> None:
    admin = f"http://127.0.0.1:{site.gateway.admin}"
    async with running_load(site) as load, lasting_connections(site) as lasting:
        await lasting.must_live("before")
        async with aiohttp.ClientSession(admin) as session:
            for number in range(WRITES):
                await change_everything(site, session, number)
        await lasting.must_live("writes")
        load.must_be_unharmed("writes")

        for worker in ("policy-0", "policy-1", "policy-0"):
            await site.kill(worker)
            await asyncio.sleep(1.5)
            load.must_be_unharmed(f"kill -9 of {worker}")
        await lasting.must_live("a worker killed")

        await site.kill("control")
        # The listening socket outlives control: a write that comes meanwhile waits for the next.
        async with aiohttp.ClientSession(admin) as session:
            await write(session, "PUT", "/services/after", {"url": f"{site.echo.url}/anything"})
        await lasting.must_live("control killed")
        load.must_be_unharmed("kill -9 of control")


async def test_a_killed_envoy_is_back_within_two_seconds(site: Site) -> None:
    async with running_load(site):
        (*_, envoy) = site.started("envoy")
        os.kill(envoy, signal.SIGKILL)
        killed_s = time.monotonic()
        for target, headers in (("/open", None), ("/closed", site.bearer)):
            while not await is_served(site, target, headers):
                assert time.monotonic() - killed_s < 2, f"{target} is not back"
                await asyncio.sleep(0.02)
        assert time.monotonic() - killed_s < 2
    assert site.started("envoy")[-1] != envoy


async def is_served(site: Site, target: str, headers: Headers | None) -> bool:
    try:
        return (await site.gateway.ask(target, headers=headers)).status == 200
    except (OSError, EOFError):
        return False


async def test_an_answered_write_survives_the_kill_of_control(site: Site) -> None:
    answered: list[str] = []
    killed = asyncio.Event()

    async def write_on(session: aiohttp.ClientSession) -> None:
        # The write that control dies over may have been stored or not: nobody was told.
        with contextlib.suppress(aiohttp.ClientError):
            while not killed.is_set():
                name = f"kept-{len(answered)}"
                service = {"name": name, "host": "kept.example"}
                async with session.post("/services", json=service) as answer:
                    assert answer.status == 201
                    answered.append(name)

    async with aiohttp.ClientSession(f"http://127.0.0.1:{site.gateway.admin}") as session:
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(write_on(session))
            while len(answered) < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await site.kill("control")
            killed.set()
        assert len(answered) >= 20
        for name in answered:
            assert (await site.gateway.ask_admin("GET", f"/services/{name}"))[0] == 200, name
