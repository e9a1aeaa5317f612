"""What revocations cost a request whose yes is given again.

    PYTHONPATH=tests .venv/bin/python -m bench.revocations [--rounds 15] [--per-second 100]

A gateway with remembered tokens under load, in turns without revocations and with so many written
a second (of sessions that it does not know, as when people log out elsewhere). The proxy reads them
in the first request of each second. CPU time per request of the gateway's whole process tree; each
round holds the one against the other, so that a slow minute is in both. Leaves with status 1 when
the median of the ratios is over its bar.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

from bench.side_by_side import contestants as start
from bench.side_by_side.__main__ import LIFETIMES, configure
from bench.side_by_side.credentials import bearer_tokens, signing_certificate, warm_up
from bench.side_by_side.load import measure
from rich.console import Console
from rich.table import Table

from scopegate.app.prefix import Prefix
from scopegate.session.revocation_file import RevocationFile
from scopegate_demo.idp import DemoIdp

BAR = 1.05
SECONDS = 2
TAG_BYTES = 16


async def revoke(path: Path, per_second: int) -> None:
    """Write so many a second, until cancelled."""
    file = RevocationFile(path, os.urandom)
    while True:
        await file.publish([os.urandom(TAG_BYTES).hex() for _ in range(per_second // 10)])
        await asyncio.sleep(0.1)


async def main() -> int:
    """Measure, print, and say by the exit code whether the bar holds."""
    parser = argparse.ArgumentParser(description="What revocations cost a replayed request.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--per-second", type=int, default=100)
    parser.add_argument("--credentials", type=int, default=300)
    options = parser.parse_args()
    console = Console()
    quiet, busy = [], []
    async with DemoIdp(lifetimes=LIFETIMES) as idp, contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="revocations-")))
        for name in ("upstream", "gateway"):
            (folder / name).mkdir()
        upstream = stack.enter_context(start.upstream(folder / "upstream"))
        gateway, admin = stack.enter_context(start.scopegate(folder / "gateway"))
        places = start.Places(upstream.url, idp.issuer, *signing_certificate(idp, folder))
        await configure(admin, places)
        tokens = await asyncio.to_thread(bearer_tokens, idp, options.credentials)
        await warm_up(gateway.url + "/bearer", tokens)
        path = Prefix(folder / "gateway" / "state").revocations

        async def cost() -> float:
            load = (gateway, "/bearer", tokens, SECONDS, folder)
            return (await asyncio.to_thread(measure, *load)).cpu_us

        status = stack.enter_context(console.status("measuring"))
        for number in range(options.rounds):
            status.update(f"round {number + 1} of {options.rounds}")
            quiet.append(await cost())
            revoking = asyncio.create_task(revoke(path, options.per_second))
            busy.append(await cost())
            revoking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await revoking
    ratios = [after / before for before, after in zip(quiet, busy, strict=True)]
    table = Table(title=f"CPU time per request, {options.rounds} rounds")
    for heading in ("", "median µs", "least", "most"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, costs in (("no revocation", quiet), (f"{options.per_second} a second", busy)):
        table.add_row(name, *(f"{f(costs):.1f}" for f in (statistics.median, min, max)))
    console.print(table)
    ratio = statistics.median(ratios)
    verdict = "is under" if ratio <= BAR else "is OVER"
    console.print(f"The median of the ratios, {ratio:.3f}, {verdict} the bar of {BAR}.")
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
