"""A real Envoy for each module, with an upstream and a scriptable policy service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from scopegate.ir.gateway import (
    Cluster,
    Forward,
    Gateway,
    Listener,
    PathMatch,
    Route,
    RouteMatch,
)
from support.envoy_process import RunningEnvoy, running_envoy
from support.policy_double import PolicyDouble, allow, running_policy
from support.ports import free_port
from support.raw_http import RawConnection, Reply, ask
from support.upstream import Upstream, running_upstream

POLICY_ID = "0123456789abcdef0123456789abcdef"


@dataclass
class Node:
    """What a test talks to. `plain` is the port of the plain-text listener."""

    envoy: RunningEnvoy
    policy: PolicyDouble
    upstream: Upstream
    plain: int = field(default_factory=free_port)

    @property
    def listener(self) -> Listener:
        return Listener("http", "127.0.0.1", self.plain)

    @property
    def cluster(self) -> Cluster:
        return Cluster("up-1", "127.0.0.1", self.upstream.port, 1000, 5000)

    def route(self, path: str | None = "/", **fields) -> Route:
        """A route of the upstream; `strip_path`, `base_path` … go to its action."""
        names = Forward.__dataclass_fields__
        forward = {name: fields.pop(name) for name in list(fields) if name in names}
        action = replace(
            Forward("up-1", "/", False, None, read_timeout_ms=5000, retries=0), **forward
        )
        match = RouteMatch(path=None if path is None else PathMatch("prefix", path))
        defaults = {"key": f"{path}-{len(fields)}", "match": match, "action": action}
        return Route(**{**defaults, "route_id": "route-id", **fields})

    def protected(self, path: str | None = "/", **fields) -> Route:
        return self.route(path, policy_id=POLICY_ID, **fields)

    async def serve(self, *routes: Route, **fields) -> None:
        """Publish these routes; Envoy and the doubles forget what was before."""
        defaults = {"listeners": (self.listener,), "clusters": (self.cluster,)}
        await self.envoy.must_publish(Gateway(routes=routes, **{**defaults, **fields}))
        self.forget()

    def forget(self) -> None:
        self.policy.decide = lambda asked: allow()
        self.policy.asked.clear()
        self.upstream.received.clear()
        self.upstream.response_headers = []

    async def ask(self, target: str | bytes, **more) -> Reply:
        return await ask(self.plain, target, **more)

    async def connect(self) -> RawConnection:
        return await RawConnection.open(self.plain)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(request: pytest.FixtureRequest) -> AsyncIterator[Node]:
    """A node; a module may set ENVOY, the fields of its RunningEnvoy."""
    fields = getattr(request.module, "ENVOY", {})
    async with AsyncExitStack() as stack:
        envoy = await stack.enter_async_context(running_envoy(**fields))
        policy = await stack.enter_async_context(running_policy(envoy.policy_socket))
        upstream = await stack.enter_async_context(running_upstream())
        yield Node(envoy, policy, upstream)
