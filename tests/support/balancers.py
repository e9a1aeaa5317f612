"""nginx and HAProxy as processes of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

START_LIMIT_S = 10
# Where Debian has servers; not everybody's PATH has it.
_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


@asynccontextmanager
async def running_nginx(folder: Path, conf: str, *ports: int) -> AsyncIterator[None]:
    """nginx with this nginx.conf, until its ports on loopback take connections."""
    # Its own folders are root's.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    aside = [f"{kind}_temp_path {folder}/{kind};" for kind in kinds]
    conf = conf.replace("http {\n", "\n".join(["http {", "access_log off;", *aside, ""]))
    path = folder / "nginx.conf"
    path.write_text(conf)
    log = f"{folder}/nginx.log"
    process = f"daemon off; pid {folder}/nginx.pid; error_log {log};"
    command = ["nginx", "-e", log, "-c", str(path), "-g", process]
    async with _running(folder, command, ports):
        yield


@asynccontextmanager
async def running_haproxy(folder: Path, conf: str, *ports: int) -> AsyncIterator[None]:
    """HAProxy with this haproxy.cfg, until its ports on loopback take connections."""
    path = folder / "haproxy.cfg"
    path.write_text(conf)
    async with _running(folder, ["haproxy", "-db", "-f", str(path)], ports):
        yield


@asynccontextmanager
async def _running(
    folder: Path, command: Sequence[str], ports: Sequence[int]
) -> AsyncIterator[None]:
    program = shutil.which(command[0], path=_PATH)
    assert program, f"{command[0]} is missing; scripts/install-system-packages installs it"
    log_path = folder / f"{command[0]}.out"
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 (it does not wait)
            [program, *command[1:]], stdout=log, stderr=log
        )
    try:
        for port in ports:
            await _until_open(port, process, log_path)
        yield
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


async def _until_open(port: int, process: subprocess.Popen[bytes], log_path: Path) -> None:
    for _ in range(START_LIMIT_S * 20):
        assert process.poll() is None, f"it ended:\n{log_path.read_text()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}:\n{log_path.read_text()}")
