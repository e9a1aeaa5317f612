"""What a full decision cache takes of the proxy's memory.

    PYTHONPATH=tests .venv/bin/python -m bench.cache_memory [--credentials 60000] [--bytes 1200]

A proxy of one worker, and a policy service that allows every credential, to be cached. Each
credential is sent once, more of them than the cache holds; then the proxy's resident memory is
compared with that of a proxy that was sent as many requests with one credential. Leaves with status
1 when the cache takes more than its bound: for each of its two generations the limit in bytes, and
a kibibyte for each entry.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from e2e.envoy.conftest import Node
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.cache_profile import CacheProfile
from scopegate.session.revocation_file import begin_revocations
from support.envoy_process import running_envoy
from support.policy_double import allow, running_policy
from support.upstream import running_upstream

CONNECTIONS = 16
OVERHEAD_BYTES = 1024
MIB = 1 << 20


async def resident_mib(credentials: int, token_of: Callable[[int], str]) -> float:
    """Resident memory of a proxy that was sent so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        revocations = Path(folder, "revoked")
        begin_revocations(revocations, os.urandom)
        settings = EnvoySettings(revocations_path=str(revocations))
        async with (
            running_envoy(settings=settings) as envoy,
            running_policy(envoy.policy_socket) as policy,
            running_upstream() as upstream,
        ):
            node = Node(envoy, policy, upstream)
            await node.serve(node.protected("/"))
            policy.decide = lambda _: allow(
                ("x-user", "somebody"), profile=CacheProfile(), cache_s=3600, tags=["cafe"]
            )
            numbers = iter(range(credentials))

            async def ask() -> None:
                connection = await node.connect()
                for number in numbers:
                    token = ("Authorization", f"Bearer {token_of(number)}")
                    reply = await connection.ask("/", headers=[token])
                    assert reply.status == 200, reply
                    policy.asked.clear()
                    upstream.received.clear()
                connection.close()

            await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
            assert envoy.process is not None
            return memory_mib(envoy.process.pid)


def memory_mib(pid: int) -> float:
    """Resident memory of a process. Source: proc(5), statm."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / MIB


async def main() -> int:
    """Measure both, print, and say by the exit code whether the bound is kept."""
    parser = argparse.ArgumentParser(description="What a full cache takes of the proxy's memory.")
    parser.add_argument("--credentials", type=int, default=60_000)
    parser.add_argument("--bytes", type=int, default=1200, help="of a token")
    options = parser.parse_args()
    filling = "x" * options.bytes
    empty = await resident_mib(options.credentials, lambda _: filling)
    full = await resident_mib(options.credentials, lambda number: f"{number:08d}{filling}")
    limits = EnvoySettings()
    bound = 2 * (limits.cache_limit_bytes + limits.cache_limit_entries * OVERHEAD_BYTES) / MIB
    table = Table(title=f"Resident memory of the proxy after {options.credentials:,} requests, MiB")
    table.add_column("")
    table.add_column("MiB", justify="right")
    table.add_row("one credential", f"{empty:.0f}")
    table.add_row(f"{options.credentials:,} credentials of {options.bytes} bytes", f"{full:.0f}")
    table.add_row("the cache", f"{full - empty:.0f}")
    table.add_row("its bound", f"{bound:.0f}")
    Console().print(table)
    return 0 if full - empty <= bound else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
