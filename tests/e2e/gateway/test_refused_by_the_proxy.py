"""A write that the store takes and the proxy does not: said at once, shown, and harmless."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from support.gateway import Gateway, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Only RE2 itself knows which scripts its Unicode tables hold.
UNKNOWN_SCRIPT = r"~/\p{Klingon}+$"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


async def write(gateway: Gateway, method: str, path: str, document=None) -> tuple[int, str]:
    """Status and what became of the write at the proxy."""
    admin = f"http://127.0.0.1:{gateway.admin}"
    async with (
        aiohttp.ClientSession(admin) as session,
        session.request(method, path, json=document) as answer,
    ):
        return answer.status, answer.headers["X-Scopegate-Config"]


async def rejections(gateway: Gateway) -> list[str]:
    findings = (await gateway.call_admin("GET", "/scopegate/findings"))["data"]
    return [each["message"] for each in findings if each["code"] == "config_rejected"]


async def test_a_refused_write_is_told_and_the_last_good_configuration_stays(
    gateway: Gateway,
) -> None:
    async with EchoUpstream() as echo:
        good = await gateway.add_route("/good", f"{echo.url}/anything")
        service = f"/services/{good['service']['id']}"
        bad = {"name": "bad", "paths": [UNKNOWN_SCRIPT]}
        assert await write(gateway, "POST", f"{service}/routes", bad) == (201, "rejected")
        (message,) = await rejections(gateway)
        assert "Klingon" in message
        assert "Klingon" in gateway.log()
        assert (await gateway.ask("/good")).status == 200, "the last good configuration stays"

        # Nothing else goes live while the bad route is there, and each write says so.
        more = {"name": "more", "paths": ["/more"]}
        assert await write(gateway, "POST", f"{service}/routes", more) == (201, "rejected")
        assert (await gateway.ask("/more")).status == 404

        assert await write(gateway, "DELETE", "/routes/bad") == (204, "live")
        assert await rejections(gateway) == []
        assert (await gateway.ask("/good")).status == 200
        assert (await gateway.ask("/more")).status == 200
