"""Envoy's admin interface, a Unix socket: how much there is to do, and draining.

Draining: from the moment Envoy is told, every answer closes its connection; then its ports are
closed; then requests that are under way may end. Envoy itself is not ended here.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from scopegate.admin.node import ServerCounts

POLL_S = 0.05
OPEN_S = 2.0
"""How long the ports stay open at most, for clients that keep coming back."""


@dataclass(frozen=True, slots=True)
class _Load:
    """Requests under way, and requests ever."""

    active: int
    total: int


async def server_counts(admin_socket: Path, timeout_s: float = 2.0) -> ServerCounts | None:
    """What clients have asked of the proxy; None when it does not answer in time."""
    try:
        async with _connected(admin_socket, timeout_s) as envoy:
            counts = await _downstream(envoy)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
    return ServerCounts(
        connections_active=counts["cx_active"],
        connections_accepted=counts["cx_total"],
        connections_handled=counts["cx_total"],
        total_requests=counts["rq_total"],
    )


async def drain(admin_socket: Path, timeout_s: float) -> bool:
    """Let requests end. True once none is under way, False when `timeout_s` ran out first.

    An Envoy that does not answer has nothing to drain.
    """
    deadline_s = time.monotonic() + timeout_s
    async with _connected(admin_socket, 2.0) as envoy:
        try:
            await _post(envoy, "/healthcheck/fail")
            await _post(envoy, "/drain_listeners?graceful&skip_exit")
            await _quiet(envoy, min(deadline_s, time.monotonic() + OPEN_S))
            await _post(envoy, "/drain_listeners")
            return await _quiet(envoy, deadline_s)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return True


def _connected(admin_socket: Path, timeout_s: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        "http://envoy",
        connector=aiohttp.UnixConnector(str(admin_socket)),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
    )


async def _quiet(envoy: aiohttp.ClientSession, deadline_s: float) -> bool:
    """Wait until no request is under way, and none came, from one look to the next."""
    before = None
    while True:
        now = await _load(envoy)
        if now.active == 0 and now == before:
            return True
        if time.monotonic() + POLL_S > deadline_s:
            return False
        before = now
        await asyncio.sleep(POLL_S)


async def _post(envoy: aiohttp.ClientSession, path: str) -> None:
    async with envoy.post(path) as answer:
        answer.raise_for_status()


async def _load(envoy: aiohttp.ClientSession) -> _Load:
    counts = await _downstream(envoy)
    return _Load(active=counts["rq_active"], total=counts["rq_total"])


async def _downstream(envoy: aiohttp.ClientSession) -> Counter[str]:
    """Connections (`cx_`) and requests (`rq_`) of clients, `active` now and `total` ever."""
    path = r"/stats?filter=^http\..*\.downstream_(cx|rq)_(active|total)$&format=json"
    async with envoy.get(path) as answer:
        answer.raise_for_status()
        document = await answer.json(content_type=None)
    counts: Counter[str] = Counter()
    for stat in document["stats"]:
        name = stat.get("name", "")
        if not name.startswith("http.admin."):
            counts[name.rpartition(".downstream_")[2]] += stat["value"]
    return counts
