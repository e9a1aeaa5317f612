"""From a committed write to a proxy that has it: snapshot, compile, policy files, push.

Writes that arrive while a push is under way share the next one. Whoever waits gets the outcome of
a round that began after the call, so his write is in it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scopegate.admin.node import PublishResult
from scopegate.app.issuers import IssuerBook
from scopegate.app.policy_files import PolicyFiles
from scopegate.compile.gateway import Compiled
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Snapshot
from scopegate.envoy.ads import AdsServer, PublishOutcome
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.plugins.openid_connect.lower import issuer_requests
from scopegate.store.protocol import Store, StoreUnavailable
from scopegate.telemetry.logging import logger
from scopegate.telemetry.metrics import Metrics

PUSH_LIMIT_S = 5.0
"""How long a write waits for the proxy before it is answered `pending`."""

RETRY_S = 1.0

_ENDING = PublishResult("pending", "control ends; the next one publishes it")

Compile = Callable[[Snapshot, Mapping[str, Mapping[str, Any]]], Compiled]


class Publisher:
    """Publishes the store's content whenever it, or what the outside told us, has changed."""

    def __init__(
        self,
        *,
        store: Store,
        issuers: IssuerBook,
        compile_: Compile,
        files: PolicyFiles,
        ads: AdsServer,
        envoy: EnvoySettings,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._compile = compile_
        self._files = files
        self._ads = ads
        self._envoy = envoy
        self._metrics = metrics
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[PublishResult]] = []
        self._in_round: list[asyncio.Future[PublishResult]] = []
        self._ending = False
        self._compiled: tuple[Finding, ...] = ()
        self._rejected: str | None = None
        self._published = False

    @property
    def is_ready(self) -> bool:
        """Whether the proxy has had a configuration of ours, and none since was lost."""
        return self._published

    def wake(self) -> None:
        """Something changed: publish soon."""
        self._wanted.set()

    async def publish(self) -> PublishResult:
        """Publish what is in the store now, and wait for the proxy."""
        if self._ending:
            return _ENDING
        waiter: asyncio.Future[PublishResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._wanted.set()
        return await waiter

    def end(self) -> None:
        """Let nobody wait any longer: what was written is kept, and published at the next start."""
        self._ending = True
        _tell([*self._in_round, *self._waiting], _ENDING)

    def findings(self) -> Sequence[Finding]:
        """What the operator should know, the proxy's refusal first."""
        rejected = []
        if self._rejected is not None:
            message = f"the proxy refused the configuration and keeps the last: {self._rejected}"
            rejected = [Finding(level="error", code="config_rejected", message=message)]
        return [*rejected, *self._compiled, *self._issuers.findings()]

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._in_round, self._waiting = self._waiting, []
            _tell(self._in_round, await self._round())

    async def _round(self) -> PublishResult:
        began_s = time.perf_counter()
        try:
            snapshot = await self._store.snapshot()
            self._issuers.want(issuer_requests(snapshot.plugins.values()))
            compiled = self._compile(snapshot, self._issuers.facts())
            used = self._files.write(compiled.gateway)
            resources = gateway_resources(compiled.gateway, self._envoy)
        except (StoreUnavailable, OSError) as problem:
            logger().error("configuration not published", detail=str(problem))
            asyncio.get_running_loop().call_later(RETRY_S, self.wake)
            return PublishResult("pending", "the configuration cannot be read or written just now")
        except Exception as problem:  # noqa: BLE001 - told, and the last good one stays
            # A fault of ours in one entity must not end the publishing of all others.
            logger().exception("configuration cannot be compiled", error=type(problem).__name__)
            return PublishResult("rejected", "the configuration cannot be compiled; see the log")
        self._tell_findings(compiled.findings)
        outcome = await self._ads.publish(resources, PUSH_LIMIT_S)
        self._metrics.config_pushed(outcome=outcome.status, seconds=time.perf_counter() - began_s)
        self.note(outcome)
        if outcome.status == "live":
            self._files.sweep(used)
        return PublishResult(outcome.status, outcome.detail or None)

    def note(self, outcome: PublishOutcome) -> None:
        """Remember and tell what the proxy said, also where that came late."""
        if outcome.status == "rejected":
            if self._rejected != outcome.detail:
                logger().error("the proxy refused the configuration", detail=outcome.detail)
            self._rejected = outcome.detail
        elif outcome.status == "live":
            self._rejected = None
            self._published = True

    def _tell_findings(self, findings: tuple[Finding, ...]) -> None:
        """New findings are log lines: once, not at every change."""
        known = set(self._compiled)
        for finding in findings:
            if finding not in known:
                tell = logger().error if finding.level == "error" else logger().warning
                tell(finding.message, finding=finding.code, kind=finding.kind, id=finding.id)
        self._compiled = findings


def _tell(waiting: Sequence[asyncio.Future[PublishResult]], result: PublishResult) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(result)
