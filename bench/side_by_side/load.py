"""Load: wrk on one thread, each request with the next credential."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.side_by_side.processes import Running

CONNECTIONS = 32
ONCE_LIMIT_S = 2  # wrk sleeps as long, however soon it is done
_SCRIPT = Path(__file__).with_name("requests.lua")
_REPORT = re.compile(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)")


class LoadFailed(Exception):
    """wrk could not run, or answers were not 2xx: the round says nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one request cost.

    cpu_us           of the contestant's whole process tree
    p50_ms, p99_ms   latency that wrk saw with 32 connections
    """

    cpu_us: float
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def measure(
    contestant: Running,
    path: str,
    credentials: Sequence[str],
    seconds: int | None,
    folder: Path,
) -> Cost:
    """So many seconds of load; None: each credential once. Raises LoadFailed."""
    list_path = folder / "credentials"
    list_path.write_text("\n".join(credentials) + "\n")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds or ONCE_LIMIT_S}s"]
    command += ["-s", str(_SCRIPT), contestant.url + path, "--", str(list_path)]
    before_s = contestant.cpu_s()
    done = subprocess.run(
        command if seconds else [*command, "once"], capture_output=True, text=True, check=False
    )
    cpu_s = contestant.cpu_s() - before_s
    report = _REPORT.search(done.stdout)
    if report is None:
        raise LoadFailed(done.stdout[-500:] + done.stderr[-500:])
    requests, errors, duration_us, p50_us, p99_us = map(int, report.groups())
    if errors or not requests:
        raise LoadFailed(f"{errors} of {requests} requests failed")
    return Cost(
        cpu_us=cpu_s / requests * 1e6,
        requests_per_s=requests / duration_us * 1e6,
        p50_ms=p50_us / 1000,
        p99_ms=p99_us / 1000,
    )
