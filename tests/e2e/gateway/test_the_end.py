"""Told to end: load balancers hear it at once, requests under way are done first."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from scopegate_demo.echo import EchoUpstream
from support.gateway import Gateway, running_gateway


async def status(gateway: Gateway, path: str, host: str = "localhost") -> int:
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{gateway.status}") as session,
        session.get(path, headers={"Host": host}) as answer,
    ):
        return answer.status


@pytest.mark.slow
async def test_while_it_drains_it_is_not_ready_and_nothing_is_cut_or_warned_of(
    tmp_path: Path,
) -> None:
    async with EchoUpstream() as echo, running_gateway(tmp_path, drain_timeout_s="10") as gateway:
        assert await status(gateway, "/metrics", host="evil.example") == 403
        await gateway.add_route("/slow", f"{echo.url}/delay/1")
        assert await status(gateway, "/status/ready") == 200
        slow = asyncio.create_task(gateway.ask("/slow"))
        async with asyncio.timeout(5):
            while not echo.seen:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(0.5):
            while await status(gateway, "/status/ready") != 503:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not slow.done(), "it is said before the last request is done"
        assert (await slow).status == 200
        assert await asyncio.to_thread(gateway.process.wait, 10) == 0
        loud = [line for line in gateway.log_lines() if line["level"] not in ("info", "debug")]
        assert loud == []
