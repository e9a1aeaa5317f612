"""From a committed write to a proxy that has it: snapshot, compile, policy files, push.

Writes that arrive while a push is under way share the next one. Whoever waits gets the outcome of
a round that began after the call, so his write is in it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scopegate.admin.node import PublishResult
from scopegate.app.control.config_refusal import ProxyRefusal, explain
from scopegate.app.control.issuer_book import IssuerBook
from scopegate.app.control.last_good import LastGood
from scopegate.app.control.policy_files import PolicyFiles
from scopegate.app.reasons import ControlFinding
from scopegate.compile.gateway import Compiled, CompileMemo
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Snapshot
from scopegate.envoy.ads import AdsServer, PublishOutcome
from scopegate.envoy.resources import ResourceMemo, Resources, gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Gateway
from scopegate.plugins.built import BuiltPlugin, issuer_requests
from scopegate.store.protocol import Store, StoreUnavailable
from scopegate.telemetry.logging import logger
from scopegate.telemetry.metrics import Metrics

PUSH_LIMIT_S = 5.0
"""How long a write waits for the proxy before it is answered `pending`."""

CROWD, CROWD_PATIENCE_S = 4, 0.1
"""While more writes than this wait at once, or came since, a write waits no longer than so, and is
answered `pending`: who loads thousands of routes does not wait for each of them (ADR 39)."""

RETRY_S = 1.0

_ENDING = PublishResult("pending", "control ends; the next one publishes it")
_CROWDED = PublishResult("pending", "many writes at once; the proxy gets them together")

Compile = Callable[[Snapshot, Mapping[str, Mapping[str, Any]], CompileMemo], Compiled]


@dataclass(frozen=True, slots=True)
class _Published:
    """A configuration on both sides of the second compiler pass.

    began_s   when its round began
    changes   how many changes there had been by then: all of them are in it
    """

    gateway: Gateway
    resources: Resources
    began_s: float
    changes: int


class Publisher:
    """Publishes the store's content whenever it, or what the outside told us, has changed."""

    def __init__(
        self,
        *,
        store: Store,
        issuers: IssuerBook,
        plugins: Sequence[BuiltPlugin],
        compile_: Compile,
        files: PolicyFiles,
        last_good: LastGood,
        ads: AdsServer,
        envoy: EnvoySettings,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._plugins = plugins
        self._compile = compile_
        self._files = files
        self._last_good = last_good
        self._ads = ads
        self._envoy = envoy
        self._metrics = metrics
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[PublishResult]] = []
        self._in_round: list[asyncio.Future[PublishResult]] = []
        self._callers = 0
        self._came = 0
        self._changes = 0
        self._retry: asyncio.TimerHandle | None = None
        self._ending = False
        self._compiled: tuple[Finding, ...] = ()
        self._sent: _Published | None = None
        self._good: _Published | None = None
        self._refusal: ProxyRefusal | None = None
        self._fault: ProxyRefusal | None = None
        self._serves = False
        self._memos = CompileMemo(), ResourceMemo()

    @property
    def is_ready(self) -> bool:
        """Whether a proxy is there and has a configuration of ours, if only the last good one."""
        return self._serves and self._ads.connected > 0

    @property
    def state(self) -> Literal["live", "pending", "rejected"]:
        """Whether the proxy has what the store has; see PublishResult."""
        if self._refusal is not None or self._fault is not None:
            return "rejected"
        has_all = self._good is not None and self._good.changes == self._changes
        return "live" if has_all else "pending"

    def wake(self) -> None:
        """Something changed: publish soon."""
        self._changes += 1
        self._wanted.set()

    async def publish(self) -> PublishResult:
        """Publish what is in the store now, and wait for the proxy; not long in a crowd."""
        if self._ending:
            return _ENDING
        waiter: asyncio.Future[PublishResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self.wake()
        self._callers += 1
        self._came += 1
        number = self._came
        try:
            while not waiter.done():
                await asyncio.wait({waiter}, timeout=CROWD_PATIENCE_S)
                in_sight = max(self._callers, self._came - number)
                if not waiter.done() and in_sight > CROWD:
                    return _CROWDED
            return waiter.result()
        finally:
            self._callers -= 1

    def end(self) -> None:
        """Let nobody wait any longer: what was written is kept, and published at the next start."""
        self._ending = True
        _tell([*self._in_round, *self._waiting], _ENDING)

    def findings(self) -> Sequence[Finding]:
        """What the operator should know, the proxy's refusal first."""
        rejected = [_finding(each) for each in (self._fault, self._refusal) if each is not None]
        return [*rejected, *self._compiled, *self._issuers.findings()]

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._in_round, self._waiting = self._waiting, []
            _tell(self._in_round, await self._round())

    async def _round(self) -> PublishResult:
        began_s, changes = time.perf_counter(), self._changes
        try:
            snapshot = await self._store.snapshot()
            self._issuers.want(issuer_requests(snapshot.plugins.values(), self._plugins))
            compiling, telling = self._memos
            facts = self._issuers.facts()
            # Beside the event loop, which answers other writes meanwhile; one round at a time.
            compiled = await asyncio.to_thread(self._compile, snapshot, facts, compiling)
            used = self._files.write(compiled.gateway)
            resources = await asyncio.to_thread(
                gateway_resources, compiled.gateway, self._envoy, telling
            )
        except (StoreUnavailable, OSError) as problem:
            logger().error("configuration not published", detail=str(problem))
            self._try_again_soon()
            return PublishResult("pending", "the configuration cannot be read or written just now")
        except Exception as problem:  # noqa: BLE001 - told, and the last good one stays
            # A fault of ours in one entity must not end the publishing of all others.
            self._memos = CompileMemo(), ResourceMemo()
            logger().exception("configuration cannot be compiled", error=type(problem).__name__)
            self._fault = ProxyRefusal("it cannot be compiled; the log has the fault")
            return PublishResult("rejected", str(self._fault))
        self._fault = None
        self._tell_findings(compiled.findings)
        self._sent = _Published(compiled.gateway, resources, began_s, changes)
        outcome = await self._ads.publish(resources, PUSH_LIMIT_S)
        self._metrics.config_pushed(outcome=outcome.status, seconds=time.perf_counter() - began_s)
        if outcome.status == "pending":
            logger().warning("configuration is not live yet", why=outcome.detail)
        if outcome.status == "live":
            self._sweep(used)
        if outcome.status == "rejected" and self._refusal is not None:
            return PublishResult("rejected", str(self._refusal))
        return PublishResult(outcome.status, outcome.detail or None)

    def _try_again_soon(self) -> None:
        """The same once more; one timer, however many rounds fail meanwhile."""

        def again() -> None:
            self._retry = None
            self._wanted.set()

        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, again)

    def _sweep(self, used: frozenset[str]) -> None:
        try:
            self._files.sweep(used)
        except OSError as problem:
            # What is left over is named by nothing, and the next round tries again.
            logger().warning("policy files not removed", detail=str(problem))

    def note(self, outcome: PublishOutcome) -> None:
        """Remember and tell what the proxy said of what was last sent, however late it says it."""
        sent = self._sent
        if sent is None or outcome.status == "pending":
            return
        if outcome.status == "rejected":
            self._note_refusal(outcome, sent)
            return
        changed = self._good is None or sent.resources != self._good.resources
        logger().log(
            logging.INFO if changed else logging.DEBUG,
            "configuration is live" if self._serves else "scopegate is ready",
            routes=len(sent.gateway.routes),
            policies=len(sent.gateway.policies),
            took_ms=round((time.perf_counter() - sent.began_s) * 1000),
        )
        self._good, self._refusal, self._serves = sent, None, True
        self._last_good.forget()

    def _note_refusal(self, outcome: PublishOutcome, sent: _Published) -> None:
        good = self._good
        refusal = explain(outcome.detail, sent.gateway, good.gateway if good else None)
        if refusal != self._refusal:
            logger().error(
                "the proxy refused the configuration",
                detail=str(refusal),
                serves="the last good one" if outcome.kept else "nothing that we know of",
                what_to_do="mend or delete what is named here; until then no change goes live",
            )
        self._refusal, self._serves = refusal, self._serves or outcome.kept
        if good is not None and good.resources == sent.resources:
            # It was taken once, so an Envoy that was started again may lack a port just now; until
            # it has it, it serves nothing.
            self._serves = False
            self._try_again_soon()
        elif good is not None:
            self._last_good.keep(good.resources)

    def _tell_findings(self, findings: tuple[Finding, ...]) -> None:
        """New findings are log lines: once, not at every change."""
        known = set(self._compiled)
        for finding in findings:
            if finding not in known:
                tell = logger().error if finding.level == "error" else logger().warning
                tell(finding.message, finding=finding.code, kind=finding.kind, id=finding.id)
        self._compiled = findings


def _finding(refusal: ProxyRefusal) -> Finding:
    message = (
        f"the configuration was refused, and no change goes live until this is gone: {refusal}"
    )
    route_id = refusal.routes[0] if len(refusal.routes) == 1 else None
    kind = "routes" if route_id else None
    return Finding("error", ControlFinding.CONFIG_REJECTED, message, kind, route_id)


def _tell(waiting: Sequence[asyncio.Future[PublishResult]], result: PublishResult) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(result)
