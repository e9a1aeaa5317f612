"""A thread of its own for calls that a hung disk can hold for ever.

Nothing ends a thread that waits for a disk. So the asker goes on without it after a while, and
until the disk answers again everybody else is told at once: no queue grows behind it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class DiskHangs(Exception):
    """No answer within the limit, or an earlier call is still without one."""


class _Call:
    """Work for the thread, and the future of whoever waits for it in the event loop."""

    __slots__ = ("answer", "is_abandoned", "loop", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Any] = self.loop.create_future()
        self.is_abandoned = False


class DiskThread:
    """Does one call after the other. Used from one event loop."""

    def __init__(self, limit_s: float) -> None:
        """`limit_s`: how long an asker waits. The thread starts with the first call."""
        self._limit_s = limit_s
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._hangs = False

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """What `work` gives or raises. Raises DiskHangs; a call that was queued is then not done,
        one that had begun may still be."""
        if self._hangs:
            raise DiskHangs(f"the disk has not answered for {self._limit_s:g} s")
        if self._thread is None:
            # A daemon: a process must be able to leave while a disk hangs.
            self._thread = threading.Thread(target=self._serve, name="disk", daemon=True)
            self._thread.start()
        call = _Call(work)
        self._calls.put(call)
        try:
            # The answer itself is never cancelled: it may come in the moment in which the time is
            # up, and a thread that was given up after its last answer would never be asked again.
            await asyncio.wait({call.answer}, timeout=self._limit_s)
            if not call.answer.done():
                self._hangs = True
                raise DiskHangs(f"the disk did not answer in {self._limit_s:g} s")
            result: _Result = call.answer.result()
            return result
        finally:
            call.is_abandoned = True

    def leave(self) -> None:
        """No more calls: the thread ends once it has done those that are waiting."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread = None

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            result, problem = None, None
            if not call.is_abandoned:
                try:
                    result = call.work()
                except Exception as error:  # noqa: BLE001 - it is the asker's
                    problem = error
            # Also of a call that nobody waits for: the loop learns that the disk answers again.
            # The loop may be gone by now, and with it whoever asked.
            with suppress(RuntimeError):
                call.loop.call_soon_threadsafe(self._answer, call, result, problem)

    def _answer(self, call: _Call, result: Any, problem: Exception | None) -> None:
        self._hangs = False
        if call.is_abandoned:
            return
        if problem is not None:
            call.answer.set_exception(problem)
        else:
            call.answer.set_result(result)
