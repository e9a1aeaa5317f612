"""`scopegate demo` as a process of its own, on free ports, with its log at hand."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.ports import free_ports

READY_S = 40


@dataclass(frozen=True)
class RunningDemo:
    """A demo that is ready. `url` is what the story opens in the browser."""

    url: str
    admin: str
    status: str
    idp: str
    prefix: Path
    log_path: Path
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """Everything that was written so far."""
        return self.log_path.read_text()

    def log_line(self, request_id: str) -> dict[str, Any]:
        """The line about a refused request; waits a moment for it."""
        for _ in range(50):
            for text in self.log().splitlines():
                if text.startswith("{") and request_id in text:
                    line: dict[str, Any] = json.loads(text)
                    return line
            time.sleep(0.1)
        raise AssertionError(f"no line about {request_id}:\n{self.log()[-2000:]}")


@contextlib.contextmanager
def running_demo(folder: Path) -> Iterator[RunningDemo]:
    """Start the demo, wait until it has printed what to open, end it with Ctrl-C."""
    proxy, tls, admin, status, idp, echo = free_ports(6)
    log_path = folder / "demo.log"
    call = [str(Path(sys.executable).with_name("scopegate")), "demo"]
    ports = {"proxy": proxy, "tls": tls, "admin": admin, "status": status, "idp": idp, "echo": echo}
    call += [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
    environment = {**os.environ, "SCOPEGATE_LOG_FORMAT": "json"}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            call, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    demo = RunningDemo(
        url=f"http://localhost:{proxy}/oidc",
        admin=f"http://127.0.0.1:{admin}",
        status=f"http://127.0.0.1:{status}",
        idp=f"http://127.0.0.1:{idp}/realms/kong",
        prefix=folder / ".scopegate" / "demo",
        log_path=log_path,
        process=process,
    )
    try:
        _wait(demo)
        yield demo
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(demo: RunningDemo) -> None:
    end_s = time.monotonic() + READY_S
    while time.monotonic() < end_s:
        if demo.process.poll() is not None:
            raise AssertionError(f"the demo ended:\n{demo.log()[-3000:]}")
        if "Ctrl-C ends everything" in demo.log():
            with urllib.request.urlopen(f"{demo.status}/status/ready") as answer:
                assert answer.status == 200
            return
        time.sleep(0.1)
    raise AssertionError(f"the demo is not ready in {READY_S} s:\n{demo.log()[-3000:]}")
