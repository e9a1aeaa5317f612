"""Control's book of issuers: one place that asks, whatever is presented to however many workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from scopegate.app.control import issuer_book
from scopegate.app.control.issuer_book import FIRST_RETRY_S, RETRY_S, IssuerBook
from scopegate.app.control.issuer_watch import LIMIT_S as PROBE_LIMIT_S
from scopegate.app.control.issuer_watch import PROBE_S
from scopegate.app.control.issuer_watch import RETRY_S as PROBE_RETRY_S
from scopegate.oidc.discovery import Discovered, DiscoverySettings
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.http import HttpSettings
from scopegate.oidc.issuer_facts import IssuerFacts, Origin
from scopegate.plugins.issuer_requests import IssuerRequest
from scopegate.store.protocol import Store

ISSUER = "https://idp.example"


def request(plugin: str = "p1", **discovery: Any) -> IssuerRequest:
    settings = DiscoverySettings(**{"issuer": ISSUER, "http": HttpSettings(), **discovery})
    return IssuerRequest(
        settings, cache_ttl_s=3600, rediscovery_lifetime_s=30, plugin_ids=(plugin,)
    )


def facts(*methods: str) -> IssuerFacts:
    return IssuerFacts(ISSUER, Origin.DOCUMENT, code_challenge_methods=methods)


class FactsStore:
    """The part of a store that the book uses."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Any]] = {}

    async def facts(self) -> Mapping[str, Mapping[str, Any]]:
        return dict(self.kept)

    async def put_fact(self, key: str, value: Mapping[str, Any] | None) -> None:
        if value is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = value


class World:
    """A clock, an identity provider and a store, all on command."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.answer: IssuerFacts | Exception = facts()
        self.next_answers: list[IssuerFacts | Exception] = []
        self.fetches = 0
        self.hold: asyncio.Event | None = None
        self.probes: list[bool] = []
        self.probe_fails: Exception | None = None
        self.changes = 0
        self.store = FactsStore()

    async def fetch(self, _: DiscoverySettings, __: IssuerFacts | None) -> Discovered:
        self.fetches += 1
        if self.hold is not None:
            await self.hold.wait()
        answer = self.next_answers.pop(0) if self.next_answers else self.answer
        if isinstance(answer, Exception):
            raise answer
        return Discovered(answer, (), is_complete=True)

    async def probe(self, _: DiscoverySettings, __: IssuerFacts, is_token_endpoint: bool) -> None:
        self.probes.append(is_token_endpoint)
        if self.probe_fails is not None:
            raise self.probe_fails

    def changed(self) -> None:
        self.changes += 1

    @asynccontextmanager
    async def book(self) -> AsyncIterator[IssuerBook]:
        store = cast(Store, self.store)
        book = IssuerBook(self.fetch, self.probe, store, self.changed, lambda: self.now_s)
        await book.load()
        running = asyncio.create_task(book.run())
        try:
            yield book
        finally:
            running.cancel()


@pytest.fixture
def world() -> World:
    return World()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


DOWN = IdpUnavailable("idp_unreachable", "nobody there")


async def test_a_wanted_issuer_is_fetched_once_for_all_plugins_and_kept(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        assert book.facts() == {request().key: facts().to_json()}
        assert book.up() == {ISSUER: True}
        book.want([request()])
        await settle()
    assert world.fetches == 1
    assert world.changes == 1
    assert request().key in world.store.kept


async def test_a_restart_needs_no_identity_provider(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
    world.answer = DOWN
    async with world.book() as book:
        book.want([request()])
        await settle()
        assert book.facts() == {request().key: facts().to_json()}
    assert world.fetches == 1


async def test_an_outage_is_a_finding_keeps_what_was_known_and_ends_by_itself(
    world: World,
) -> None:
    world.answer = DOWN
    async with world.book() as book:
        book.want([request()])
        await settle()
        assert book.facts() == {}
        [finding] = book.findings()
        assert (finding.level, finding.code, finding.id) == ("error", "idp_unreachable", "p1")
        assert book.up() == {ISSUER: False}
        world.answer = facts()
        world.now_s += RETRY_S
        book.want([request()])  # wakes the loop, as time alone would
        await settle()
        assert book.facts() == {request().key: facts().to_json()}
        assert book.findings() == []


async def test_a_failure_is_tried_again_after_one_second_then_two_four_and_every_five(
    world: World,
) -> None:
    world.answer = DOWN
    async with world.book() as book:
        book.want([request()])
        await settle()
        for fetches, wait_s in enumerate((FIRST_RETRY_S, 2.0, 4.0, RETRY_S, RETRY_S), start=1):
            assert world.fetches == fetches
            world.now_s += wait_s - 0.1
            book.want([request()])
            await settle()
            assert world.fetches == fetches, f"tried again before {wait_s} s"
            world.now_s += 0.1
            book.want([request()])
            await settle()
        assert world.fetches == 6
    assert (FIRST_RETRY_S, RETRY_S) == (1.0, 5.0)


async def test_after_hours_of_outage_it_is_still_every_five_seconds(world: World) -> None:
    world.answer = DOWN
    async with world.book() as book:
        for fetches in range(1, 1101):
            book.want([request()])
            await settle()
            assert world.fetches == fetches
            world.now_s += RETRY_S
        world.answer = facts()
        book.want([request()])
        await settle()
        assert book.facts()
    assert world.fetches == 1101


def knows(*methods: str) -> Callable[[Mapping[str, Any]], bool]:
    """A worker that has these facts already."""
    return lambda known: known == facts(*methods).to_json()


async def test_a_key_rotated_after_the_first_fetch_works_at_once(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        world.answer = facts("S256")
        reply = await book.refresh(request().key, knows(), "new key")
    assert reply.facts == facts("S256").to_json()
    assert world.fetches == 2


async def test_a_key_rotated_after_unknown_ids_works_at_once(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        for _ in range(50):
            # One client that goes on presenting a token of elsewhere.
            reply = await book.refresh(request().key, knows(), "of elsewhere")
            assert (reply.facts, reply.problem, reply.one_key_id) == (None, None, True)
            assert 0 < reply.retry_in_s <= 30
        assert world.fetches == 2
        world.answer = facts("S256")
        reply = await book.refresh(request().key, knows(), "new key")
    assert reply.facts == facts("S256").to_json()
    assert world.fetches == 3


async def test_a_fetch_begun_before_the_rotation_is_not_the_last_word(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        world.hold = asyncio.Event()
        old = asyncio.create_task(book.refresh(request().key, knows(), "of elsewhere"))
        await settle()
        new = asyncio.create_task(book.refresh(request().key, knows(), "new key"))
        await settle()
        world.hold.set()
        world.next_answers = [facts(), facts("S256")]
        assert (await old).facts is None
        assert (await new).facts == facts("S256").to_json()
    assert world.fetches == 3


async def test_a_key_rotated_during_an_outage_works_in_seconds(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        world.answer = DOWN
        for _ in range(3):
            reply = await book.refresh(request().key, knows(), "new key")
            assert (reply.facts, reply.problem) == (None, "idp_unreachable")
        assert reply.retry_in_s <= FIRST_RETRY_S
        world.now_s += FIRST_RETRY_S
        world.answer = facts("S256")
        assert (await book.refresh(request().key, knows(), "new key")).facts is not None
        # What failed has used nothing up: two more rotations work at once.
        for number in range(2):
            former = world.answer
            world.answer = facts("S256", f"key {number}")
            reply = await book.refresh(
                request().key, lambda known, f=former: known == f.to_json(), f"key {number}"
            )
            assert reply.facts == world.answer.to_json()


async def test_a_thousand_unknown_ids_cost_two_fetches_a_lifetime(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        fetched_at_s: list[float] = []
        for number in range(1000):
            before = world.fetches
            reply = await book.refresh(request().key, knows(), f"key {number}")
            fetched_at_s += [world.now_s] * (world.fetches - before)
            assert (reply.facts, reply.problem) == (None, None)
            world.now_s += 0.1
        # One by one over 100 seconds: never more than two in 30 seconds.
        assert len(fetched_at_s) == 8
        assert all(b - a >= 30 for a, b in zip(fetched_at_s, fetched_at_s[2:], strict=False))


async def test_a_thousand_ids_at_once_cost_two_fetches(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        asking = [book.refresh(request().key, knows(), f"key {number}") for number in range(1000)]
        replies = await asyncio.gather(*asking)
        assert all(reply.facts is None for reply in replies)
        assert world.fetches == 3
        # From now on the answer holds for all key ids.
        reply = await book.refresh(request().key, knows(), "another")
        assert (reply.one_key_id, reply.retry_in_s) == (False, 30)


async def test_all_questions_during_a_fetch_get_what_it_brings(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        world.hold = asyncio.Event()
        asking = [
            asyncio.create_task(book.refresh(request().key, knows(), f"key {number}"))
            for number in range(50)
        ]
        await settle()
        world.answer = facts("S256")
        world.hold.set()
        replies = await asyncio.gather(*asking)
    assert world.fetches == 2
    assert all(reply.facts == facts("S256").to_json() for reply in replies)


async def test_a_fetch_that_is_under_way_is_not_begun_again(world: World) -> None:
    world.hold = asyncio.Event()
    async with world.book() as book:
        for _ in range(3):
            book.want([request()])  # every change of the configuration wakes the loop
            await settle()
        asking = asyncio.create_task(book.refresh(request().key, lambda _: False))
        await settle()
        world.hold.set()
        assert (await asking).facts == facts().to_json()
    assert world.fetches == 1


@pytest.mark.parametrize("knows", [False, True])
async def test_a_provider_that_hangs_holds_a_worker_up_for_three_seconds_at_most(
    world: World, monkeypatch: pytest.MonkeyPatch, knows: bool
) -> None:
    assert issuer_book.WAIT_S <= 3
    monkeypatch.setattr(issuer_book, "WAIT_S", 0.05)
    async with world.book() as book:
        if knows:
            book.want([request()])
            await settle()
            world.now_s += 31
        world.hold = asyncio.Event()
        book.want([request()])
        async with asyncio.timeout(0.5):
            reply = await book.refresh(request().key, lambda _: True)
    # With a problem a worker says 503: the key that it misses may well be there.
    assert (reply.facts, reply.problem) == (None, "idp_timeout")


async def test_a_worker_with_old_facts_gets_the_newer_ones_without_a_fetch(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        reply = await book.refresh(request().key, lambda _: False)
        assert reply.facts == facts().to_json()
    assert world.fetches == 1


async def test_while_the_issuer_is_down_workers_are_answered_at_once(world: World) -> None:
    world.answer = DOWN
    async with world.book() as book:
        book.want([request()])
        await settle()
        reply = await book.refresh(request().key, lambda _: True)
        assert reply.facts is None
        assert reply.problem == "idp_unreachable"
        assert 0 < reply.retry_in_s <= RETRY_S
        assert (await book.refresh("no such key", lambda _: True)).problem == "issuer_unknown"
    assert world.fetches == 1


async def test_an_issuer_that_nobody_wants_is_forgotten(world: World) -> None:
    async with world.book() as book:
        book.want([request()])
        await settle()
        book.want([])
        assert book.facts() == {}
        assert book.findings() == []


async def test_an_odd_answer_does_not_end_the_refreshing(world: World) -> None:
    world.answer = RuntimeError("what is this")
    async with world.book() as book:
        book.want([request()])
        await settle()
        [finding] = book.findings()
        assert finding.code == "discovery_failed"
        assert "what is this" not in finding.message
        world.answer = facts()
        world.now_s += RETRY_S
        book.want([request()])
        await settle()
        assert book.facts()


def test_requests_differ_by_what_decides_the_fetch_and_hide_their_secrets() -> None:
    assert request("p1").key == request("p2").key
    assert request().key != request(jwks_endpoint="https://idp.example/keys").key
    assert request().key != request(issuers_allowed=("https://other.example",)).key
    assert "s3cret" not in repr(request(headers=(("authorization", "s3cret"),)))


async def tick(world: World, book: IssuerBook, seconds: float) -> None:
    """Time goes by, and wakes the loops."""
    world.now_s += seconds
    book.want([request()])
    await settle()


async def test_a_provider_that_dies_later_is_reported_within_a_minute(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world.book() as book:
        await tick(world, book, 0)
        await tick(world, book, PROBE_S)
        assert (world.probes, book.up()) == ([False], {ISSUER: True})
        world.probe_fails = DOWN
        await tick(world, book, PROBE_S)
        assert book.up() == {ISSUER: True}, "one failed probe is no outage"
        await tick(world, book, PROBE_RETRY_S)
        assert book.up() == {ISSUER: False}
        [finding] = book.findings()
        assert (finding.level, finding.code, finding.id) == ("warning", "idp_unreachable", "p1")
        assert PROBE_S + PROBE_RETRY_S + 2 * PROBE_LIMIT_S <= 60
        # What is known is known all the same, and nothing was fetched.
        assert book.facts() == {request().key: facts().to_json()}
        assert world.fetches == 1
        await tick(world, book, PROBE_RETRY_S)
        world.probe_fails = None
        await tick(world, book, PROBE_RETRY_S)
        assert (book.up(), book.findings()) == ({ISSUER: True}, [])
    said = capsys.readouterr().out
    assert said.count("issuer does not answer") == 1
    assert said.count("issuer answers again") == 1


async def test_a_failed_token_call_has_the_issuer_probed_at_once(world: World) -> None:
    async with world.book() as book:
        await tick(world, book, 0)
        await tick(world, book, PROBE_S)
        await tick(world, book, PROBE_RETRY_S)
        assert world.probes == [False]
        world.probe_fails = IdpUnavailable("token_endpoint_unavailable", "status 503")
        for _ in range(100):
            book.suspect(request().key)
            await settle()
        assert world.probes == [False, True]
        await tick(world, book, PROBE_RETRY_S)
        assert book.up() == {ISSUER: False}
        book.suspect("no such key")


async def test_failing_token_calls_do_not_flood_an_issuer_that_answers(world: World) -> None:
    async with world.book() as book:
        await tick(world, book, 0)
        await tick(world, book, PROBE_S)
        for _ in range(120):
            book.suspect(request().key)
            await tick(world, book, 0.1)
        assert len(world.probes) == 3
        assert book.up() == {ISSUER: True}


async def test_an_issuer_that_is_being_fetched_again_is_not_probed(world: World) -> None:
    world.answer = DOWN
    async with world.book() as book:
        for _ in range(10):
            await tick(world, book, PROBE_S)
    assert world.probes == []


async def test_an_odd_answer_to_a_probe_ends_no_watching(world: World) -> None:
    async with world.book() as book:
        await tick(world, book, 0)
        world.probe_fails = RuntimeError("what is this")
        await tick(world, book, PROBE_S)
        await tick(world, book, PROBE_RETRY_S)
        [finding] = book.findings()
        assert "what is this" not in finding.message
        world.probe_fails = None
        await tick(world, book, PROBE_RETRY_S)
        assert book.up() == {ISSUER: True}
