"""What every implementation of SharedState does: one suite, each implementation a parameter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scopegate.session.shared_state import (
    KEY_LIMIT_CHARS,
    VALUE_LIMIT_BYTES,
    SharedState,
    SharedStateUnavailable,
)
from scopegate.session.sqlite_state import SqliteState
from support.memory_state import MemoryState


class Time:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


OpenState = Callable[[], SharedState]


@pytest.fixture(params=["memory", "sqlite"])
def open_state(request: pytest.FixtureRequest, time: Time, tmp_path: Path) -> OpenState:
    if request.param == "memory":
        return lambda: MemoryState(time)
    return lambda: SqliteState(tmp_path / "state.sqlite", time)


@pytest.fixture
async def state(open_state: OpenState) -> AsyncIterator[SharedState]:
    opened = open_state()
    yield opened
    await opened.close()


async def test_what_was_put_is_there_until_its_time_is_over(state: SharedState, time: Time) -> None:
    assert await state.get("key") is None
    await state.put("key", b"value", 10)
    time.now_s += 9.9
    assert await state.get("key") == b"value"
    time.now_s += 0.1
    assert await state.get("key") is None


@pytest.mark.parametrize("value", [b"", b"\x00\xff", bytes(VALUE_LIMIT_BYTES)])
async def test_any_bytes_come_back_as_bytes(state: SharedState, value: bytes) -> None:
    await state.put("key", value, 10)
    got = await state.get("key")
    assert got == value
    assert type(got) is bytes


async def test_put_overwrites_value_and_time(state: SharedState, time: Time) -> None:
    await state.put("key", b"old", 10)
    await state.put("key", b"new", 100)
    time.now_s += 50
    assert await state.get("key") == b"new"
    await state.put("key", b"newer", 1)
    time.now_s += 1
    assert await state.get("key") is None


async def test_put_if_absent_writes_once_until_the_time_is_over(
    state: SharedState, time: Time
) -> None:
    assert await state.put_if_absent("key", b"first", 10)
    assert not await state.put_if_absent("key", b"second", 1000)
    assert await state.get("key") == b"first"
    time.now_s += 10
    assert await state.put_if_absent("key", b"third", 10)
    assert await state.get("key") == b"third"


async def test_put_if_absent_respects_what_put_wrote(state: SharedState) -> None:
    await state.put("key", b"", 10)
    assert not await state.put_if_absent("key", b"other", 10)
    assert await state.get("key") == b""


async def test_of_many_tasks_one_puts(state: SharedState) -> None:
    won = await asyncio.gather(
        *(state.put_if_absent("key", str(number).encode(), 10) for number in range(20))
    )
    assert won.count(True) == 1
    assert await state.get("key") == str(won.index(True)).encode()


async def test_delete_makes_room_and_does_not_mind_absence(state: SharedState) -> None:
    await state.put("key", b"value", 10)
    await state.delete("key")
    await state.delete("key")
    assert await state.get("key") is None
    assert await state.put_if_absent("key", b"again", 10)


async def test_keys_are_apart_whatever_they_hold(state: SharedState) -> None:
    keys = ["a", "A", "a ", "a%", "a'", "ä", "a" * KEY_LIMIT_CHARS]
    for number, key in enumerate(keys):
        await state.put(key, str(number).encode(), 10)
    assert [await state.get(key) for key in keys] == [str(n).encode() for n in range(len(keys))]
    assert await state.get_many(keys) == {key: str(n).encode() for n, key in enumerate(keys)}


async def test_of_many_keys_those_are_found_whose_time_is_not_over(
    state: SharedState, time: Time
) -> None:
    await state.put("short", b"s", 10)
    await state.put("long", b"", 100)
    assert await state.get_many(["short", "none", "long"]) == {"short": b"s", "long": b""}
    time.now_s += 10
    assert await state.get_many(["short", "none", "long"]) == {"long": b""}
    assert await state.get_many([]) == {}
    with pytest.raises(ValueError):
        await state.get_many(["short", ""])


@pytest.mark.parametrize(
    ("key", "value", "ttl_s"),
    [
        ("", b"", 1),
        ("k" * (KEY_LIMIT_CHARS + 1), b"", 1),
        ("k", bytes(VALUE_LIMIT_BYTES + 1), 1),
        ("k", b"", 0),
        ("k", b"", -1),
        ("k", b"", float("nan")),
    ],
)
async def test_what_is_out_of_bounds_is_refused(
    state: SharedState, key: str, value: bytes, ttl_s: float
) -> None:
    with pytest.raises(ValueError):
        await state.put(key, value, ttl_s)
    with pytest.raises(ValueError):
        await state.put_if_absent(key, value, ttl_s)


async def test_after_an_hour_of_writes_expired_entries_take_no_room(
    state: SharedState, time: Time
) -> None:
    for number in range(300):
        await state.put(f"key{number}", b"value", 5)
        time.now_s += 12
    if isinstance(state, MemoryState):
        entries = len(state._entries)
    else:
        assert isinstance(state, SqliteState)
        (entries,) = await state._run(
            lambda connection: connection.execute("SELECT count(*) FROM entry").fetchone()
        )
    assert entries < 10


async def test_a_closed_state_raises_and_closing_twice_is_fine(open_state: OpenState) -> None:
    state = open_state()
    await state.put("key", b"value", 10)
    await state.close()
    await state.close()
    for call in (
        state.get("key"),
        state.put("key", b"value", 10),
        state.put_if_absent("key", b"value", 10),
        state.delete("key"),
    ):
        with pytest.raises(SharedStateUnavailable):
            await call
