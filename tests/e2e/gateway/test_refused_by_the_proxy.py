"""What is in the store and the proxy does not take: said, shown, and harmless.

The Admin API refuses all that is known to be refused by the proxy. So it is put past its checks
into the store here, as an older or newer version might have done.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from scopegate.entities.kinds import completion, entity_schemas
from scopegate.plugins.registry import PLUGIN_TYPES
from scopegate.store.sqlite import open_sqlite
from scopegate_demo.echo import EchoUpstream
from support.gateway import Gateway, running_gateway

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

TOO_LONG = "/" + "a" * 20_000
BEYOND = "routes: a value is beyond Envoy's own limits; its line in the log ends in which"
WHY = f"{BEYOND} (changed since the last good one: route bad)"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


async def write(gateway: Gateway, method: str, path: str, document=None) -> tuple[int, str, str]:
    """Status, what became of the write at the proxy, and what is said about it."""
    admin = f"http://127.0.0.1:{gateway.admin}"
    async with (
        aiohttp.ClientSession(admin) as session,
        session.request(method, path, json=document) as answer,
    ):
        said = answer.headers.get("X-Scopegate-Config-Detail", "")
        return answer.status, answer.headers["X-Scopegate-Config"], said


async def plant(gateway: Gateway, route_id: str, **fields: object) -> None:
    """Change a route in the store, past the checks, and wait until the proxy has spoken."""
    store = await open_sqlite(
        gateway.prefix / "scopegate.db",
        random_bytes=secrets.token_bytes,
        now_s=time.time,
        complete=completion(entity_schemas(PLUGIN_TYPES)),
    )
    async with store.write() as tx:
        stored = await tx.get("routes", {"id": route_id})
        assert stored is not None
        await tx.replace("routes", {**stored, **fields})
    await store.close()
    async with asyncio.timeout(5):
        while await state(gateway) != "rejected":  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def rejections(gateway: Gateway) -> list[dict[str, str]]:
    findings = (await gateway.call_admin("GET", "/scopegate/findings"))["data"]
    return [each for each in findings if each["code"] == "config_rejected"]


async def state(gateway: Gateway) -> str:
    """What the status listener says of the proxy's configuration."""
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{gateway.status}") as session,
        session.get("/status") as answer,
    ):
        return (await answer.json())["proxy"]["configuration"]


async def kill(gateway: Gateway, child: str) -> None:
    """kill -9, and wait until it was started again."""

    def pids() -> list[int]:
        lines = gateway.log_lines()
        return [
            line["pid"]
            for line in lines
            if line["event"] == "process started" and line["child"] == child
        ]

    before = pids()
    os.kill(before[-1], signal.SIGKILL)
    async with asyncio.timeout(15):
        while pids() == before:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_served(gateway: Gateway, path: str) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if (await gateway.ask(path)).status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_what_the_proxy_refuses_is_told_and_the_last_good_configuration_stays(
    gateway: Gateway,
) -> None:
    async with EchoUpstream() as echo:
        good = await gateway.add_route("/good", f"{echo.url}/anything")
        service = f"/services/{good['service']['id']}"
        bad = {"name": "bad", "paths": ["/bad"]}
        assert await write(gateway, "POST", f"{service}/routes", bad) == (201, "live", "")
        route = await gateway.call_admin("GET", "/routes/bad")
        await plant(gateway, route["id"], paths=[TOO_LONG])
        (finding,) = await rejections(gateway)
        assert WHY in finding["message"]
        assert (finding["kind"], finding["id"]) == ("routes", route["id"])
        (line,) = [each for each in gateway.log_lines() if each["level"] == "error"]
        assert (line["detail"], line["serves"]) == (WHY, "the last good one")
        for path in ("/good", "/bad"):
            assert (await gateway.ask(path)).status == 200, "the last good configuration stays"

        # Nothing else goes live while the bad route is there, and each write says so.
        more = {"name": "more", "paths": ["/more"]}
        status, state_then, said = await write(gateway, "POST", f"{service}/routes", more)
        assert (status, state_then) == (201, "rejected")
        assert said.startswith(BEYOND)
        assert "route bad" in said
        assert (await gateway.ask("/more")).status == 404

        # Whatever is started again meanwhile serves the last good one, too.
        for child in ("envoy", "control", "envoy"):
            await kill(gateway, child)
            await until_served(gateway, "/good")
        assert await gateway.stop() == 0
        await gateway.start()
        await until_served(gateway, "/good")
        assert (await gateway.ask("/bad")).status == 200
        assert (await gateway.ask("/more")).status == 404
        assert BEYOND in (await rejections(gateway))[0]["message"]

        assert await write(gateway, "DELETE", "/routes/bad") == (204, "live", "")
        assert await rejections(gateway) == []
        assert await state(gateway) == "live"
        assert not (gateway.prefix / "last-good.xds").exists()
        for path, status in (("/good", 200), ("/more", 200), ("/bad", 404)):
            assert (await gateway.ask(path)).status == status
