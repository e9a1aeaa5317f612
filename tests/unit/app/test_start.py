"""`start` as a real process with small children in the place of the real ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FAKES = """
import asyncio, os, sys
from pathlib import Path
import scopegate.app.start as module
from scopegate.app.processes.child import ChildSpec
from scopegate.app.cannot_start import CannotStart
from scopegate.app.settings.settings import load_settings

serve = '''
import http.server, os, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=int(sys.argv[1])); server.socket.setblocking(True)
server.serve_forever()
'''
def stages(settings, prefix, sockets):
    number = sockets["status"][0].fileno()
    command = (sys.executable, "-c", serve, str(number))
    sleep = (sys.executable, "-c", "import time; time.sleep(60)")
    workers = [f"policy-{n}" for n in range(settings.policy_workers)]
    return (
        (ChildSpec("control", command, dict(os.environ), (number,)),),
        tuple(ChildSpec(name, sleep, dict(os.environ)) for name in workers),
    )
module.stages_of = stages

async def refuse(supervisor):
    await asyncio.sleep(0.3)
    raise CannotStart("the story cannot be told")

try:
    sys.exit(module.start(load_settings(), beside=refuse if "refuse" in sys.argv else None))
except CannotStart as error:
    sys.exit("refused: " + str(error))
"""


class Started:
    """One run of `start`."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FAKES, *arguments],
            cwd=folder,
            env={**os.environ, "SCOPEGATE_LOG_FORMAT": "json", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        self.status = environment["SCOPEGATE_STATUS_LISTEN"]

    def get(self) -> int:
        """The process that serves the status listener."""
        with urllib.request.urlopen(f"http://{self.status}/", timeout=5) as answer:
            return int(answer.read())

    def until_up(self) -> int:
        for _ in range(500):
            try:
                return self.get()
            except OSError:
                assert self.process.poll() is None, self.process.communicate()[1]
                time.sleep(0.01)
        raise AssertionError("it did not come up")

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        """Exit code, and what it logged."""
        _, text = self.process.communicate(timeout=10)
        return self.process.returncode, [json.loads(line) for line in text.splitlines()]

    def refused(self) -> str:
        _, text = self.process.communicate(timeout=10)
        assert self.process.returncode == 1
        return text.strip()


@pytest.fixture
def addresses() -> dict[str, str]:
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        one, two, three, four = (f"127.0.0.1:{each.getsockname()[1]}" for each in free)
    return {
        "SCOPEGATE_PROXY_LISTEN": f"{one}, {two} ssl",
        "SCOPEGATE_ADMIN_LISTEN": three,
        "SCOPEGATE_STATUS_LISTEN": four,
    }


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path, addresses: dict[str, str]) -> Iterator[Start]:
    made: list[Started] = []

    def one(*arguments: str, **environment: str) -> Started:
        made.append(Started(tmp_path, *arguments, **{**addresses, **environment}))
        return made[-1]

    yield one
    for each in made:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


def test_it_makes_what_it_needs_runs_and_ends_when_asked(start: Start, tmp_path: Path) -> None:
    it = start(SCOPEGATE_POLICY_WORKERS="2")
    it.until_up()
    run = tmp_path / ".scopegate/run"
    assert {path.name for path in run.iterdir()} >= {"lock", "policy.sock", "control.sock"}
    key = tmp_path / ".scopegate/ssl/localhost.key"
    assert key.stat().st_mode & 0o777 == 0o600
    it.process.send_signal(signal.SIGTERM)
    code, logged = it.ended()
    assert code == 0
    events = [event["event"] for event in logged]
    assert events[0] == "scopegate starts"
    assert events.count("process started") == 3
    assert events[-2:] == ["scopegate ends", "scopegate ended"]
    assert all(event["process"] == "supervisor" for event in logged)


def test_a_second_start_on_the_same_prefix_is_refused(start: Start, tmp_path: Path) -> None:
    first = start()
    serving = first.until_up()
    with socket.create_server(("127.0.0.1", 0)) as free:
        other = f"127.0.0.1:{free.getsockname()[1]}"
    assert start(SCOPEGATE_ADMIN_LISTEN=other).refused() == (
        f"refused: prefix: Scopegate already runs on {tmp_path}/.scopegate (process"
        f" {first.process.pid}); end it first, or set another prefix"
    )
    assert first.get() == serving, "the first does not notice"


@pytest.mark.parametrize("name", ["proxy", "admin"])
def test_a_taken_port_is_one_line_with_the_setting(
    start: Start, addresses: dict[str, str], name: str
) -> None:
    variable = f"SCOPEGATE_{name.upper()}_LISTEN"
    address = addresses[variable].partition(",")[0]
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert start().refused() == (
            f"refused: {name}_listen ({variable}): {address} is taken by another program; end"
            " that one or give another port"
        )


def test_after_a_kill_everything_is_free_for_the_next_start(start: Start) -> None:
    first = start()
    serving = first.until_up()
    first.process.kill()
    first.process.wait()
    second = start()
    assert second.until_up() != serving


def test_an_admin_api_that_others_can_reach_is_warned_about(
    start: Start, addresses: dict[str, str]
) -> None:
    port = addresses["SCOPEGATE_ADMIN_LISTEN"].rpartition(":")[2]
    it = start(SCOPEGATE_ADMIN_LISTEN=f"0.0.0.0:{port}")
    it.until_up()
    it.process.send_signal(signal.SIGINT)
    code, logged = it.ended()
    assert code == 0
    (warning,) = [event for event in logged if event["level"] == "warning"]
    assert warning["event"] == "unsafe setting"
    assert warning["what"].startswith(f"admin_listen: 0.0.0.0:{port} can be reached from other")


def test_when_what_runs_beside_fails_everything_ends(start: Start) -> None:
    it = start("refuse")
    _, text = it.process.communicate(timeout=10)
    assert it.process.returncode == 1
    assert text.splitlines()[-1] == "refused: the story cannot be told"
    assert '"scopegate ended"' in text
    with pytest.raises(OSError, match="refused"):
        it.get()


def test_an_earlier_runs_numbers_are_forgotten_at_the_start(start: Start, tmp_path: Path) -> None:
    stale = tmp_path / ".scopegate/run/metrics/counter_policy-9.db"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    start().until_up()
    assert not stale.exists()
