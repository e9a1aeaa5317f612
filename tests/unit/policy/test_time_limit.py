"""A limit that begins with the first wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scopegate.policy.time_limit import within


async def test_what_does_not_wait_is_done() -> None:
    async def work() -> str:
        return "done"

    assert await within(0, work()) == "done"


async def test_what_is_raised_before_and_after_a_wait_comes_out() -> None:
    async def at_once() -> None:
        raise KeyError("at once")

    async def later() -> None:
        await asyncio.sleep(0.001)
        raise KeyError("later")

    for work in (at_once, later):
        with pytest.raises(KeyError):
            await within(5, work())


async def test_what_is_waited_for_is_given_and_may_be_refused() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> list[str]:
        found = [await future]
        try:
            await failing()
        except OSError:
            found.append("refused")
        await asyncio.sleep(0)
        return found

    async def failing() -> None:
        await asyncio.sleep(0.001)
        raise OSError

    asyncio.get_running_loop().call_later(0.01, future.set_result, "first")
    assert await within(5, work()) == ["first", "refused"]


async def test_who_waits_too_long_is_cancelled_and_cleans_up() -> None:
    seen: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            seen.append("clean")

    with pytest.raises(TimeoutError):
        await within(0.05, work())
    assert seen == ["cancelled", "clean"]


async def test_a_cancelled_asker_cancels_the_work() -> None:
    seen: list[Any] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("over")

    task = asyncio.create_task(within(5, work()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["over"]
