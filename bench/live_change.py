"""How long one change takes to be live: from sending the Admin API write until the proxy serves it.

    .venv/bin/python bench/live_change.py [--changes 100]

Starts a gateway of its own in a new folder, with the demo's echo as upstream. A change is the
creation of a route with a path of its own. `answered` is the time until the Admin API has said
`X-Scopegate-Config: live`; `served` is the time until a request for the new path, sent right after
that answer, has come back from the upstream. Leaves with status 1 when a change is not live when
it is said to be, or when the median of `served` is over the bar of 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from scopegate_demo.echo import EchoUpstream

BAR_MS = 50.0
READY_S = 40.0
WARM_UP = 10


class NotLive(Exception):
    """A change was not live when it was to be; the text says what came instead."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change, in milliseconds since its write was sent."""

    answered_ms: float
    served_ms: float


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway listens, as `host:port`."""

    proxy: str
    admin: str
    status: str


def free_addresses(count: int) -> list[str]:
    """Addresses on loopback that nobody had a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


@contextlib.contextmanager
def running_gateway() -> Iterator[Addresses]:
    """`scopegate start` in a folder of its own, ended and removed afterwards."""
    addresses = Addresses(*free_addresses(3))
    with tempfile.TemporaryDirectory(prefix="live-change-") as folder:
        log_path = Path(folder, "log")
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SCOPEGATE_")},
            "SCOPEGATE_PREFIX": str(Path(folder, "state")),
            "SCOPEGATE_PROXY_LISTEN": addresses.proxy,
            "SCOPEGATE_ADMIN_LISTEN": addresses.admin,
            "SCOPEGATE_STATUS_LISTEN": addresses.status,
            "SCOPEGATE_DRAIN_TIMEOUT_S": "1",
        }
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name("scopegate")), "start"],
                cwd=folder,
                env=environment,
                stderr=log,
            )
        try:
            yield addresses
        except BaseException:
            sys.stderr.write(log_path.read_text()[-2000:])
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def until_ready(session: aiohttp.ClientSession, address: str) -> None:
    """Wait for the status listener's 200. Raises TimeoutError."""
    async with asyncio.timeout(READY_S):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://{address}/status/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)


async def change(session: aiohttp.ClientSession, at: Addresses, name: str) -> Change:
    """Create a route and ask for it. Raises NotLive."""
    document = {"name": name, "paths": [f"/{name}"]}
    began_s = time.perf_counter()
    async with session.post(f"http://{at.admin}/services/echo/routes", json=document) as answer:
        state = answer.headers.get("X-Scopegate-Config")
        if answer.status != 201 or state != "live":
            raise NotLive(f"{name}: the Admin API answered {answer.status}, configuration {state}")
        await answer.read()
    answered_s = time.perf_counter()
    async with session.get(f"http://{at.proxy}/{name}") as answer:
        if answer.status != 200:
            raise NotLive(f"{name}: said to be live, and the proxy answered {answer.status}")
        await answer.read()
    served_s = time.perf_counter()
    return Change((answered_s - began_s) * 1000, (served_s - began_s) * 1000)


async def measure(count: int) -> list[Change]:
    """So many changes, one after the other, after a few that are not counted."""
    with running_gateway() as at:
        async with EchoUpstream() as echo, aiohttp.ClientSession() as session:
            await until_ready(session, at.status)
            service = {"name": "echo", "url": f"{echo.url}/anything"}
            async with session.post(f"http://{at.admin}/services", json=service) as answer:
                answer.raise_for_status()
            for number in range(WARM_UP):
                await change(session, at, f"warm-up-{number}")
            return [await change(session, at, f"change-{number}") for number in range(count)]


def row(name: str, times_ms: Sequence[float]) -> list[str]:
    """Median, 95th percentile, least and most."""
    p95_ms = statistics.quantiles(times_ms, n=20, method="inclusive")[-1]
    numbers = (statistics.median(times_ms), p95_ms, min(times_ms), max(times_ms))
    return [name, *(f"{number:.1f}" for number in numbers)]


def main() -> int:
    """Measure, print, and say by the exit code whether the bar holds."""
    parser = argparse.ArgumentParser(description="How long one change takes to be live.")
    parser.add_argument("--changes", type=int, default=100, help="how many are measured (100)")
    count = parser.parse_args().changes
    if count < 2:
        parser.error("--changes: has to be 2 or more")
    changes = asyncio.run(measure(count))
    table = Table(title=f"One change live, ms ({count} changes)")
    for heading in ("", "median", "p95", "min", "max"):
        table.add_column(heading, justify="right" if heading else "left")
    served_ms = [each.served_ms for each in changes]
    table.add_row(*row("answered `live`", [each.answered_ms for each in changes]))
    table.add_row(*row("served by the proxy", served_ms))
    console = Console()
    console.print(table)
    median_ms = statistics.median(served_ms)
    holds = median_ms < BAR_MS
    verdict = "under" if holds else "OVER"
    console.print(f"The median, {median_ms:.1f} ms, is {verdict} the bar of {BAR_MS:.0f} ms.")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
