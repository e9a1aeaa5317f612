"""Whether Envoy has warmed its new clusters: asked at its admin interface, a Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

_POLL_S = 0.01
_GAUGE = "cluster_manager.warming_clusters"


async def until_warm(admin_socket: Path, limit_s: float) -> bool:
    """Wait until no cluster is warming (its name has been asked for), no longer than `limit_s`.

    False when some still are, or Envoy does not say. A request for a cluster that is warming would
    be answered 503.
    """
    connector = aiohttp.UnixConnector(str(admin_socket))
    timeout = aiohttp.ClientTimeout(total=limit_s)
    try:
        async with (
            asyncio.timeout(limit_s),
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        ):
            while await _warming(session) > 0:  # noqa: ASYNC110 (it happens in another process)
                await asyncio.sleep(_POLL_S)
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
        return False
    return True


async def _warming(session: aiohttp.ClientSession) -> int:
    async with session.get(f"http://envoy/stats?filter=^{_GAUGE}$") as answer:
        answer.raise_for_status()
        text = await answer.text()
    _, _, number = text.partition(": ")
    return int(number)
