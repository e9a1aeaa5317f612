"""The whole gateway, `scopegate start`, as a process of its own: free ports, a fresh prefix.

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def gateway(tmp_path_factory):
        async with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
            yield gateway

    pytestmark = pytest.mark.asyncio(loop_scope="module")

The demo identity provider and the echo upstream run in the test's own process (and loop), so that
a test can make them misbehave and can count what they were asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from support.ports import free_ports
from support.raw_http import Reply, ask

READY_S = 40
REQUEST_ID = "x-kong-request-id"

Json = Any  # JSON-shaped data


@dataclass
class Gateway:
    """A gateway that is ready.

    proxy, tls, admin, status   ports on 127.0.0.1
    settings                    what `start` is to add to the environment, SCOPEGATE_… names
    """

    folder: Path
    proxy: int
    tls: int
    admin: int
    status: int
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def prefix(self) -> Path:
        return self.folder / "prefix"

    @property
    def log_path(self) -> Path:
        return self.folder / "gateway.log"

    async def start(self) -> None:
        """Start, also again after `stop`, in the same prefix; returns when it is ready."""
        environment = {
            **os.environ,
            "SCOPEGATE_PREFIX": str(self.prefix),
            "SCOPEGATE_PROXY_LISTEN": f"127.0.0.1:{self.proxy}, 127.0.0.1:{self.tls} ssl http2",
            "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{self.admin}",
            "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{self.status}",
            "SCOPEGATE_DRAIN_TIMEOUT_S": "1",
            "SCOPEGATE_LOG_FORMAT": "json",
            "SCOPEGATE_PROXY_WORKERS": "1",
            **self.settings,
        }
        self._spawn(environment)
        await self._until_ready()

    def _spawn(self, environment: Mapping[str, str]) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("scopegate")), "start"],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self.process.wait, 20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    async def ask_admin(
        self, method: str, path: str, document: Json = None, **more: Any
    ) -> tuple[int, Json]:
        """Status and JSON of the Admin API's answer; `more` goes to aiohttp (data, headers …)."""
        if document is not None:
            more["json"] = document
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{self.admin}") as session,
            session.request(method, path, **more) as answer,
        ):
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def call_admin(self, method: str, path: str, document: Json = None) -> Json:
        """The JSON of an answer that must be good."""
        status, said = await self.ask_admin(method, path, document)
        assert status < 300, f"{method} {path}: {status} {said}"
        return said

    async def add_route(
        self, path: str, upstream: str, plugins: Mapping[str, Mapping[str, Json]] | None = None
    ) -> dict[str, Json]:
        """A service at `upstream` (a URL) and a route to it for `path`, with `plugins` by name.

        The route as the Admin API shows it.
        """
        service = await self.call_admin("POST", "/services", {"url": upstream})
        route: dict[str, Json] = await self.call_admin(
            "POST", f"/services/{service['id']}/routes", {"paths": [path]}
        )
        for name, config in (plugins or {}).items():
            await self.call_admin(
                "POST", f"/routes/{route['id']}/plugins", {"name": name, "config": config}
            )
        return route

    async def ask(self, target: str, **more: Any) -> Reply:
        """One request on a connection of its own, byte for byte; see `raw_http`."""
        return await ask(self.proxy, target, **more)

    async def until(self, status: int, target: str, *, within_s: float = 10, **more: Any) -> Reply:
        """Ask again until the answer has that status (metadata of an issuer is fetched aside)."""
        reply = await self.ask(target, **more)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while reply.status != status:
                    await asyncio.sleep(0.05)
                    reply = await self.ask(target, **more)
        assert reply.status == status, f"{target}: {reply.status} {reply.body[:500]!r}"
        return reply

    def log(self) -> str:
        """Everything that was written so far."""
        return self.log_path.read_text()

    def log_lines(self) -> list[dict[str, Json]]:
        """The log's JSON lines so far."""
        return [json.loads(text) for text in self.log().splitlines() if text.startswith("{")]

    async def log_line(self, reply: Reply) -> dict[str, Json]:
        """The line about a refused request; waits a moment for it."""
        request_id = reply.one(REQUEST_ID)
        assert request_id, f"an answer without a request id: {reply}"
        for _ in range(50):
            for text in self.log().splitlines():
                if text.startswith("{") and request_id in text:
                    line: dict[str, Json] = json.loads(text)
                    return line
            await asyncio.sleep(0.1)
        raise AssertionError(f"no line about {request_id}:\n{self.log()[-2000:]}")

    async def _until_ready(self) -> None:
        assert self.process is not None
        url = f"http://127.0.0.1:{self.status}/status/ready"
        async with aiohttp.ClientSession() as session:
            for _ in range(READY_S * 10):
                if self.process.poll() is not None:
                    raise AssertionError(f"the gateway ended:\n{self.log()[-3000:]}")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url, timeout=aiohttp.ClientTimeout(total=2)) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise AssertionError(f"the gateway is not ready in {READY_S} s:\n{self.log()[-3000:]}")


@contextlib.asynccontextmanager
async def running_gateway(folder: Path, **settings: str) -> AsyncIterator[Gateway]:
    """A gateway in `folder`, with `settings` by kong.conf's names; stopped at the end."""
    proxy, tls, admin, status = free_ports(4)
    environment = {f"SCOPEGATE_{name.upper()}": value for name, value in settings.items()}
    gateway = Gateway(folder, proxy, tls, admin, status, environment)
    try:
        await gateway.start()
        yield gateway
    finally:
        if gateway.process is not None:
            await gateway.stop()
