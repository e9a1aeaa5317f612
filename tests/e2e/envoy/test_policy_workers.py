"""Policy workers die; requests do not notice."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from scopegate.ir.gateway import (
    Cluster,
    Forward,
    Gateway,
    Listener,
    PathMatch,
    Route,
    RouteMatch,
)
from support import policy_double
from support.envoy_process import running_envoy
from support.ports import free_port
from support.raw_http import RawConnection
from support.upstream import running_upstream


async def start_worker(listening: socket.socket) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        policy_double.__name__,
        str(listening.fileno()),
        pass_fds=[listening.fileno()],
        env={**os.environ, "PYTHONPATH": str(Path(policy_double.__file__).parents[1])},
    )


@pytest.fixture
def listening(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as made:
        yield made


@pytest.mark.slow
async def test_killed_workers_cost_no_request(listening: socket.socket):
    port = free_port()
    async with running_envoy() as envoy, running_upstream() as upstream:
        listening.bind(str(envoy.policy_socket))
        listening.listen(128)
        workers = [await start_worker(listening) for _ in range(2)]
        gateway = Gateway(
            listeners=(Listener("http", "127.0.0.1", port),),
            clusters=(Cluster("up", "127.0.0.1", upstream.port, 1000, 5000),),
            routes=(
                Route(
                    "r",
                    RouteMatch(path=PathMatch("prefix", "/")),
                    Forward("up", "/", False, None, 5000, 0),
                    "route-id",
                    policy_id="0" * 32,
                ),
            ),
        )
        await envoy.must_publish(gateway)
        statuses: list[int] = []
        stop = asyncio.Event()

        async def load() -> None:
            connection = await RawConnection.open(port)
            while not stop.is_set():
                statuses.append((await connection.ask("/")).status)
            connection.close()

        clients = [asyncio.create_task(load()) for _ in range(16)]
        try:
            for _ in range(4):
                await asyncio.sleep(0.25)
                victim = workers.pop(0)
                os.kill(victim.pid, signal.SIGKILL)
                await victim.wait()
                workers.append(await start_worker(listening))
            await asyncio.sleep(0.25)
            stop.set()
            await asyncio.gather(*clients)
        finally:
            for worker in workers:
                worker.kill()
                await worker.wait()
        assert len(statuses) > 100
        assert set(statuses) == {200}
        seen = {request.one("x-worker") for request in upstream.received}
        assert len(seen) > 2, "the workers that came later must have been asked, too"
