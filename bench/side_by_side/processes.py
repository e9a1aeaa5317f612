"""Processes of a benchmark: started in a folder of their own, waited for, measured, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

READY_S = 40.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class NotReady(Exception):
    """A process ended, or does not listen; the text is the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that listens on a port of loopback."""

    process: subprocess.Popen[bytes]
    port: int
    log_path: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        """Seconds of CPU that it and all its descendants have used."""
        return sum(_cpu_s(pid) for pid in _tree(self.process.pid))

    def memory_kib(self) -> int:
        """Resident memory of it and all its descendants."""
        return tree_kib(self.process.pid)


def tree_kib(pid: int) -> int:
    """Resident memory of a process and all its descendants."""
    return sum(tree_kib_by_pid(pid).values())


def tree_kib_by_pid(pid: int) -> dict[int, int]:
    """Resident memory of each of them."""
    return {each: _resident_kib(each) for each in _tree(pid)}


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody had a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    port: int,
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """The command until the block ends. Raises NotReady when it does not listen on the port."""
    log_path = folder / "log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    started = Running(process, port, log_path)
    try:
        _until_listening(started)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_listening(started: Running) -> None:
    end_s = time.monotonic() + READY_S
    while time.monotonic() < end_s and started.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", started.port), 1):
            return
        time.sleep(0.05)
    raise NotReady(started.log_path.read_text()[-2000:])


def _tree(root: int) -> list[int]:
    found, at = [root], 0
    while at < len(found):
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{found[at]}/task").iterdir():
                found += [int(pid) for pid in (task / "children").read_text().split()]
        at += 1
    return found


def _cpu_s(pid: int) -> float:
    with contextlib.suppress(OSError):
        # After the name in brackets: state is field 3; utime, stime are 14 and 15 (man proc).
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return 0.0


def _resident_kib(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0
