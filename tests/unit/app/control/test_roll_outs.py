"""Whatever happens while configurations are handed out: no proxy has routes whose cluster it lacks,
and the next good one goes live.

Real publisher and xDS server, proxies that are only their side of the conversation. Each walk is
another mixture of changes, refusals, deaths and restarts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest
from envoy.service.discovery.v3.discovery_pb2 import Resource

from scopegate.app.control import publisher
from scopegate.envoy.ads import AdsServer
from scopegate.envoy.resources import CLUSTERS, LISTENERS, ROUTES, gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Cluster, Forward, Gateway, Listener, Route, RouteMatch
from support.control import Control
from support.xds_client import XdsClient

SETTINGS = EnvoySettings()
NUMBERS = range(4)


def gateway(number: int) -> Gateway:
    """One route, to a cluster that no other gateway has."""
    cluster = Cluster(f"up-{number}", "127.0.0.1", 1, 1000, 5000)
    forward = Forward(cluster.name, "/", False, None, 5000, 0)
    return Gateway(
        listeners=(Listener("http", "127.0.0.1", 1),),
        routes=(Route("r", RouteMatch(), forward, "id"),),
        clusters=(cluster,),
    )


RESOURCES = [gateway_resources(gateway(number), SETTINGS) for number in NUMBERS]
(TABLE,) = RESOURCES[0].routes
ROUTES_OF = {each.routes[TABLE].version: number for number, each in enumerate(RESOURCES)}


class World:
    """Control, its proxies, and what they refuse: pairs of a kind and a gateway's number."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.refused: set[tuple[str, int]] = set()
        self.taken: set[str] = set()
        self.port_is_taken = False
        self.faults: list[str] = []
        self.done: list[str] = []
        self.socket = folder / "xds"
        self.control = Control(folder, self._start_ads, SETTINGS)
        self.proxies: list[XdsClient] = []
        self.changes: list[asyncio.Task[str]] = []
        # A second proxy that is away while the first one settles is what nobody can know of.
        self.proxies_limit = 1 + seed % 2

    async def _start_ads(self, **more) -> AdsServer:
        ads = AdsServer(keep_clusters_s=0.05, **more)
        self.socket.unlink(missing_ok=True)
        await ads.start(self.socket)
        return ads

    def refuses(self, kind: str, resource: Resource) -> bool:
        if kind == LISTENERS:
            return self.port_is_taken
        if kind == CLUSTERS:
            # What one Envoy has taken the next one takes, too: its content is the same.
            number = int(resource.name.removeprefix("up-"))
            return resource.name not in self.taken and (kind, number) in self.refused
        return (kind, ROUTES_OF[resource.version]) in self.refused

    def look_at(self, proxy: XdsClient) -> None:
        """Whether the proxy has the cluster that its routes name."""
        self.taken |= proxy.has[CLUSTERS].keys()
        version = proxy.has[ROUTES].get(TABLE)
        if version is not None and f"up-{ROUTES_OF[version]}" not in proxy.has[CLUSTERS]:
            self.faults.append(f"up-{ROUTES_OF[version]} of {proxy.has[CLUSTERS]}: {self.done}")

    def add_proxy(self) -> None:
        proxy = XdsClient(self.random, self.refuses, self.look_at)
        proxy.connect(self.socket, [TABLE])
        self.proxies.append(proxy)

    async def kill_proxy(self) -> None:
        if self.proxies:
            await self.proxies.pop(self.random.randrange(len(self.proxies))).kill()

    async def step(self) -> None:
        what = self.random.choices(
            ["change", "refuse", "port", "proxy", "death", "restart"], [8, 4, 1, 1, 1, 1]
        )[0]
        number = self.random.choice(NUMBERS)
        self.done.append(f"{what} {number}")
        match what:
            case "change":
                waits = self.random.random() < 0.5
                change = asyncio.create_task(self.control.change(gateway(number)))
                self.changes.append(change)
                await asyncio.wait({change}, timeout=1 if waits else self.random.random() * 0.02)
            case "refuse":
                kind = self.random.choice([CLUSTERS, ROUTES])
                self.refused ^= {(kind, number)}
            case "port":
                self.port_is_taken = not self.port_is_taken
            case "proxy" if len(self.proxies) < self.proxies_limit:
                self.add_proxy()
            case "death":
                await self.kill_proxy()
                await asyncio.sleep(self.random.random() * 0.02)
                self.add_proxy()
            case "restart" if self.proxies_limit == 1:
                await self.control.end()
                await self.control.start()


@pytest.fixture
async def worlds(tmp_path: Path) -> AsyncIterator[Callable[[int], World]]:
    """Makes one; ended when the test is."""
    made: list[World] = []

    def make(seed: int) -> World:
        made.append(World(tmp_path, seed))
        return made[-1]

    yield make
    for world in made:
        for change in world.changes:
            change.cancel()
        for proxy in world.proxies:
            await proxy.kill()
        await world.control.end()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
async def test_a_walk(
    worlds: Callable[[int], World], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(publisher, "PUSH_LIMIT_S", 0.3)
    world = worlds(seed)
    await world.control.start()
    world.add_proxy()
    assert await goes_live(world, 0)
    for _ in range(30):
        await world.step()
    world.refused.clear()
    world.port_is_taken = False
    assert await goes_live(world, 3), world.done
    assert world.faults == []
    own = {name: each.version for name, each in RESOURCES[3].routes.items()}
    assert all(proxy.has[ROUTES] == own for proxy in world.proxies if proxy.has[ROUTES])


async def goes_live(world: World, number: int) -> bool:
    """A write every now and then, as operators do."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(5):
            while await world.control.change(gateway(number)) != "live":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            return True
    return False
