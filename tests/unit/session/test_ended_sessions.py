import math
from collections.abc import Mapping, Sequence

import pytest

from scopegate.session.ended_sessions import FOREVER_S, EndedSessions, ended_ttl_s
from scopegate.session.remembered import Remembered
from scopegate.session.session import Session
from scopegate.session.shared_state import SharedStateUnavailable
from support.memory_revocations import MemoryRevocations
from support.memory_state import MemoryState
from unit.session.examples import NOW_S, a_session


class Time:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def state(time: Time) -> MemoryState:
    return MemoryState(time)


class BrokenOnce(MemoryRevocations):
    is_broken = True

    async def publish(self, tags: Sequence[str]) -> None:
        broken, self.is_broken = self.is_broken, False
        if broken:
            raise SharedStateUnavailable("full")
        await super().publish(tags)


async def is_over(ended: EndedSessions, session: Session, now_s: int) -> bool:
    return await ended.good_until_s(session, now_s) is None


async def test_an_ended_session_is_dead_on_every_worker_in_every_generation(
    state: MemoryState,
) -> None:
    here, there = (
        EndedSessions(state, MemoryRevocations()),
        EndedSessions(state, MemoryRevocations()),
    )
    session = a_session()
    assert not await is_over(there, session, NOW_S)
    await here.end(session, NOW_S)
    assert await is_over(there, session, NOW_S)
    assert await is_over(there, session.renewed(NOW_S).renewed(NOW_S), NOW_S)
    assert not await is_over(there, a_session(seed=2), NOW_S)


async def test_it_is_remembered_until_its_last_copy_would_have_expired(
    state: MemoryState, time: Time
) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    await ended.end(a_session(), NOW_S)
    for age_s in (900, 3600, 86399, 86400):
        time.now_s = NOW_S + age_s
        assert await is_over(ended, a_session(), time.now_s)
    time.now_s = NOW_S + 86400 + 61
    assert not await is_over(ended, a_session(), time.now_s)


@pytest.mark.parametrize(("age_s", "ttl_s"), [(0, 86460), (80000, 6460), (90000, 60)])
def test_an_end_is_remembered_until_the_absolute_clock_it_began_with(
    age_s: int, ttl_s: int
) -> None:
    assert ended_ttl_s(a_session(), NOW_S + age_s) == ttl_s


def test_the_end_of_a_session_without_an_absolute_clock_is_remembered_for_good() -> None:
    assert ended_ttl_s(a_session(ends_at_s=None), NOW_S + 10**6) == FOREVER_S


async def test_the_generation_before_lives_ten_more_seconds(state: MemoryState) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    session = a_session()
    renewed = session.renewed(NOW_S + 2700)
    await ended.supersede(session, NOW_S + 2700)
    assert not await is_over(ended, session, NOW_S + 2709)
    assert await is_over(ended, session, NOW_S + 2710)
    assert not await is_over(ended, renewed, NOW_S + 2710)


async def test_until_when_a_superseded_generation_is_good_is_known(state: MemoryState) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    assert await ended.good_until_s(a_session(), NOW_S) == math.inf
    await ended.supersede(a_session(), NOW_S + 2700)
    assert await ended.good_until_s(a_session(), NOW_S + 2701) == NOW_S + 2710
    late = a_session().touched(NOW_S + 2700)
    assert await ended.good_until_s(late, NOW_S + 2701) == math.inf


async def test_an_end_is_published_once_however_often_it_is_wanted(state: MemoryState) -> None:
    published = MemoryRevocations()
    ended = EndedSessions(state, published, Remembered())
    for _ in range(3):
        await ended.supersede(a_session(), NOW_S)
    for _ in range(3):
        await ended.end(a_session(), NOW_S)
    await ended.end(a_session(seed=2), NOW_S)
    assert len(published.published) == 3


async def test_an_end_that_could_not_be_published_is_published_next_time(
    state: MemoryState,
) -> None:
    published = BrokenOnce()
    ended = EndedSessions(state, published, Remembered())
    with pytest.raises(SharedStateUnavailable):
        await ended.end(a_session(), NOW_S)
    assert await is_over(ended, a_session(), NOW_S)
    await ended.end(a_session(), NOW_S)
    assert len(published.published) == 1


async def test_a_second_renewal_of_the_same_cookie_does_not_put_its_end_off(
    state: MemoryState,
) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    await ended.supersede(a_session(), NOW_S + 2700)
    await ended.supersede(a_session(), NOW_S + 2709)
    assert await is_over(ended, a_session(), NOW_S + 2710)


@pytest.mark.parametrize(("before_s", "is_ended"), [(61, True), (60, False), (0, False)])
async def test_a_cookie_that_may_have_overtaken_the_renewed_one_stays_good(
    state: MemoryState, before_s: int, is_ended: bool
) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    renewed_at_s = NOW_S + 2700
    await ended.supersede(a_session(), renewed_at_s)
    written = a_session().touched(renewed_at_s - before_s)
    assert await is_over(ended, written, renewed_at_s + 10) == is_ended


async def test_a_superseded_cookie_stays_dead_until_its_session_would_have_ended(
    state: MemoryState, time: Time
) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    time.now_s = NOW_S + 2700
    await ended.supersede(a_session(), time.now_s)
    for age_s in (3600, 86400):
        time.now_s = NOW_S + age_s
        assert await is_over(ended, a_session(), time.now_s)


async def test_a_renewal_under_way_does_not_bring_an_ended_session_back(
    state: MemoryState,
) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    await ended.end(a_session(), NOW_S)
    await ended.supersede(a_session(), NOW_S)
    assert await is_over(ended, a_session().renewed(NOW_S), NOW_S)


async def test_without_the_store_there_is_no_yes(state: MemoryState) -> None:
    ended = EndedSessions(state, MemoryRevocations())
    await state.close()
    session: Session = a_session()
    with pytest.raises(SharedStateUnavailable):
        await is_over(ended, session, NOW_S)
    with pytest.raises(SharedStateUnavailable):
        await ended.end(session, NOW_S)
    with pytest.raises(SharedStateUnavailable):
        await ended.supersede(session, NOW_S)


class Listening(MemoryState):
    def __init__(self) -> None:
        super().__init__(lambda: NOW_S)
        self.keys: list[str] = []
        self.questions: list[Sequence[str]] = []

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]:
        self.questions.append(keys)
        return await super().get_many(keys)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        self.keys.append(key)
        await super().put(key, value, ttl_s)


async def test_the_store_does_not_learn_the_id() -> None:
    state = Listening()
    ended = EndedSessions(state, MemoryRevocations())
    await ended.end(a_session(), NOW_S)
    await ended.supersede(a_session(), NOW_S)
    assert not await is_over(ended, a_session(seed=2), NOW_S)
    assert len(state.keys) == 2
    assert not any(a_session().id in key for key in (*state.keys, *state.questions[0]))


async def test_a_request_puts_one_question_to_the_store() -> None:
    state = Listening()
    assert not await is_over(EndedSessions(state, MemoryRevocations()), a_session(), NOW_S)
    assert len(state.questions) == 1
