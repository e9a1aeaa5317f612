"""A policy worker as a real process on an inherited socket, with a small application in it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scopegate.app.control.issuer_book import WAIT_S
from scopegate.app.prefix import Prefix
from scopegate.app.processes import heartbeat, policy_process
from scopegate.app.processes.handover import VARIABLE, Handover, handover_to, take_over
from scopegate.app.processes.listening import Sockets, open_unix
from scopegate.app.settings.settings import load_settings
from scopegate.app.start import stages_of
from scopegate.policy.application import REFRESHES_LIMIT_S
from scopegate.policy.facts_client import ANSWER_LIMIT_S
from scopegate.session.sqlite_state import HANG_LIMIT_S
from support.policy_check import check_request

pytestmark = pytest.mark.slow

WORKER = """
import asyncio, os, sys
from pathlib import Path
from scopegate.app.processes.handover import take_over
from scopegate.app.processes.policy_process import run

def create_app(handover, client, metrics):
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                if message["type"] == "lifespan.shutdown":
                    Path(sys.argv[1]).write_text("closed")
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        if scope["path"] == "/slow":
            await asyncio.sleep(0.4)
        metrics.decided(plugin_id="p", outcome="allow", reason="ok", seconds=0)
        text = f"{handover.process} {os.getpid()} {handover.settings.log_level}".encode()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", str(len(text)).encode())]})
        await send({"type": "http.response.body", "body": text})
    return app

run(take_over(), create_app)
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    made = Prefix(tmp_path)
    made.prepare()
    return made


@contextmanager
def workers(prefix: Prefix, count: int, *inherited: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    environment = {"SCOPEGATE_PREFIX": str(prefix.root), "SCOPEGATE_LOG_LEVEL": "warn"}
    settings = load_settings(None, environment, folder=prefix.root)
    sockets = {"policy": [open_unix(prefix.policy_socket)]}
    started = []
    for number in range(count):
        handover = handover_to(f"policy-{number}", settings, sockets, "policy")
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, str(prefix.root / f"told-{number}")],
                env={**os.environ, VARIABLE: handover.to_text()},
                pass_fds=(*handover.descriptors["policy"], *inherited),
            )
        )
    try:
        yield started
    finally:
        for each in started:
            each.kill()
            each.wait()
        sockets["policy"][0].close()


class Client:
    """One connection to the policy socket."""

    def __init__(self, prefix: Prefix) -> None:
        self._path = str(prefix.policy_socket)

    async def connect(self) -> Client:
        self._reader, self._writer = await asyncio.open_unix_connection(self._path)
        return self

    async def get(self, path: str = "/") -> tuple[str, str]:
        """Head and body of the answer."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)).decode()
        length = int(head.lower().partition("content-length: ")[2].split()[0])
        return head, (await self._reader.readexactly(length)).decode()

    def close(self) -> None:
        self._writer.close()


async def test_requests_in_a_row_are_answered_in_order(prefix: Prefix) -> None:
    with workers(prefix, 1):
        reader, writer = await asyncio.open_unix_connection(str(prefix.policy_socket))
        writer.write(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        answer = (await asyncio.wait_for(reader.read(), 10)).decode()
        heads = answer.split("HTTP/1.1 200 OK\r\n")[1:]
        assert ["policy-0" in head for head in heads] == [True, True, True]
        assert "connection: close" in heads[2]
        writer.close()


async def test_check_of_a_websocket_handshake_logs_nothing(
    prefix: Prefix, capfd: pytest.CaptureFixture[str]
) -> None:
    handshake = ("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")
    message = check_request("0" * 32, *handshake)
    head = f"POST /check HTTP/1.1\r\nhost: x\r\ncontent-length: {len(message)}\r\n\r\n"
    with workers(prefix, 1):
        reader, writer = await asyncio.open_unix_connection(str(prefix.policy_socket))
        for _ in range(2):
            writer.write(head.encode() + message)
            await asyncio.wait_for(reader.readuntil(b"policy-0"), 10)
        writer.close()
    assert capfd.readouterr().err == ""


async def test_idle_connection_is_kept(prefix: Prefix) -> None:
    assert policy_process.IDLE_LIMIT_S > 3600, "Envoy's limit"
    with workers(prefix, 1):
        client = await Client(prefix).connect()
        await client.get()
        await asyncio.sleep(5.5)  # uvicorn's own limit is five seconds
        await client.get()
        client.close()


async def test_a_worker_tells_that_it_lives(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, said = os.pipe()
    monkeypatch.setenv(heartbeat.VARIABLE, str(said))
    with workers(prefix, 1, said):
        os.set_blocking(heard, False)
        beats = b""
        async with asyncio.timeout(10):
            while len(beats) < 2:
                with contextlib.suppress(BlockingIOError):
                    beats += os.read(heard, 1)
                await asyncio.sleep(0.05)
    os.close(heard)
    os.close(said)


async def test_a_worker_serves_what_it_inherited_and_says_nothing_of_itself(
    prefix: Prefix,
) -> None:
    with workers(prefix, 1) as (worker,):
        client = await Client(prefix).connect()
        head, body = await client.get()
        assert body == f"policy-0 {worker.pid} warn"
        assert head == f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
        client.close()
    assert list(prefix.metrics.glob("counter_policy-0.db"))


async def test_workers_share_the_socket_and_a_killed_one_is_not_missed(prefix: Prefix) -> None:
    with workers(prefix, 2) as (one, other):
        seen = set()
        begun = time.monotonic()
        while seen != {one.pid, other.pid} and time.monotonic() - begun < 10:
            clients = [await Client(prefix).connect() for _ in range(8)]
            seen |= {int((await client.get())[1].split()[1]) for client in clients}
            for client in clients:
                client.close()
        assert seen == {one.pid, other.pid}
        one.kill()
        one.wait()
        for _ in range(8):
            client = await Client(prefix).connect()
            assert (await client.get())[1].split()[1] == str(other.pid)
            client.close()


async def test_a_worker_that_is_told_to_end_finishes_and_closes(prefix: Prefix) -> None:
    with workers(prefix, 1) as (worker,):
        client = await Client(prefix).connect()
        await client.get()
        idle = await Client(prefix).connect()
        await idle.get()
        slow = asyncio.create_task(client.get("/slow"))
        await asyncio.sleep(0.1)
        worker.send_signal(signal.SIGTERM)
        head, _ = await slow
        assert head.startswith("HTTP/1.1 200 OK")
        assert await asyncio.to_thread(worker.wait, 5) == 0
        assert (prefix.root / "told-0").read_text() == "closed"
        client.close()
        idle.close()


def test_a_worker_is_killed_only_after_all_that_it_may_still_wait_for(prefix: Prefix) -> None:
    settings = load_settings(None, {"SCOPEGATE_PREFIX": str(prefix.root)})
    nothing: Sockets = {name: [] for name in ("admin", "status", "policy", "control")}
    _, workers, _ = stages_of(settings, prefix, nothing)
    needs_s = policy_process.GRACE_S + REFRESHES_LIMIT_S + HANG_LIMIT_S
    assert workers
    assert all(worker.grace_s > needs_s for worker in workers)


def test_a_worker_waits_for_control_longer_than_control_waits_for_a_provider() -> None:
    assert ANSWER_LIMIT_S > WAIT_S


def test_the_policy_service_gets_its_folders_and_its_ports(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        policy_process, "create_app", lambda **all_of_it: given.update(all_of_it) or "application"
    )
    settings = load_settings(None, {"SCOPEGATE_PREFIX": str(prefix.root)})
    handover = Handover("policy-0", settings, {})
    client, metrics = object(), object()
    made = policy_process._policy_service(handover, client, metrics)  # type: ignore[arg-type]
    assert made == "application"
    assert given.pop("log") is not None
    assert given == {
        "policy_dir": prefix.root / "policies",
        "shared_state_path": prefix.root / "state.db",
        "revocations_path": prefix.revocations,
        "replay_limit_s": handover.settings.replay_limit_s,
        "control_socket": prefix.root / "run/control.sock",
        "metrics": metrics,
        "http_client": client,
    }


def test_a_handover_is_the_same_on_the_other_side(
    prefix: Prefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, Any] = {"SCOPEGATE_PREFIX": "here", "SCOPEGATE_PROXY_WORKERS": "3"}
    monkeypatch.chdir(prefix.root)
    settings = load_settings(None, environment)
    handover = Handover("control", settings, {"admin": (7, 8), "status": (9,)})
    monkeypatch.setenv(VARIABLE, handover.to_text())
    assert take_over() == handover
    assert VARIABLE not in os.environ, "a child of the child gets none"
