"""The memory of a worker: bounded in entries, bytes and time."""

from __future__ import annotations

import asyncio

from scopegate.session.remembered import Remembered
from unit.session.examples import until


async def test_what_was_put_in_is_there_under_its_key_alone() -> None:
    remembered = Remembered()
    one, other = object(), object()
    remembered.put((one, "text"), "value", 10)
    assert remembered.get((one, "text")) == "value"
    assert remembered.get((one, "texT")) is None
    assert remembered.get((other, "text")) is None


async def test_everything_goes_after_its_time_without_being_asked_for() -> None:
    remembered = Remembered(kept_s=0.1)
    remembered.put("first", 1, 10)
    await asyncio.sleep(0.05)
    remembered.put("second", 2, 10)
    await until(lambda: remembered.get("first") is None)
    assert remembered.get("second") == 2
    await until(lambda: not remembered._entries)
    assert remembered._bytes == 0
    remembered.put("third", 3, 10)
    await until(lambda: not remembered._entries)


async def test_using_it_keeps_nothing_longer() -> None:
    remembered = Remembered(kept_s=0.1)
    remembered.put("key", 1, 10)
    for _ in range(20):
        await asyncio.sleep(0.01)
        remembered.put("key", 2, 10)
        remembered.get("key")
        assert len(remembered._entries) == 1
    remembered.put("key", 3, 10)
    assert remembered.get("key") in (2, 3)


async def test_the_oldest_makes_room() -> None:
    remembered = Remembered(entries_limit=3, bytes_limit=100)
    for number in range(5):
        remembered.put(number, number, 1)
    assert [remembered.get(number) for number in range(5)] == [None, None, 2, 3, 4]
    remembered.put("large", "value", 99)
    assert remembered.get(3) is None
    assert remembered.get("large") == "value"
    remembered.put("too large", "value", 101)
    assert remembered._entries == {}
