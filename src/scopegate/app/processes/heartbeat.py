"""A child tells its supervisor each second that it lives.

It does so from its event loop: one that hangs answers nobody and says nothing, and without a death
there would be no start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

VARIABLE = "_SCOPEGATE_HEARTBEAT"
"""Has the number of the pipe's end that a child writes to."""

BEAT_S = 1.0
FIRST_LIMIT_BEATS = 60
"""A start may take so long."""
SILENT_LIMIT_BEATS = 15
"""Whoever says nothing for so long hangs. Longer than any stop that we know of: a collection of all
garbage takes half a second, and disks are waited for in threads."""


async def beat() -> None:
    """In the child: for ever. Without a supervisor that listens it ends at once."""
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    handle = int(number)
    os.set_blocking(handle, False)
    while True:
        with contextlib.suppress(BlockingIOError):
            os.write(handle, b".")
        await asyncio.sleep(BEAT_S)


class Heartbeat:
    """In the supervisor: the pipe to one process."""

    def __init__(self) -> None:
        self._heard, self.descriptor = os.pipe()
        os.set_blocking(self._heard, False)

    def inherited(self) -> None:
        """The child has its end."""
        os.close(self.descriptor)
        self.descriptor = -1

    async def until_silent(self) -> int:
        """Wait until too many beats in a row have not come; how many.

        Looks are counted and not seconds, so that a machine that slept, or a supervisor that was
        stopped, wakes up to one missed beat.
        """
        missed, limit = 0, FIRST_LIMIT_BEATS
        while missed < limit:
            await asyncio.sleep(BEAT_S)
            if self._has_come():
                missed, limit = 0, SILENT_LIMIT_BEATS
            else:
                missed += 1
        return missed

    def _has_come(self) -> bool:
        try:
            return os.read(self._heard, 4096) != b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        """The process has ended."""
        os.close(self._heard)
        if self.descriptor >= 0:
            os.close(self.descriptor)
