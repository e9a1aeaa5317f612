"""An Envoy that is nothing but its side of the xDS conversation, and may refuse resources.

It takes resources one by one, as Envoy does, in an order of its own, and all but those that it
refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    Resource,
)
from google.rpc.status_pb2 import Status

from scopegate.envoy.resources import CLUSTERS, LISTENERS, ROUTES

Refuses = Callable[[str, Resource], bool]
"""By type URL and resource."""


class XdsClient:
    """One process. `has`: versions by name, by type URL; `looked_at` at each that comes or goes."""

    def __init__(
        self, random: Random, refuses: Refuses, looked_at: Callable[[XdsClient], None]
    ) -> None:
        self.has: dict[str, dict[str, str]] = {kind: {} for kind in (CLUSTERS, LISTENERS, ROUTES)}
        self._random, self._refuses, self._looked_at = random, refuses, looked_at
        self._task: asyncio.Task[None] | None = None

    def connect(self, socket_path: Path, tables: list[str]) -> None:
        """Talk to control there, and to the next one, until `kill`."""
        self._task = asyncio.create_task(self._talk_on(socket_path, tables))

    async def kill(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _talk_on(self, path: Path, tables: list[str]) -> None:
        while True:
            with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
                async with grpc.aio.insecure_channel(f"unix:{path}") as channel:
                    await self._talk(channel, {ROUTES: tables})
            await asyncio.sleep(0.01)

    async def _talk(self, channel: grpc.aio.Channel, names: dict[str, list[str]]) -> None:
        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()

        async def subscribe(*kinds: str) -> None:
            for kind in kinds:
                await call.write(
                    DeltaDiscoveryRequest(
                        type_url=kind,
                        resource_names_subscribe=names.get(kind, []),
                        initial_resource_versions=self.has[kind],
                    )
                )

        waiting = not self.has[LISTENERS]
        await subscribe(CLUSTERS, LISTENERS, *(() if waiting else (ROUTES,)))
        async for response in call:
            await asyncio.sleep(self._random.random() * 0.003)
            await call.write(self._take(response))
            if waiting and self.has[LISTENERS]:
                waiting = False
                await subscribe(ROUTES)

    def _take(self, response: DeltaDiscoveryResponse) -> DeltaDiscoveryRequest:
        kind, has = response.type_url, self.has[response.type_url]
        answer = DeltaDiscoveryRequest(type_url=kind, response_nonce=response.nonce)
        refused = [each for each in response.resources if self._refuses(kind, each)]
        if refused:
            answer.error_detail.CopyFrom(Status(code=3, message=f"no {refused[0].name}"))
        for each in self._random.sample(list(response.resources), len(response.resources)):
            if each not in refused:
                has[each.name] = each.version
                self._looked_at(self)
        if not refused:
            for name in response.removed_resources:
                has.pop(name, None)
                self._looked_at(self)
        return answer
