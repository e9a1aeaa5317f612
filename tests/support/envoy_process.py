"""A real Envoy that gets its configuration from our AdsServer."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from scopegate.envoy.ads import AdsServer, PublishOutcome
from scopegate.envoy.module_file import module_environment
from scopegate.envoy.process import bootstrap, command_line, envoy_binary
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Gateway

START_LIMIT_S = 20.0


@dataclass
class RunningEnvoy:
    """Envoy, its control and the sockets between them, in a folder of their own.

    settings   of its listeners; the sockets in them are those of the folder
    """

    folder: Path
    settings: EnvoySettings = field(default_factory=EnvoySettings)
    log_level: str = "warning"
    concurrency: int = 1
    connections_limit: int = 1000
    process: asyncio.subprocess.Process | None = None
    ads: AdsServer | None = None

    def __post_init__(self) -> None:
        self.settings = replace(self.settings, policy_socket=str(self.policy_socket))

    @property
    def xds_socket(self) -> Path:
        return self.folder / "xds.sock"

    @property
    def policy_socket(self) -> Path:
        return self.folder / "policy.sock"

    @property
    def admin_socket(self) -> Path:
        return self.folder / "admin.sock"

    @property
    def log(self) -> str:
        return (self.folder / "envoy.log").read_text()

    async def start_control(self, **more) -> AdsServer:
        self.ads = AdsServer(admin_socket=self.admin_socket, **more)
        await self.ads.start(self.xds_socket)
        return self.ads

    async def start_envoy(self) -> None:
        document = bootstrap(
            node_id="test",
            xds_socket=self.xds_socket,
            policy_socket=self.policy_socket,
            admin_socket=self.admin_socket,
            connections_limit=self.connections_limit,
        )
        path = self.folder / "envoy.json"
        path.write_text(json.dumps(document))
        command = command_line(
            envoy_binary(), path, concurrency=self.concurrency, log_level=self.log_level
        )
        with (self.folder / "envoy.log").open("a") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, stderr=log, stdout=log, env={**module_environment(), **os.environ}
            )

    async def publish(self, gateway: Gateway, timeout_s: float = START_LIMIT_S) -> PublishOutcome:
        assert self.ads is not None
        return await self.ads.publish(gateway_resources(gateway, self.settings), timeout_s)

    async def must_publish(self, gateway: Gateway) -> None:
        outcome = await self.publish(gateway)
        assert outcome.status == "live", f"{outcome}\n{self.log}"

    async def kill_envoy(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def running_envoy(**fields) -> AsyncIterator[RunningEnvoy]:
    """Envoy and its control, connected; nothing published yet."""
    folder = Path(tempfile.mkdtemp(prefix="sg-"))  # short: paths of sockets are limited
    envoy = RunningEnvoy(folder, **fields)
    await envoy.start_control()
    try:
        await envoy.start_envoy()
        yield envoy
    finally:
        if envoy.process is not None:
            await envoy.kill_envoy()
        await envoy.ads.stop()
        shutil.rmtree(folder, ignore_errors=True)
