"""Waiting for clusters to warm."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from scopegate.envoy.ads import AdsServer
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.envoy.warming import until_warm
from scopegate.ir.gateway import Cluster, Forward, Gateway, Route, RouteMatch
from support.envoy_process import running_envoy


@asynccontextmanager
async def admin(cold_for_s: float, status: int = 200) -> AsyncIterator[Path]:
    """An admin interface of an Envoy whose clusters are cold for so long."""
    warm_at = time.monotonic() + cold_for_s

    async def stats(request: web.Request) -> web.Response:
        assert request.query["filter"] == "^cluster_manager.warming_clusters$"
        cold = int(time.monotonic() < warm_at)
        return web.Response(text=f"cluster_manager.warming_clusters: {cold}\n", status=status)

    app = web.Application()
    app.router.add_get("/stats", stats)
    runner = web.AppRunner(app)
    await runner.setup()
    with tempfile.TemporaryDirectory(prefix="sg-") as folder:
        path = Path(folder) / "admin.sock"
        await web.UnixSite(runner, str(path)).start()
        try:
            yield path
        finally:
            await runner.cleanup()


async def test_it_waits_until_they_are_warm():
    async with admin(cold_for_s=0.15) as path:
        began = time.monotonic()
        assert await until_warm(path, 2)
        assert 0.1 < time.monotonic() - began < 1


async def test_it_does_not_wait_for_ever():
    async with admin(cold_for_s=60) as path:
        assert not await until_warm(path, 0.1)


async def test_an_envoy_that_does_not_say_is_not_waited_for(tmp_path: Path):
    assert not await until_warm(tmp_path / "nothing.sock", 1)
    async with admin(cold_for_s=0, status=500) as path:
        assert not await until_warm(path, 1)


async def test_routes_wait_for_the_clusters_that_they_use():
    cluster = Cluster("c", "127.0.0.1", 1, 1000, 1000)
    route = Route("r", RouteMatch(), Forward("c", "/", False, None, 1, 0), "id")
    settings = EnvoySettings()
    async with running_envoy() as envoy, admin(cold_for_s=0.5) as path:
        await envoy.ads.stop()
        envoy.ads = AdsServer(admin_socket=path)
        await envoy.ads.start(envoy.xds_socket)
        gateway = Gateway(routes=(route,), clusters=(cluster,))
        publishing = asyncio.create_task(envoy.ads.publish(gateway_resources(gateway, settings), 5))
        done, _ = await asyncio.wait({publishing}, timeout=0.3)
        assert not done
        assert (await publishing).status == "live"
        began = time.monotonic()
        assert (await envoy.ads.publish(gateway_resources(gateway, settings), 5)).status == "live"
        assert time.monotonic() - began < 0.2, "nothing new to warm"
