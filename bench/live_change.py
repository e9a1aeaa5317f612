"""How long one change takes to be live: from sending the Admin API write until the proxy serves it.

    .venv/bin/python bench/live_change.py [--changes 100] [--routes 10000]

Starts a gateway of its own in a new folder, with the demo's echo as upstream. A change is the
creation of a route with a host and a path of its own. `answered` is the time until the Admin API
has said `X-Scopegate-Config: live`; `served` is the time until a request for the new path, sent
right after that answer, has come back from the upstream.

With `--routes` so many are there before: on a hundred hosts and a tenth as many services, loaded
one by one over eight connections. `written` is how long one write of these took.

Leaves with status 1 when a change is not live when it is said to be, when the median of `served` is
over its bar (50 ms; with more than a hundred routes 100 ms, with more than a thousand 1 s), when
one write took more than 1 s, or when all took more than 30 ms each.
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

BARS_MS = ((100, 50.0), (1000, 100.0), (sys.maxsize, 1000.0))
"""(routes at most, how long a change of one may take)"""

WRITE_BAR_MS = 1000.0
LOAD_BAR_MS = 30.0
"""A route, of many that are loaded: ten thousand in five minutes."""

CONNECTIONS = 8
HOSTS = 100
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


@dataclass(frozen=True, slots=True)
class Load:
    """Routes that were there before the changes."""

    written_ms: tuple[float, ...] = ()
    took_s: float = 0.0


async def load(session: aiohttp.ClientSession, at: Addresses, url: str, count: int) -> Load:
    """Write so many routes, one by one over CONNECTIONS connections."""
    services = max(1, count // 10)
    for number in range(services if count else 0):
        await _write(session, f"http://{at.admin}/services", {"name": f"s-{number}", "url": url})
    written_ms: list[float] = []
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            service = number % services
            document = {
                "name": f"r-{number}",
                "hosts": [f"host-{number % HOSTS}.test"],
                "paths": [f"/s-{service}/r-{number}"],
            }
            began_s = time.perf_counter()
            await _write(session, f"http://{at.admin}/services/s-{service}/routes", document)
            written_ms.append((time.perf_counter() - began_s) * 1000)

    began_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return Load(tuple(written_ms), time.perf_counter() - began_s)


async def _write(session: aiohttp.ClientSession, url: str, document: dict[str, object]) -> None:
    async with session.post(url, json=document) as answer:
        if answer.status != 201:
            raise NotLive(f"{url}: the Admin API answered {answer.status} {await answer.text()}")
        await answer.read()


async def change(session: aiohttp.ClientSession, at: Addresses, name: str) -> Change:
    """Create a route and ask for it. Raises NotLive."""
    host = "host-0.test"
    document = {"name": name, "hosts": [host], "paths": [f"/{name}"]}
    began_s = time.perf_counter()
    async with session.post(f"http://{at.admin}/services/echo/routes", json=document) as answer:
        state = answer.headers.get("X-Scopegate-Config")
        if answer.status != 201 or state != "live":
            raise NotLive(f"{name}: the Admin API answered {answer.status}, configuration {state}")
        await answer.read()
    answered_s = time.perf_counter()
    async with session.get(f"http://{at.proxy}/{name}", headers={"Host": host}) as answer:
        if answer.status != 200:
            raise NotLive(f"{name}: said to be live, and the proxy answered {answer.status}")
        await answer.read()
    served_s = time.perf_counter()
    return Change((answered_s - began_s) * 1000, (served_s - began_s) * 1000)


async def measure(count: int, routes: int) -> tuple[Load, list[Change]]:
    """So many changes, one after the other, after a few that are not counted."""
    with running_gateway() as at:
        async with EchoUpstream() as echo, aiohttp.ClientSession() as session:
            await until_ready(session, at.status)
            url = f"{echo.url}/anything"
            await _write(session, f"http://{at.admin}/services", {"name": "echo", "url": url})
            loaded = await load(session, at, url, routes)
            for number in range(WARM_UP):
                await until_live(session, at, f"warm-up-{number}")
            changes = [await change(session, at, f"change-{number}") for number in range(count)]
            return loaded, changes


async def until_live(session: aiohttp.ClientSession, at: Addresses, name: str) -> None:
    """A change that may still wait for those before it."""
    try:
        await change(session, at, name)
    except NotLive:
        await asyncio.sleep(1)


def row(name: str, times_ms: Sequence[float]) -> list[str]:
    """Median, 95th percentile, least and most."""
    p95_ms = statistics.quantiles(times_ms, n=20, method="inclusive")[-1]
    numbers = (statistics.median(times_ms), p95_ms, min(times_ms), max(times_ms))
    return [name, *(f"{number:.1f}" for number in numbers)]


def main() -> int:
    """Measure, print, and say by the exit code whether the bar holds."""
    parser = argparse.ArgumentParser(description="How long one change takes to be live.")
    parser.add_argument("--changes", type=int, default=100, help="how many are measured (100)")
    parser.add_argument("--routes", type=int, default=0, help="how many are there before (0)")
    given = parser.parse_args()
    if given.changes < 2:
        parser.error("--changes: has to be 2 or more")
    loaded, changes = asyncio.run(measure(given.changes, given.routes))
    title = f"One change live, ms ({given.changes} changes, {given.routes} routes before)"
    table = Table(title=title)
    for heading in ("", "median", "p95", "min", "max"):
        table.add_column(heading, justify="right" if heading else "left")
    served_ms = [each.served_ms for each in changes]
    table.add_row(*row("answered `live`", [each.answered_ms for each in changes]))
    table.add_row(*row("served by the proxy", served_ms))
    if loaded.written_ms:
        table.add_row(*row("written, while loading", loaded.written_ms))
    console = Console()
    console.print(table)
    bar_ms = next(bar for most, bar in BARS_MS if given.routes <= most)
    holds = [told(console, "The median of a change", statistics.median(served_ms), bar_ms)]
    if loaded.written_ms:
        each_ms = loaded.took_s * 1000 / given.routes
        console.print(f"{given.routes} routes were loaded in {loaded.took_s:.0f} s.")
        holds.append(told(console, "One route of these", each_ms, LOAD_BAR_MS))
        holds.append(told(console, "The slowest write", max(loaded.written_ms), WRITE_BAR_MS))
    return 0 if all(holds) else 1


def told(console: Console, what: str, took_ms: float, bar_ms: float) -> bool:
    """Say whether a bar holds."""
    holds = took_ms < bar_ms
    verdict = "under" if holds else "OVER"
    console.print(f"{what}, {took_ms:.1f} ms, is {verdict} the bar of {bar_ms:.0f} ms.")
    return holds


if __name__ == "__main__":
    sys.exit(main())
