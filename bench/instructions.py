"""How many instructions a request costs a proxy, counted by Valgrind's callgrind.

Unlike its time this is the same in every run, to a few hundred, whatever else the machine does.
What the kernel does for a request, and what waits for memory, is not in it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from scopegate.envoy.module_file import module_environment

READY_S = 120.0
ANSWER_S = 60.0
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.MULTILINE | re.IGNORECASE)


class NotCounted(Exception):
    """The proxy did not start, or an answer was no 200."""


def is_possible() -> bool:
    """Whether Valgrind is there."""
    return shutil.which("callgrind_control") is not None


def count(
    command: Sequence[str | Path], port: int, head: bytes, folder: Path, *, requests: int = 400
) -> float:
    """Instructions per request of the thread that works, for requests on one connection.

    command   starts the proxy
    head      a request without a body; it is sent a few hundred times before it counts

    Raises NotCounted.
    """
    log_path = folder / "valgrind.log"
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"]
    tool.append(f"--callgrind-out-file={folder}/counted")
    with log_path.open("w") as log:
        process = subprocess.Popen(
            [*tool, *command],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**module_environment(), **os.environ},
        )
    try:
        _until_ready(process, port, log_path)
        with socket.create_connection(("127.0.0.1", port), ANSWER_S) as connection:
            _ask(connection, head, requests)
            _control(process, "--instr=on")
            _ask(connection, head, requests)
            _control(process, "--instr=off")
            _control(process, "--dump")
    finally:
        process.terminate()
        process.wait()
    totals = [_TOTAL.search(path.read_text()) for path in folder.glob("counted.*")]
    return max((int(total[1]) for total in totals if total), default=0) / requests


def _until_ready(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    ends_s = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < ends_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise NotCounted(log_path.read_text()[-2000:])


def _ask(connection: socket.socket, head: bytes, requests: int) -> None:
    waiting = b""
    for _ in range(requests):
        connection.sendall(head)
        while b"\r\n\r\n" not in waiting:
            waiting += _received(connection)
        answer, waiting = waiting.split(b"\r\n\r\n", 1)
        length = _LENGTH.search(answer)
        if not answer.startswith(b"HTTP/1.1 200 ") or length is None:
            raise NotCounted(answer.decode("latin-1"))
        while len(waiting) < int(length[1]):
            waiting += _received(connection)
        waiting = waiting[int(length[1]) :]


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise NotCounted("the proxy closed the connection")
    return data


def _control(process: subprocess.Popen[bytes], what: str) -> None:
    subprocess.run(["callgrind_control", what, str(process.pid)], check=True, capture_output=True)
