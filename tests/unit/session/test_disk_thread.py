"""The thread that a hung disk may hold."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from scopegate.session.disk_thread import DiskHangs, DiskThread


async def recovered(disk: DiskThread) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                assert await disk.run(lambda: "good") == "good"
            except DiskHangs:
                await asyncio.sleep(0.005)
            else:
                return


async def test_work_gives_its_result_or_its_error_and_is_done_in_one_thread_in_order() -> None:
    disk = DiskThread(5)
    done: list[int] = []

    def note(number: int) -> int:
        done.append(number)
        return threading.get_ident()

    threads = await asyncio.gather(
        *(disk.run(lambda number=number: note(number)) for number in range(20))
    )
    assert done == list(range(20))
    assert len(set(threads) - {threading.get_ident()}) == 1
    with pytest.raises(ZeroDivisionError):
        await disk.run(lambda: 1 // 0)
    with pytest.raises(TimeoutError, match="the disk's own"):
        await disk.run(raise_timeout)
    assert await disk.run(lambda: 1) == 1
    disk.leave()


def raise_timeout() -> None:
    raise TimeoutError("the disk's own")


async def test_what_hangs_is_left_alone_until_it_answers() -> None:
    disk, answers = DiskThread(0.05), threading.Event()
    with pytest.raises(DiskHangs):
        await disk.run(answers.wait)
    done: list[str] = []
    for _ in range(3):
        with pytest.raises(DiskHangs):
            await disk.run(lambda: done.append("while it hung"))
    answers.set()
    await recovered(disk)
    assert done == []
    disk.leave()


async def test_a_thread_that_came_too_late_for_its_only_call_is_not_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[threading.Thread] = []
    start = threading.Thread.start

    def hold(thread: threading.Thread) -> None:
        held.append(thread)

    monkeypatch.setattr(threading.Thread, "start", hold)
    disk, done = DiskThread(0.05), list[str]()
    with pytest.raises(DiskHangs):
        await disk.run(lambda: done.append("too late"))
    monkeypatch.undo()
    start(held[0])
    await recovered(disk)
    assert done == []
    disk.leave()


@pytest.mark.parametrize("held_before", [False, True], ids=["first the answer", "first the limit"])
async def test_an_answer_in_the_moment_in_which_the_time_is_up_still_counts(
    held_before: bool,
) -> None:
    """As after a pause of the whole process: answer and limit are both there when it goes on."""
    disk, may_answer = DiskThread(0.05), threading.Event()
    loop = asyncio.get_running_loop()

    def answer() -> None:
        may_answer.set()
        time.sleep(0.08)

    def work() -> str:
        may_answer.wait()
        return "good"

    if held_before:
        loop.call_later(0.02, time.sleep, 0.08)
    loop.call_later(0.04, answer)
    assert await disk.run(work) == "good"
    assert await disk.run(lambda: "asked again") == "asked again"
    disk.leave()


async def test_an_asker_that_goes_away_while_it_hangs_does_not_hide_that() -> None:
    disk, answers = DiskThread(0.2), threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await disk.run(answers.wait)
    with pytest.raises(DiskHangs):
        await disk.run(lambda: "queued behind it")
    answers.set()
    await recovered(disk)
    disk.leave()


async def test_a_thread_ends_when_it_is_told_to() -> None:
    disk = DiskThread(5)
    ident = await disk.run(threading.current_thread)
    disk.leave()
    disk.leave()
    await asyncio.to_thread(ident.join, 5)
    assert not ident.is_alive()
