"""The xDS server: hands resources to Envoy in an order that breaks nothing, and knows its answer.

New clusters come first, then listeners and routes; old clusters go last, after a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import grpc
from envoy.service.discovery.v3 import ads_pb2_grpc
from envoy.service.discovery.v3 import discovery_pb2 as discovery

from scopegate.envoy.ads_stream import AdsStream
from scopegate.envoy.resources import CLUSTERS, LISTENERS, ROUTES, Resources, ResourceSet
from scopegate.envoy.warming import until_warm

ORDER = (CLUSTERS, LISTENERS, ROUTES)
_KINDS = dict(zip(ORDER, ("clusters", "listeners", "routes"), strict=True))

KEEP_CLUSTERS_S = 60.0
"""How long a cluster that no route needs stays: requests that began before still use it."""

STOP_S = 0.5
"""How long ending a conversation may take."""

WARM_LIMIT_S = 2.0
"""How long routes wait for the names of new clusters to resolve."""


@dataclass(frozen=True, slots=True)
class PublishOutcome:
    """What became of a configuration.

    live      every connected Envoy has it
    pending   not yet: none is connected, or it has not answered; it gets it as soon as it can
    rejected  Envoy said no (`detail` is what it said); the last good configuration stays

    kept   whether there is a last good configuration that Envoy is served instead
    """

    status: Literal["live", "pending", "rejected"]
    detail: str = ""
    kept: bool = False


class _Refused(Exception):
    """An Envoy said no; the text is what it said."""


class _Connection:
    """An Envoy on the line."""

    def __init__(self) -> None:
        self.stream = AdsStream()
        self.has_work = asyncio.Event()


class AdsServer:
    """Serves one configuration to all Envoys that connect to a Unix socket.

    admin_socket    Envoy's admin interface, to see new clusters warm before routes use them
    on_outcome      told of every outcome, also of those that come after `publish` has answered,
                    and of what an Envoy refuses that connects later
    last_good       what an earlier control knows to be good; only for the same listeners. It is
                    handed out first: an Envoy that is new, too, then never stands there with
                    nothing but what it refused
    """

    def __init__(
        self,
        *,
        admin_socket: Path | None = None,
        keep_clusters_s: float = KEEP_CLUSTERS_S,
        on_outcome: Callable[[PublishOutcome], None] | None = None,
        last_good: Resources | None = None,
    ) -> None:
        self._admin_socket = admin_socket
        self._keep_clusters_s = keep_clusters_s
        self._on_outcome = on_outcome
        self._served: dict[str, ResourceSet] = {}
        self._named_clusters: ResourceSet = {}  # by the routes that are served
        self._good = last_good
        self._has_inherited = last_good is not None
        self._connections: set[_Connection] = set()
        self._changed = asyncio.Condition()
        self._kept_until_s: dict[str, float] = {}
        self._roll_out: asyncio.Task[PublishOutcome] | None = None
        self._sweeps: set[asyncio.TimerHandle] = set()
        self._server: Any = None
        self._stopping = False

    @property
    def connected(self) -> int:
        """How many Envoys are on the line."""
        return len(self._connections)

    async def start(self, socket_path: Path) -> None:
        """Listen. Raises OSError when the socket cannot be made."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ]
        )
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(
            _Servicer(self._converse), self._server
        )
        try:
            self._server.add_insecure_port(f"unix:{socket_path}")
        except RuntimeError as error:
            raise OSError(f"{socket_path}: {error}") from None
        await self._server.start()
        socket_path.chmod(0o600)  # noqa: ASYNC240 (no I/O that could wait)

    async def stop(self) -> None:
        """Hang up. Envoys keep what they have and try to come back."""
        self._cancel()
        for sweep in self._sweeps:
            sweep.cancel()
        self._stopping = True
        for connection in self._connections:
            connection.has_work.set()
        if self._server is not None:
            await self._server.stop(grace=STOP_S)

    async def publish(self, resources: Resources, timeout_s: float) -> PublishOutcome:
        """Hand out this configuration in place of the last, and wait for Envoy's answer.

        After `timeout_s` the answer is `pending`, and the roll-out goes on. A later call takes the
        place of an earlier one that is still under way.
        """
        self._cancel()
        self._roll_out = roll_out = asyncio.create_task(self._run(resources))
        done, _ = await asyncio.wait({roll_out}, timeout=timeout_s)
        if not done:
            why = "has not answered yet" if self._connections else "is not connected"
            return PublishOutcome("pending", f"the proxy {why}")
        if roll_out.cancelled():
            return PublishOutcome("pending", "a newer configuration took its place")
        return roll_out.result()

    def _cancel(self) -> None:
        """End the roll-out that is under way: another configuration counts now, or none."""
        if self._roll_out is not None:
            self._roll_out.cancel()

    async def _run(self, resources: Resources) -> PublishOutcome:
        # Other listeners mean other settings: what was good for those is not served on these.
        good = self._good
        if good is not None and good.listeners != resources.listeners:
            good = None
        try:
            if good is not None and self._has_inherited:
                with contextlib.suppress(_Refused):  # an Envoy of another version may
                    await self._hand_out(good)
            await self._hand_out(resources)
        except _Refused as refusal:
            if good is not None:
                self._put_back(good)
            outcome = PublishOutcome("rejected", str(refusal), kept=good is not None)
        else:
            self._good = resources
            outcome = PublishOutcome("live")
        self._has_inherited = False
        if self._on_outcome is not None:
            self._on_outcome(outcome)
        return outcome

    def _put_back(self, resources: Resources) -> None:
        """Serve what was good again."""
        self._named_clusters = resources.clusters
        self._forget_refusals()  # what came together with one bad resource may be good
        for type_url in ORDER:
            self._serve(type_url, resources.of_kind(type_url))

    async def _hand_out(self, resources: Resources) -> None:
        self._forget_refusals()
        before = self._served.get(CLUSTERS, {}).keys()
        # An Envoy that comes meanwhile gets the old routes, and needs the clusters that they name.
        await self._offer(CLUSTERS, {**self._named_clusters, **resources.clusters})
        if resources.clusters.keys() - before:
            await self._until_warm()
        await self._offer(LISTENERS, resources.listeners)
        self._named_clusters = resources.clusters
        await self._offer(ROUTES, resources.routes)
        self._serve(CLUSTERS, resources.clusters)
        needed = ORDER if resources.listeners else (CLUSTERS, LISTENERS)
        for type_url in needed:
            await self._until(type_url, resources.of_kind(type_url), must_subscribe=True)

    async def _offer(self, type_url: str, target: ResourceSet) -> None:
        self._serve(type_url, target)
        # A first-time Envoy asks for routes only once it knows its listeners.
        await self._until(type_url, target, must_subscribe=False)

    def _forget_refusals(self) -> None:
        for connection in self._connections:
            connection.stream.forget_refusals()

    async def _until_warm(self) -> None:
        if self._admin_socket is not None and self._connections:
            await until_warm(self._admin_socket, WARM_LIMIT_S)

    def _serve(self, type_url: str, target: ResourceSet) -> None:
        if type_url == CLUSTERS:
            self._keep(self._served.get(CLUSTERS, {}).keys() - target.keys())
        self._served[type_url] = target
        for connection in self._connections:
            connection.has_work.set()

    def _keep(self, names: Set[str]) -> None:
        """Let Envoy hold these clusters for a while, then take them away."""
        until_s = time.monotonic() + self._keep_clusters_s
        for name in names:
            self._kept_until_s[name] = until_s

        def sweep() -> None:
            self._sweeps.discard(handle)
            for connection in self._connections:
                connection.has_work.set()

        if names:
            loop = asyncio.get_running_loop()
            handle = loop.call_later(self._keep_clusters_s + 0.01, sweep)
            self._sweeps.add(handle)

    def _kept(self) -> frozenset[str]:
        now_s = time.monotonic()
        for name in [name for name, until_s in self._kept_until_s.items() if until_s <= now_s]:
            del self._kept_until_s[name]
        return frozenset(self._kept_until_s)

    async def _until(self, type_url: str, target: ResourceSet, *, must_subscribe: bool) -> None:
        """Wait until every Envoy has it, and there is one. Raises _Refused."""

        def is_settled() -> bool:
            return bool(self._connections) and all(
                _settled(connection.stream, type_url, target, must_subscribe)
                for connection in self._connections
            )

        async with self._changed:
            await self._changed.wait_for(is_settled)

    async def _tell_waiters(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _converse(
        self, requests: AsyncIterator[discovery.DeltaDiscoveryRequest]
    ) -> AsyncGenerator[discovery.DeltaDiscoveryResponse]:
        connection = _Connection()
        self._connections.add(connection)
        listening = asyncio.create_task(self._listen(connection, requests))
        try:
            while True:
                await connection.has_work.wait()
                if self._stopping or listening.done():
                    return
                connection.has_work.clear()
                for type_url in ORDER:
                    target = self._served.get(type_url)
                    if target is None:
                        continue
                    keep = self._kept() if type_url == CLUSTERS else frozenset()
                    response = connection.stream.response(type_url, target, keep)
                    if response is not None:
                        yield response
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
                await listening
            self._connections.discard(connection)
            await self._tell_waiters()

    async def _listen(
        self, connection: _Connection, requests: AsyncIterator[discovery.DeltaDiscoveryRequest]
    ) -> None:
        try:
            async for request in requests:
                first = not connection.stream.subscribed(request.type_url)
                connection.stream.receive(request)
                if first and request.type_url == CLUSTERS:
                    # What it holds from before we were here may still be in use.
                    served = self._served.get(CLUSTERS, {})
                    self._keep(connection.stream.held(CLUSTERS) - served.keys())
                connection.has_work.set()
                await self._tell_waiters()
                if request.HasField("error_detail"):
                    self._tell_late_refusal(connection, request.type_url)
        finally:
            connection.has_work.set()

    def _tell_late_refusal(self, connection: _Connection, type_url: str) -> None:
        """An Envoy that was started again may refuse what the one before it took."""
        if self._on_outcome is None or (self._roll_out is not None and not self._roll_out.done()):
            return  # nobody to tell, or the roll-out sees it itself
        fault = connection.stream.fault(type_url, self._served.get(type_url, {}))
        if fault is not None:
            self._on_outcome(PublishOutcome("rejected", f"{_KINDS[type_url]}: {fault}"))


def _settled(stream: AdsStream, type_url: str, target: ResourceSet, must_subscribe: bool) -> bool:
    fault = stream.fault(type_url, target)
    if fault is not None:
        raise _Refused(f"{_KINDS[type_url]}: {fault}")
    if not stream.subscribed(type_url):
        return not must_subscribe
    return stream.accepted(type_url, target)


class _Servicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """The gRPC service; only the incremental variant is served."""

    def __init__(
        self,
        converse: Callable[
            [AsyncIterator[discovery.DeltaDiscoveryRequest]],
            AsyncGenerator[discovery.DeltaDiscoveryResponse],
        ],
    ) -> None:
        self._converse = converse

    async def DeltaAggregatedResources(  # noqa: N802 (gRPC's name)
        self, request_iterator: AsyncIterator[discovery.DeltaDiscoveryRequest], context: Any
    ) -> AsyncIterator[discovery.DeltaDiscoveryResponse]:
        async with contextlib.aclosing(self._converse(request_iterator)) as responses:
            async for response in responses:
                yield response
