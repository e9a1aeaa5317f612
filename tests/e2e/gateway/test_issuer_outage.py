"""The identity provider is down when the plugin is made: its routes wait, others do not notice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import DemoIdp
from support.gateway import Gateway, running_gateway

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with running_gateway(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


async def test_an_issuer_that_is_down_costs_its_own_routes_only_until_it_is_back(
    gateway: Gateway,
) -> None:
    async with DemoIdp() as idp, EchoUpstream() as echo:
        bearer = [("Authorization", f"Bearer {idp.access_token('Blog_with_scope')}")]
        await idp.down()
        await gateway.add_route("/open", f"{echo.url}/anything")
        config = {
            "issuer": idp.issuer,
            "client_id": ["blog_post"],
            "client_secret": ["blog_post_secret"],
            "scopes_required": ["kong_api_access"],
        }
        route = await gateway.add_route("/closed", f"{echo.url}/anything")
        status, plugin = await gateway.ask_admin(
            "POST",
            f"/routes/{route['id']}/plugins",
            {"name": "openid-connect", "config": config},
        )
        assert status == 201, "a plugin can be made while its issuer is down"

        for headers in (bearer, [], [("Accept", "text/html")]):
            refused = await gateway.ask("/closed", headers=headers)
            assert refused.status == 503, "neither a way in, nor a login, nor a 401"
            line = await gateway.log_line(refused)
            assert line["status"] == 503
            assert line["reason"] == "idp_unreachable"
            assert f"issuer {idp.issuer}" in line["event"]
            assert "connection refused" in line["event"]
            assert line["plugin"] == plugin["id"]
        assert (await gateway.ask("/open")).status == 200
        findings = (await gateway.call_admin("GET", "/scopegate/findings"))["data"]
        (found,) = [each for each in findings if each["level"] == "error"]
        assert found["id"] == plugin["id"]
        assert idp.issuer in found["message"]

        await idp.start()
        began_s = time.monotonic()
        await gateway.until(200, "/closed", headers=bearer, within_s=10)
        assert time.monotonic() - began_s < 10
        login = await gateway.ask("/closed")
        assert login.status == 302
        assert (login.one("location") or "").startswith(f"{idp.issuer}/")
        findings = (await gateway.call_admin("GET", "/scopegate/findings"))["data"]
        assert not [each for each in findings if each["level"] == "error"]


async def test_an_issuer_that_goes_down_later_is_not_missed(gateway: Gateway) -> None:
    async with DemoIdp() as idp, EchoUpstream() as echo:
        bearer = [("Authorization", f"Bearer {idp.access_token('Blog_with_scope')}")]
        config = {"issuer": idp.issuer, "client_id": ["blog_post"], "auth_methods": ["bearer"]}
        await gateway.add_route("/later", f"{echo.url}/anything", {"openid-connect": config})
        await gateway.until(200, "/later", headers=bearer)
        await idp.down()
        assert (await gateway.ask("/later", headers=bearer)).status == 200


async def test_an_issuer_that_dies_is_reported_and_its_tokens_go_on(gateway: Gateway) -> None:
    async with DemoIdp() as idp, EchoUpstream() as echo:
        bearer = [("Authorization", f"Bearer {idp.access_token('Blog_with_scope')}")]
        config = {
            "issuer": idp.issuer,
            "client_id": ["blog_post"],
            "client_secret": ["blog_post_secret"],
            "refresh_token_param_name": "refresh_token",
        }
        await gateway.add_route("/dies", f"{echo.url}/anything", {"openid-connect": config})
        await gateway.until(200, "/dies", headers=bearer)
        assert await up(gateway, idp.issuer) == 1
        await idp.down()
        refused = await gateway.ask("/dies", headers=[("Refresh-Token", "some")])
        assert refused.status == 503
        began_s = time.monotonic()
        while await up(gateway, idp.issuer):
            assert time.monotonic() - began_s < 60
            await asyncio.sleep(0.5)
        findings = (await gateway.call_admin("GET", "/scopegate/findings"))["data"]
        assert [each for each in findings if idp.issuer in each["message"]]
        assert [
            line
            for line in gateway.log_lines()
            if line["event"] == "issuer does not answer" and line["issuer"] == idp.issuer
        ]
        assert (await gateway.ask("/dies", headers=bearer)).status == 200
        await idp.start()
        while not await up(gateway, idp.issuer):
            assert time.monotonic() - began_s < 60
            await asyncio.sleep(0.5)


async def up(gateway: Gateway, issuer: str) -> float:
    """The metric `scopegate_issuer_up`."""
    url = f"http://127.0.0.1:{gateway.status}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        text = await answer.text()
    (line,) = [
        line
        for line in text.splitlines()
        if line.startswith("scopegate_issuer_up{") and issuer in line
    ]
    return float(line.rpartition(" ")[2])
