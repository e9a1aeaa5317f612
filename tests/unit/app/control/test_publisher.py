"""Rounds of publishing: what is told of them, and writes that wait while control ends."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog

from scopegate.admin.node import PublishResult
from scopegate.app.control.publisher import CROWD, Publisher
from scopegate.compile.gateway import Compiled
from scopegate.envoy.ads import PublishOutcome
from scopegate.envoy.resources import Resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import (
    Gateway,
    Listener,
    PathMatch,
    Refuse,
    Route,
    RouteMatch,
)
from scopegate.store.protocol import StoreUnavailable
from scopegate.telemetry.metrics import Metrics

LISTENER = Listener("proxy", "127.0.0.1", 8000)
LIVE = PublishOutcome("live")
REFUSED = PublishOutcome("rejected", "routes: no", kept=True)


class SilentStore:
    """Never hands out a snapshot: a round without end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def snapshot(self) -> None:
        self.asked.set()
        await asyncio.Event().wait()


def publisher_of(store: object, **parts: object) -> Publisher:
    unused = SimpleNamespace()
    needed = inspect.signature(Publisher).parameters
    return Publisher(**cast(Any, {**dict.fromkeys(needed, unused), "store": store, **parts}))


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    task = asyncio.create_task(publisher.run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_writes_under_way_are_answered_when_control_ends() -> None:
    store = SilentStore()
    publisher = publisher_of(store)
    async with running(publisher):
        in_the_round = asyncio.create_task(publisher.publish())
        await store.asked.wait()
        for_the_next = asyncio.create_task(publisher.publish())
        await asyncio.sleep(0)
        assert not in_the_round.done()
        publisher.end()
        async with asyncio.timeout(1):
            results = [await in_the_round, await for_the_next, await publisher.publish()]
        assert {result.state for result in results} == {"pending"}


@dataclass
class Proxy:
    """All that a publisher works with; the test decides what is configured and what Envoy says."""

    gateway: Gateway = field(default_factory=Gateway)
    outcome: PublishOutcome = LIVE
    connected: int = 1
    fault: Exception | None = None
    sweep_fault: OSError | None = None
    kept: list[Resources | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.publisher = publisher_of(
            self,
            plugins=(),
            issuers=SimpleNamespace(want=lambda _: None, facts=dict, findings=list),
            compile_=self.compile,
            files=SimpleNamespace(write=lambda _: frozenset(), sweep=self.sweep),
            last_good=SimpleNamespace(keep=self.kept.append, forget=lambda: self.kept.append(None)),
            ads=self,
            envoy=EnvoySettings(),
            metrics=Metrics(),
        )

    def compile(self, *_: object) -> Compiled:
        if self.fault is not None:
            raise self.fault
        return Compiled(self.gateway, ())

    def sweep(self, _: frozenset[str]) -> None:
        if self.sweep_fault is not None:
            raise self.sweep_fault

    async def snapshot(self) -> Any:
        return SimpleNamespace(plugins={})

    async def publish(self, resources: Resources, _: float) -> PublishOutcome:
        if self.outcome.status != "pending":
            self.publisher.note(self.outcome)
        return self.outcome

    async def change(self, path: str, outcome: PublishOutcome) -> tuple[PublishResult, list[Any]]:
        """Configure one route with this path; what is answered, and what is logged."""
        match = RouteMatch(path=PathMatch("prefix", path))
        route = Route("r", match, Refuse(500, "x", "x"), "id-r", "r")
        self.gateway = Gateway(listeners=(LISTENER,), routes=(route,))
        self.outcome = outcome
        with structlog.testing.capture_logs() as logged:
            result = await self.publisher.publish()
        return result, [(line["log_level"], line["event"]) for line in logged]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    async with running(made.publisher):
        yield made


READY = ("info", "scopegate is ready")
IS_LIVE = ("info", "configuration is live")
IS_REFUSED = ("error", "the proxy refused the configuration")


async def test_each_change_is_a_line_and_what_changes_nothing_is_none(proxy: Proxy) -> None:
    assert not proxy.publisher.is_ready
    assert (await proxy.change("/a", LIVE))[1] == [READY]
    assert proxy.publisher.is_ready
    proxy.connected = 0
    assert not proxy.publisher.is_ready, "no proxy, nothing to be ready for"
    proxy.connected = 1
    assert (await proxy.change("/b", LIVE))[1] == [IS_LIVE]
    assert (await proxy.change("/b", LIVE))[1] == [("debug", IS_LIVE[1])]


async def test_a_refusal_is_told_once_and_kept_until_the_next_good_one(proxy: Proxy) -> None:
    await proxy.change("/a", LIVE)
    good = proxy.kept.copy()
    result, logged = await proxy.change("/b", REFUSED)
    said = "routes: no (changed since the last good one: route r)"
    assert (result, logged) == (PublishResult("rejected", said), [IS_REFUSED])
    assert (proxy.publisher.state, proxy.publisher.is_ready) == ("rejected", True)
    (finding,) = proxy.publisher.findings()
    assert (finding.code, finding.kind, finding.id) == ("config_rejected", "routes", "id-r")
    assert said in finding.message
    (kept,) = proxy.kept[len(good) :]
    assert kept is not None
    assert (await proxy.change("/b", REFUSED))[1] == []

    assert (await proxy.change("/a", LIVE))[0] == PublishResult("live", None)
    assert (proxy.publisher.state, list(proxy.publisher.findings())) == ("live", [])
    assert proxy.kept[-1] is None


async def test_a_fault_of_ours_is_told_and_keeps_what_there_is(proxy: Proxy) -> None:
    await proxy.change("/a", LIVE)
    proxy.fault = RuntimeError("s3cret")
    result, logged = await proxy.change("/b", LIVE)
    assert (result.state, logged) == ("rejected", [("error", "configuration cannot be compiled")])
    assert (proxy.publisher.state, proxy.publisher.is_ready) == ("rejected", True)
    (finding,) = proxy.publisher.findings()
    assert "cannot be compiled" in finding.message
    assert "s3cret" not in finding.message
    proxy.fault = None
    assert (await proxy.change("/b", LIVE))[0].state == "live"
    assert list(proxy.publisher.findings()) == []


async def test_a_file_that_cannot_be_removed_ends_no_publishing(proxy: Proxy) -> None:
    proxy.sweep_fault = OSError("read-only file system")
    for path, event in (("/a", READY), ("/b", IS_LIVE)):
        async with asyncio.timeout(5):
            result, logged = await proxy.change(path, LIVE)
        assert result.state == "live"
        assert logged == [event, ("warning", "policy files not removed")]


async def test_what_is_not_live_in_time_is_a_warning(proxy: Proxy) -> None:
    pending = PublishOutcome("pending", "the proxy is not connected")
    result, logged = await proxy.change("/a", pending)
    assert result == PublishResult("pending", pending.detail)
    assert logged == [("warning", "configuration is not live yet")]
    assert proxy.publisher.state == "pending"


async def test_an_envoy_that_refuses_later_what_was_good_is_offered_it_again(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.app.control.publisher.RETRY_S", 0.01)
    await proxy.change("/a", LIVE)
    proxy.publisher.note(PublishOutcome("rejected", "listeners: the port is taken"))
    assert proxy.publisher.state == "rejected"
    async with asyncio.timeout(1):
        while proxy.publisher.state != "live":  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def slow_proxy(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The next configuration is live once this is set; patience with a crowd is short."""
    monkeypatch.setattr("scopegate.app.control.publisher.CROWD_PATIENCE_S", 0.01)
    await proxy.change("/a", LIVE)
    slow = asyncio.Event()

    async def publish(*_: object) -> PublishOutcome:
        await slow.wait()
        return LIVE

    monkeypatch.setattr(proxy, "publish", publish)
    return slow


async def test_in_a_crowd_nobody_waits_long(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = await slow_proxy(proxy, monkeypatch)
    crowd = [asyncio.create_task(proxy.publisher.publish()) for _ in range(CROWD + 2)]
    done, patient = await asyncio.wait(crowd, timeout=0.5)
    assert len(patient) == CROWD
    assert {task.result().state for task in done} == {"pending"}
    slow.set()
    assert {(await task).state for task in patient} == {"live"}


@pytest.mark.parametrize(("others", "state"), [(CROWD, "live"), (CROWD + 1, "pending")])
async def test_a_crowd_that_comes_one_by_one_is_one(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, others: int, state: str
) -> None:
    slow = await slow_proxy(proxy, monkeypatch)
    first = asyncio.create_task(proxy.publisher.publish())
    await asyncio.sleep(0)
    for _ in range(others):
        other = asyncio.create_task(proxy.publisher.publish())
        await asyncio.sleep(0)
        other.cancel()
    await asyncio.wait({first}, timeout=0.1)
    slow.set()
    assert (await first).state == state


async def test_what_was_good_is_offered_until_a_restarted_envoy_takes_it(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.app.control.publisher.RETRY_S", 0.01)
    await proxy.change("/a", LIVE)
    answers = iter([REFUSED, REFUSED, REFUSED, LIVE])
    offered = 0

    async def publish(*_: object) -> PublishOutcome:
        nonlocal offered
        offered += 1
        outcome = next(answers)
        proxy.publisher.note(outcome)
        return outcome

    monkeypatch.setattr(proxy, "publish", publish)
    proxy.publisher.note(PublishOutcome("rejected", "listeners: the port is taken", kept=True))
    assert not proxy.publisher.is_ready
    async with asyncio.timeout(2):
        while proxy.publisher.state != "live":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert proxy.publisher.is_ready
    assert offered == 4


async def test_the_state_is_live_only_when_every_write_is(proxy: Proxy) -> None:
    await proxy.change("/a", LIVE)
    write = asyncio.create_task(proxy.publisher.publish())
    await asyncio.sleep(0)
    assert proxy.publisher.state == "pending"
    await write
    assert proxy.publisher.state == "live"
    proxy.publisher.wake()
    assert proxy.publisher.state == "pending"


async def test_the_state_is_pending_while_the_store_is_gone(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    await proxy.change("/a", LIVE)

    async def gone() -> None:
        raise StoreUnavailable("the disk")

    monkeypatch.setattr(proxy, "snapshot", gone)
    result, _ = await proxy.change("/b", LIVE)
    assert (result.state, proxy.publisher.state) == ("pending", "pending")


async def test_an_older_configuration_that_is_live_at_last_clears_no_newer_fault(
    proxy: Proxy,
) -> None:
    await proxy.change("/a", PublishOutcome("pending", "not connected"))
    proxy.fault = RuntimeError("ours")
    result, _ = await proxy.change("/b", LIVE)
    proxy.publisher.note(LIVE)
    assert (result.state, proxy.publisher.state) == ("rejected", "rejected")
    assert len(proxy.publisher.findings()) == 1
    proxy.fault = None
    result, _ = await proxy.change("/b", LIVE)
    assert (result.state, proxy.publisher.state) == ("live", "live")
    assert proxy.publisher.findings() == []


async def test_failing_rounds_share_one_timer(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scopegate.app.control.publisher.RETRY_S", 0.1)
    await proxy.change("/a", LIVE)
    rounds = 0

    async def gone() -> None:
        nonlocal rounds
        rounds += 1
        raise StoreUnavailable("the disk")

    monkeypatch.setattr(proxy, "snapshot", gone)
    for _ in range(20):
        await proxy.publisher.publish()
    assert rounds == 20
    await asyncio.sleep(0.35)
    assert 1 <= rounds - 20 <= 4
