"""Runs a program that dies with the process that started it.

    python -I -S tether.py PARENT_PID PROGRAM ARGUMENT …

A supervisor that is killed cannot end its children; the kernel can (prctl(2), PR_SET_PDEATHSIG).
The wish is made here, between fork and exec, in a process of its own: code that Python runs in a
forked child may hang in a lock that another thread of the parent held. The signal is SIGKILL, so
that ports and locks are free at once for the next start; every part of Scopegate stands a kill.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


def tethered(command: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `command` tethered to this process."""
    return (sys.executable, "-I", "-S", str(Path(__file__)), str(os.getpid()), *command)


def main(parent_pid: int, command: list[str]) -> None:
    """Become `command`; or end, when the parent is gone already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 (a list of arguments, no shell)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
