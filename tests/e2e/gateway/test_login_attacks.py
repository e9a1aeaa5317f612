"""Logins and sessions against the whole gateway, as somebody uses them who means no good.

Source: contract openid-connect.md §4, §10, §13 and §22 points 5, 8, 10 and 11.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import (
    STORY_CLIENT_ID,
    STORY_CLIENT_SECRET,
    Behaviour,
    DemoIdp,
    Fault,
    TokenEdit,
)
from support.gateway import REQUEST_ID, Gateway, running_gateway
from support.login import form_browser, log_in
from support.raw_http import Headers, RawConnection, Reply

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

USER, OTHER_USER = "Blog_with_scope", "Blog_without_scope"
HOST = "localhost"
PAGE: Headers = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]


@dataclass
class Browser:
    """Keeps cookies by name, as the gateway sets them; follows nothing by itself."""

    gateway: Gateway
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    host: str = HOST

    async def get(self, target: str, *more: tuple[str, str]) -> Reply:
        headers = [*PAGE, *more]
        if self.cookies:
            headers.append(("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        connection = await RawConnection.open(self.gateway.proxy, limit=1 << 20)
        try:
            async with asyncio.timeout(20):
                reply = await connection.ask(target, host=self.host, headers=headers)
        finally:
            connection.close()
        for cookie in reply.all("set-cookie"):
            pair, _, attributes = cookie.partition(";")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    async def callback(self, target: str, username: str = USER) -> str:
        """Begin a login; the target of the way back, which is not taken."""
        reply = await self.get(target)
        assert reply.status == 302, reply
        back = await log_in(self.http, reply.one("location") or "", username)
        parts = urlsplit(back.url)
        return f"{parts.path}?{parts.query}"

    async def log_in(self, target: str, username: str = USER) -> Reply:
        return await self.get(await self.callback(target, username))

    @property
    def has_session(self) -> bool:
        return any(name.startswith("session") for name in self.cookies)

    def copy(self) -> Browser:
        return replace(self, cookies=dict(self.cookies))


@dataclass
class World:
    gateway: Gateway
    idp: DemoIdp
    echo: EchoUpstream
    browsers: list[aiohttp.ClientSession]

    def browser(self, number: int = 0) -> Browser:
        return Browser(self.gateway, self.browsers[number])

    async def refused(self, reply: Reply, status: int, reason: str) -> None:
        """A page with a request id, and a line in the log with the reason and nothing secret."""
        assert reply.status == status, reply
        assert (reply.one(REQUEST_ID) or "").encode() in reply.body
        line = await self.gateway.log_line(reply)
        assert (line["reason"], line["status"]) == (reason, status)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """/page is the page of the story; the others differ from it in one thing."""
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        DemoIdp() as idp,
        EchoUpstream() as echo,
        running_gateway(folder) as gateway,
        form_browser() as one,
        form_browser() as other,
    ):
        config: dict[str, Any] = {
            "issuer": idp.discovery_url,
            "client_id": [STORY_CLIENT_ID],
            "client_secret": [STORY_CLIENT_SECRET],
            "logout_query_arg": "bye",
            "logout_methods": ["GET"],
            "preserve_query_args": True,
        }
        routes: dict[str, dict[str, Any]] = {
            "/page": {},
            "/": {"login_action": "redirect", "login_tokens": None},
            "/mfa": {
                "authorization_query_args_names": ["acr_values"],
                "authorization_query_args_values": ["mfa"],
            },
            "/other-secret": {"session_secret": "of another route"},
            "/strict": {"issuers_allowed": [idp.issuer]},
            "/again": {"reverify": True},
            "/answered": {"login_action": "response"},
        }
        for path, more in routes.items():
            await gateway.add_route(
                path, f"{echo.url}/anything", {"openid-connect": {**config, **more}}
            )
        for path in routes:
            await gateway.until(302, path)
        yield World(gateway, idp, echo, [one, other])


@pytest_asyncio.fixture(loop_scope="module")
async def world(everything: World) -> AsyncIterator[World]:
    yield everything
    everything.idp.behaviour = Behaviour()
    for http in everything.browsers:
        http.cookie_jar.clear()


def noise(length_bytes: int) -> TokenEdit:
    """An ID token of about that length, which nothing makes shorter by much."""
    return TokenEdit(set={"noise": secrets.token_urlsafe(length_bytes * 9 // 16)})


async def test_a_login_can_be_answered_with_the_tokens(world: World) -> None:
    browser = world.browser()
    reply = await browser.log_in("/answered")
    assert reply.status == 200, reply
    assert list(json.loads(reply.body)) == ["id_token"]
    assert reply.all("cache-control") == ["no-store"]
    assert browser.has_session
    assert (await browser.get("/answered")).status == 200


@pytest.mark.parametrize("length_bytes", [12_000, 30_000])
async def test_a_session_of_many_kilobytes_works_from_login_to_logout(
    world: World, length_bytes: int
) -> None:
    world.idp.behaviour.id_token = noise(length_bytes)
    browser = world.browser()
    assert (await browser.log_in("/page")).status == 200
    assert len(browser.cookies) > 3
    reply = await browser.get("/page")
    assert reply.status == 200
    assert b"session" not in reply.body
    assert (await browser.get("/page?bye=1")).status == 302
    assert browser.cookies == {}


@pytest.mark.parametrize(
    ("length_bytes", "status", "reason"),
    [(50_000, 500, "session_too_large"), (120_000, 503, "token_answer_invalid")],
)
async def test_a_session_that_no_cookies_hold_is_a_page_with_an_id_and_no_loop(
    world: World, length_bytes: int, status: int, reason: str
) -> None:
    world.idp.behaviour.id_token = noise(length_bytes)
    browser = world.browser()
    await world.refused(await browser.log_in("/page"), status, reason)
    assert not browser.has_session


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example/page",
        "/\\evil.example",
        "/deep//evil.example",
        "/deep/..//evil.example",
        "/deep?next=//evil.example",
        "/deep/https://evil.example",
        "/deep@evil.example",
    ],
)
async def test_no_login_leads_to_another_site(world: World, target: str) -> None:
    browser = world.browser()
    reply = await browser.log_in(target)
    assert reply.status == 302
    location = reply.one("location") or ""
    assert location.startswith("/")
    assert urlsplit(urljoin(f"http://{HOST}/deep", location)).netloc == HOST


@pytest.mark.parametrize(
    "target",
    [
        "/%5cevil.example",
        "/%2f%2fevil.example",
        "/%09/evil.example",
        "/deep/%0d%0aLocation:%20https://evil.example",
        "/deep/\xe2\x81\x84\xe2\x81\x84evil.example",
        "/deep/;@evil.example",
        "/deep#//evil.example",
        "/deep\tx",
    ],
)
async def test_what_reads_like_another_site_begins_no_login(world: World, target: str) -> None:
    reply = await world.browser().get(target)
    assert reply.status == 400
    assert reply.one("location") is None


def leads_to_the_provider(world: World, reply: Reply) -> bool:
    return reply.status == 302 and (reply.one("location") or "").startswith(world.idp.issuer)


async def test_a_callback_belongs_to_the_browser_that_began(world: World) -> None:
    """Login CSRF: the attacker's callback in the victim's browser, whole and in parts."""
    attacker, victim = world.browser(0), world.browser(1)
    callback = await attacker.callback("/page", OTHER_USER)
    own = await victim.callback("/page")
    asked = world.idp.calls["token"]
    assert leads_to_the_provider(world, await victim.copy().get(callback))
    theirs, mine = (parse_qs(urlsplit(target).query) for target in (callback, own))
    code, state = mine["code"][0], theirs["state"][0]
    reply = await victim.copy().get(f"/page?code={code}&state={state}")
    assert leads_to_the_provider(world, reply)
    assert world.idp.calls["token"] == asked
    # The attacker's code with the victim's state is redeemed, and PKCE gives it away.
    code, state = theirs["code"][0], mine["state"][0]
    reply = await victim.get(f"/page?code={code}&state={state}&iss={world.idp.issuer}")
    await world.refused(reply, 401, "invalid_grant")
    assert not victim.has_session


async def test_a_callback_is_good_once_and_where_it_began(world: World) -> None:
    browser = world.browser()
    callback = await browser.callback("/page?from=here")
    query = callback.partition("?")[2]
    for path in ("/strict", "/mfa"):
        reply = await browser.copy().get(f"{path}?{query}")
        await world.refused(reply, 401, "callback_state_invalid")
    early = browser.copy()
    assert (await browser.get(callback)).status == 200
    reply = await browser.get(callback)
    assert (reply.status, reply.one("location")) == (302, "/page?from=here")
    assert leads_to_the_provider(world, await early.get(callback))
    assert not early.has_session


@pytest.mark.parametrize("path", ["/mfa", "/other-secret", "/strict"])
async def test_a_session_of_one_route_does_not_open_another_that_asks_for_more(
    world: World, path: str
) -> None:
    browser = world.browser()
    await browser.log_in("/page")
    assert (await browser.get("/page")).status == 200
    assert leads_to_the_provider(world, await browser.get(path))


async def test_pieces_of_cookies_are_no_cookie(world: World) -> None:
    world.idp.behaviour.id_token = noise(12_000)
    browser = world.browser()
    await browser.log_in("/page")
    good = dict(browser.cookies)
    session = good["session"]
    assert "session3" in good
    spoilt: list[dict[str, str]] = [
        {**good, "session2": good["session3"], "session3": good["session2"]},
        {name: value for name, value in good.items() if name != "session2"},
        {**good, "session": "9" + session[1:]},
        {**good, "session": "1" + session[1:]},
        {**good, "session": session + ", session=x"},
        {**good, "session": session[:-1]},
        {**good, "session": session + "="},
        {**good, "session": good["authorization"]},
        {"session": "1" + good["authorization"]},
        {"session": ""},
        {"session": "1"},
    ]
    for cookies in spoilt:
        browser.cookies = dict(cookies)
        reply = await browser.get("/page")
        assert reply.status in (302, 400), (cookies.keys(), reply)
    browser.cookies = {**good, "session9": "left over"}
    assert (await browser.get("/page")).status == 200


async def test_a_copy_is_dead_once_its_owner_has_left(world: World) -> None:
    owner = world.browser()
    await owner.log_in("/page")
    thief = owner.copy()
    assert (await thief.get("/page")).status == 200
    assert (await owner.get("/page?bye=1")).status == 302
    # The proxy may give the yes of a moment ago again, for a second at most (ADR 35).
    await asyncio.sleep(1)
    assert (await thief.get("/page")).status == 302
    assert (await thief.get("/again")).status == 302


ODD: list[Any] = [None, True, 0, -1, 1.5, 1e300, "", [], {}, [[]], "\r\nx-evil: 1", "\0"]


@pytest.mark.parametrize(
    "claim",
    ["sub", "sid", "iss", "aud", "exp", "iat", "nbf", "nonce", "azp", "auth_time", "scope"],
)
async def test_no_claim_of_an_odd_kind_is_a_fault_of_ours(world: World, claim: str) -> None:
    for value in ODD:
        edit = TokenEdit(set={claim: value})
        world.idp.behaviour.id_token = world.idp.behaviour.access_token = edit
        browser = world.browser()
        reply = await browser.log_in("/page")
        assert reply.status in (200, 401), (value, reply)
        if reply.status == 200:
            assert (await browser.get("/page")).status == (200 if browser.has_session else 302)
            assert b"x-evil" not in reply.body.lower()


async def test_requests_at_once_with_an_expiring_token_cost_one_refresh_and_nobody_the_session(
    world: World,
) -> None:
    world.idp.lifetimes.access_token_s = 1
    try:
        browser = world.browser()
        await browser.log_in("/page")
        await asyncio.sleep(1.1)
        asked = world.idp.calls["token.refresh_token"]
        world.idp.behaviour.faults["token"] = Fault(delay_s=0.2, times=1)
        copies = [browser.copy() for _ in range(20)]
        replies = await asyncio.gather(*(copy.get("/page") for copy in copies))
        assert {reply.status for reply in replies} == {200}
        assert world.idp.calls["token.refresh_token"] == asked + 1
    finally:
        world.idp.lifetimes.access_token_s = 300


async def test_a_cache_on_the_way_is_told_that_a_cookie_is_for_one_visitor(world: World) -> None:
    browser = world.browser()
    reply = await browser.log_in("/page")
    assert browser.has_session
    assert 'no-cache="set-cookie"' in reply.all("cache-control")
    reply = await browser.get("/page")
    assert reply.all("set-cookie") == []
    assert 'no-cache="set-cookie"' not in reply.all("cache-control")
