import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scopegate.oidc.reasons import Reason
from scopegate.session.sealing import KeyRing
from scopegate.session.session import LATE_ANSWER_S, Timeouts, Tokens, encode_session
from scopegate.session.shared_state import SharedState, SharedStateUnavailable
from scopegate.session.single_flight import (
    FlightsUnderWay,
    FlightTimes,
    RefreshFailed,
    RefreshFlight,
    RefreshRefused,
    RefreshUnavailable,
    claim_once,
)
from support.memory_state import MemoryState
from unit.session.examples import NOW_S, OTHER_ROOT, TOKENS, a_session, random_source, ring, until

NEW = Tokens("new-access-token", NOW_S + 600, "new-id-token", "new-refresh-token")
QUICK = FlightTimes(work_s=1.0, lease_s=0.3, beat_s=0.05, poll_s=0.01, keep_s=60, unavailable_s=0.3)


@pytest.fixture
def state() -> MemoryState:
    return MemoryState(time.monotonic)


class Provider:
    """The work of a refresh; counts how often it is done."""

    def __init__(self, answer: Tokens | Exception = NEW, takes_s: float = 0.05) -> None:
        self.answer = answer
        self.takes_s = takes_s
        self.calls = 0

    async def __call__(self) -> Tokens:
        self.calls += 1
        await asyncio.sleep(self.takes_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def worker(
    state: SharedState,
    seed: int = 1,
    keys: KeyRing | None = None,
    times: FlightTimes = QUICK,
    under_way: FlightsUnderWay | None = None,
) -> RefreshFlight:
    return RefreshFlight(
        state=state,
        ring=keys or ring(),
        random_bytes=random_source(seed),
        timeouts=Timeouts(),
        under_way=under_way or FlightsUnderWay(),
        times=times,
    )


def refresh(flight: RefreshFlight, provider: Callable[[], Awaitable[Tokens]]) -> Awaitable[Tokens]:
    return flight.refresh(a_session(), provider, now_s=NOW_S)


async def test_many_requests_of_one_worker_cost_one_refresh(state: MemoryState) -> None:
    provider, flight = Provider(), worker(state)
    assert await asyncio.gather(*(refresh(flight, provider) for _ in range(20))) == [NEW] * 20
    assert provider.calls == 1


async def test_many_workers_cost_one_refresh(state: MemoryState) -> None:
    provider = Provider()
    workers = [worker(state, seed) for seed in range(5)]
    results = await asyncio.gather(
        *(refresh(workers[number % 5], provider) for number in range(25))
    )
    assert results == [NEW] * 25
    assert provider.calls == 1


async def test_a_request_that_comes_late_with_the_former_cookie_gets_the_new_tokens(
    state: MemoryState,
) -> None:
    provider = Provider()
    await refresh(worker(state), provider)
    assert await refresh(worker(state, 2), provider) == NEW
    assert provider.calls == 1


async def test_the_next_refresh_of_the_session_is_another_flight(state: MemoryState) -> None:
    provider, flight = Provider(), worker(state)
    await refresh(flight, provider)
    # A provider that does not rotate: the same refresh token, another access token.
    session = a_session(tokens=replace(NEW, refresh=TOKENS.refresh))
    await flight.refresh(session, provider, now_s=NOW_S)
    assert provider.calls == 2


async def test_two_sessions_do_not_share_a_flight(state: MemoryState) -> None:
    provider, flight = Provider(), worker(state)
    await asyncio.gather(
        refresh(flight, provider), flight.refresh(a_session(seed=2), provider, now_s=NOW_S)
    )
    assert provider.calls == 2


async def test_waiters_outlast_a_provider_that_is_slower_than_a_lease(state: MemoryState) -> None:
    provider = Provider(takes_s=0.8)
    results = await asyncio.gather(*(refresh(worker(state, seed), provider) for seed in range(3)))
    assert results == [NEW] * 3
    assert provider.calls == 1


@pytest.mark.parametrize("kind", [RefreshRefused, RefreshUnavailable])
async def test_every_waiter_learns_of_a_failure_and_its_reason(
    state: MemoryState, kind: type[RefreshFailed]
) -> None:
    provider = Provider(kind("invalid_grant", "the provider said so"))
    results = await asyncio.gather(
        *(refresh(worker(state, seed), provider) for seed in range(3)), return_exceptions=True
    )
    assert [(type(r), getattr(r, "reason", ""), getattr(r, "detail", "")) for r in results] == [
        (kind, "invalid_grant", "the provider said so")
    ] * 3
    assert provider.calls == 1


async def test_a_refused_token_is_not_tried_again(state: MemoryState) -> None:
    provider = Provider(RefreshRefused(Reason.INVALID_GRANT, ""))
    for seed in range(2):
        with pytest.raises(RefreshRefused):
            await refresh(worker(state, seed), provider)
        await asyncio.sleep(QUICK.unavailable_s)
    assert provider.calls == 1


async def test_an_absent_provider_is_asked_again_after_a_short_while(state: MemoryState) -> None:
    provider = Provider(RefreshUnavailable(Reason.IDP_UNREACHABLE, ""))
    for _ in range(2):
        with pytest.raises(RefreshUnavailable):
            await refresh(worker(state), provider)
    assert provider.calls == 1
    await asyncio.sleep(QUICK.unavailable_s)
    provider.answer = NEW
    assert await refresh(worker(state), provider) == NEW


async def test_a_crash_in_the_work_is_raised_here_and_a_failure_elsewhere(
    state: MemoryState,
) -> None:
    provider = Provider(ZeroDivisionError("the-access-token"))
    results = await asyncio.gather(
        *(refresh(worker(state, seed), provider) for seed in range(2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ZeroDivisionError, RefreshUnavailable]
    assert "token" not in str(results[1])
    assert provider.calls == 1


async def test_work_that_hangs_is_given_up(state: MemoryState) -> None:
    flight = worker(state, times=replace(QUICK, work_s=0.1))
    with pytest.raises(RefreshUnavailable) as caught:
        await refresh(flight, Provider(takes_s=30))
    assert caught.value.reason == "refresh_took_too_long"


async def test_the_work_goes_on_when_its_asker_goes_away(state: MemoryState) -> None:
    provider, under_way = Provider(takes_s=0.2), FlightsUnderWay()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await refresh(worker(state, under_way=under_way), provider)
    await under_way.drain(1)
    assert await refresh(worker(state, 2), provider) == NEW
    assert provider.calls == 1


async def test_a_process_does_not_wait_for_ever_for_what_is_under_way(state: MemoryState) -> None:
    under_way = FlightsUnderWay()
    await under_way.drain(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await refresh(worker(state, under_way=under_way), Provider(takes_s=0.5))
    async with asyncio.timeout(0.3):
        await under_way.drain(0.05)


async def test_two_policies_of_one_process_share_what_is_under_way(state: MemoryState) -> None:
    """A policy may be compiled anew while its former version still refreshes."""
    provider, under_way = Provider(), FlightsUnderWay()
    blind = MemoryState(time.monotonic)
    results = await asyncio.gather(
        refresh(worker(state, under_way=under_way), provider),
        refresh(worker(blind, 2, under_way=under_way), provider),
    )
    assert results == [NEW] * 2
    assert provider.calls == 1


async def test_the_next_one_takes_over_when_the_holder_died(state: MemoryState) -> None:
    dead = worker(state)
    doomed = asyncio.ensure_future(refresh(dead, Provider(takes_s=30)))
    await asyncio.sleep(0.05)
    for task in [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]:
        task.cancel()
    await asyncio.sleep(0)
    assert await refresh(worker(state, 2), Provider()) == NEW
    assert doomed.cancelled()


@pytest.mark.slow
async def test_a_holder_that_was_thought_dead_does_not_take_the_lease_back(
    state: MemoryState,
) -> None:
    stalled = worker(state, 1, times=replace(QUICK, beat_s=0.7))
    first = asyncio.ensure_future(refresh(stalled, Provider(takes_s=0.9)))
    await asyncio.sleep(0.05)
    patient = worker(state, 2, times=replace(QUICK, lease_s=5, beat_s=60))
    second = asyncio.ensure_future(refresh(patient, Provider(takes_s=0.9)))
    await asyncio.sleep(0.5)  # the first lease has run out, the second worker has one
    (key,) = [key for key in state._entries if key.startswith("lease:")]
    lease = await state.get(key)
    assert lease is not None
    await asyncio.sleep(0.25)  # the first worker has beaten once, the second not yet
    assert await state.get(key) == lease
    assert await asyncio.gather(first, second) == [NEW, NEW]


class FinishesBetween(MemoryState):
    """The former holder leaves its outcome just before our lease is written."""

    outcome = b""

    async def put_if_absent(self, key: str, value: bytes, ttl_s: float) -> bool:
        if key.startswith("lease:") and self.outcome:
            await self.put(key.removeprefix("lease:"), self.outcome, 60)
        return await super().put_if_absent(key, value, ttl_s)


async def test_an_outcome_left_between_two_looks_is_not_overlooked() -> None:
    state = FinishesBetween(time.monotonic)
    await refresh(worker(state), Provider())
    (key,) = [key for key in state._entries if key.startswith("refresh:")]
    state.outcome = state._entries[key][0]
    await state.delete(key)
    provider = Provider()
    assert await refresh(worker(state, 2), provider) == NEW
    assert provider.calls == 0
    assert not [key for key in state._entries if key.startswith("lease:")]


class FallsSilent(MemoryState):
    """Fails from the moment on that it is told to."""

    is_gone = False

    async def get(self, key: str) -> bytes | None:
        if self.is_gone:
            raise SharedStateUnavailable("gone")
        return await super().get(key)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        if self.is_gone:
            raise SharedStateUnavailable("gone")
        await super().put(key, value, ttl_s)


async def test_without_the_store_nobody_refreshes() -> None:
    state = FallsSilent(time.monotonic)
    state.is_gone = True
    provider = Provider()
    with pytest.raises(SharedStateUnavailable):
        await refresh(worker(state), provider)
    assert provider.calls == 0


async def test_tokens_that_the_provider_issued_are_not_lost_with_the_store() -> None:
    state = FallsSilent(time.monotonic)

    async def provider() -> Tokens:
        state.is_gone = True
        await asyncio.sleep(2 * QUICK.beat_s)
        return NEW

    assert await refresh(worker(state), provider) == NEW


@pytest.mark.slow
async def test_a_late_success_overwrites_the_failure_of_another_but_not_the_reverse(
    state: MemoryState,
) -> None:
    # A holder that was thought dead: both ask the provider, one of them is refused.
    stalled = worker(state, 1, times=replace(QUICK, beat_s=60))
    first = asyncio.ensure_future(refresh(stalled, Provider(takes_s=0.6)))
    await asyncio.sleep(0.05)
    with pytest.raises(RefreshRefused):
        await refresh(worker(state, 2), Provider(RefreshRefused(Reason.INVALID_GRANT, "")))
    assert await first == NEW
    assert (
        await refresh(worker(state, 3), Provider(RefreshRefused(Reason.GRANT_REFUSED, ""))) == NEW
    )

    other = a_session(seed=9)
    stalled = worker(state, 4, times=replace(QUICK, beat_s=60))
    refused = Provider(RefreshRefused(Reason.INVALID_GRANT, ""), takes_s=0.6)
    late = asyncio.ensure_future(stalled.refresh(other, refused, now_s=NOW_S))
    await asyncio.sleep(0.05)
    assert await worker(state, 5).refresh(other, Provider(), now_s=NOW_S) == NEW
    with pytest.raises(RefreshRefused):
        await late
    assert await worker(state, 6).refresh(other, refused, now_s=NOW_S) == NEW


class Listening(MemoryState):
    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.seen: list[bytes] = []

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        self.seen += (key.encode(), value)
        await super().put(key, value, ttl_s)


@pytest.mark.parametrize(
    "answer", [NEW, RefreshRefused(Reason.INVALID_GRANT, "because of this"), ValueError("secret")]
)
async def test_the_store_alone_gives_nothing_away(answer: Tokens | Exception) -> None:
    state = Listening()
    flight = worker(state)
    await asyncio.gather(refresh(flight, Provider(answer)), return_exceptions=True)
    assert len(state.seen) >= 4
    written = b"\n".join(state.seen)
    for secret in (b"token", b"grant", b"because", b"secret", a_session().id.encode()):
        assert secret not in written


async def test_an_outcome_of_another_ring_is_neither_read_nor_refreshed_again(
    state: MemoryState,
) -> None:
    await refresh(worker(state), Provider())
    provider = Provider()
    with pytest.raises(RefreshUnavailable) as caught:
        await refresh(worker(state, 2, ring(OTHER_ROOT)), provider)
    assert caught.value.reason == "refresh_outcome_unreadable"
    assert provider.calls == 0


async def test_an_outcome_moved_to_another_session_does_not_open(state: MemoryState) -> None:
    await refresh(worker(state), Provider())
    (key,) = [key for key in state._entries if key.startswith("refresh:")]
    value = state._entries[key]
    await worker(state).refresh(a_session(seed=2), Provider(), now_s=NOW_S)
    (other,) = [name for name in state._entries if name.startswith("refresh:") and name != key]
    state._entries[other] = value
    with pytest.raises(RefreshUnavailable):
        await worker(state).refresh(a_session(seed=2), Provider(), now_s=NOW_S)


async def test_a_state_is_claimed_once(state: MemoryState) -> None:
    claims = await asyncio.gather(*(claim_once(state, "state-id", 600) for _ in range(10)))
    assert sorted(claims) == [False] * 9 + [True]
    assert await claim_once(state, "another", 600)
    await state.close()
    with pytest.raises(SharedStateUnavailable):
        await claim_once(state, "state-id", 600)


WORKER = """
import asyncio, json, secrets, sys, time
from pathlib import Path
from scopegate.session.sealing import KeyRing, RingKey
from scopegate.session.session import Timeouts, Tokens, decode_session
from scopegate.session.single_flight import FlightsUnderWay, FlightTimes, RefreshFlight
from scopegate.session.sqlite_state import SqliteState

folder, takes_s, number = Path(sys.argv[1]), float(sys.argv[3]), sys.argv[4]
session = decode_session(bytes.fromhex(sys.argv[2]))

async def provider():
    with (folder / "asked").open("a") as asked:
        asked.write("x")
    await asyncio.sleep(takes_s)
    return Tokens(access=secrets.token_hex(8))

async def main():
    flight = RefreshFlight(
        state=SqliteState(folder / "state", time.time),
        ring=KeyRing([RingKey(bytes(range(32)))]),
        random_bytes=secrets.token_bytes,
        timeouts=Timeouts(),
        under_way=FlightsUnderWay(),
        times=FlightTimes(lease_s=0.5, beat_s=0.1),
    )
    (folder / ("ready" + number)).touch()
    while not (folder / "go").exists():
        await asyncio.sleep(0.01)
    results = await asyncio.gather(
        *(flight.refresh(session, provider, now_s=int(time.time())) for _ in range(5))
    )
    print(json.dumps([tokens.access for tokens in results]))

asyncio.run(main())
"""


async def start(folder: Path, number: int, takes_s: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WORKER,
        str(folder),
        encode_session(a_session()).hex(),
        str(takes_s),
        str(number),
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.mark.slow
async def test_worker_processes_cost_one_refresh(tmp_path: Path) -> None:
    processes = [await start(tmp_path, number, 0.5) for number in range(3)]
    for number in range(3):
        await until((tmp_path / f"ready{number}").exists)
    (tmp_path / "go").touch()
    answers = [json.loads((await process.communicate())[0]) for process in processes]
    assert (tmp_path / "asked").read_text() == "x"
    assert len({access for answer in answers for access in answer}) == 1


@pytest.mark.slow
async def test_a_killed_worker_process_is_succeeded_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    killed = await start(tmp_path, 0, 60)
    await until((tmp_path / "asked").exists)
    killed.send_signal(signal.SIGKILL)
    await killed.wait()
    heir = await start(tmp_path, 1, 0)
    (output, _) = await heir.communicate()
    assert len(set(json.loads(output))) == 1
    assert (tmp_path / "asked").read_text() == "xx"


async def test_the_newest_tokens_are_kept_for_cookies_that_missed_the_refresh(
    state: MemoryState,
) -> None:
    provider = Provider()
    await refresh(worker(state), provider)
    assert await worker(state, 2).newer(a_session(), now_s=NOW_S) == NEW
    assert await worker(state, 2).newer(a_session(tokens=NEW), now_s=NOW_S) is None
    assert await worker(state, 2).newer(a_session(seed=2), now_s=NOW_S) is None


async def test_tokens_that_end_earlier_are_not_newer(state: MemoryState) -> None:
    """The store missed the last refresh: what it holds is spent."""
    await refresh(worker(state), Provider())
    session = a_session(tokens=replace(NEW, access_expires_at_s=NOW_S + 900))
    assert await worker(state).newer(session, now_s=NOW_S) is None


async def test_what_another_ring_sealed_is_nothing_newer(state: MemoryState) -> None:
    await refresh(worker(state), Provider())
    other = worker(state, keys=ring(OTHER_ROOT))
    assert await other.newer(a_session(), now_s=NOW_S) is None


async def test_the_newest_tokens_are_kept_as_long_as_an_unused_cookie_opens() -> None:
    class Listening(MemoryState):
        ttls: dict[str, float] = {}

        async def put(self, key: str, value: bytes, ttl_s: float) -> None:
            self.ttls[key.partition(":")[0]] = ttl_s
            await super().put(key, value, ttl_s)

    flight = RefreshFlight(
        state=Listening(time.monotonic),
        ring=ring(),
        random_bytes=random_source(),
        timeouts=Timeouts(idling_s=0, rolling_s=7200, absolute_s=0),
        under_way=FlightsUnderWay(),
        times=QUICK,
    )
    await refresh(flight, Provider())
    assert Listening.ttls["newest"] == 7200 + LATE_ANSWER_S


async def test_tokens_that_are_too_large_to_keep_are_given_out_all_the_same(
    state: MemoryState,
) -> None:
    huge = replace(NEW, id="x" * 60_000)
    assert await refresh(worker(state), Provider(huge)) == huge
    assert await worker(state).newer(a_session(), now_s=NOW_S) is None
