"""Several tabs of one real browser, the end of a session, and scripts: against the demo.

Every login comes back to one redirect URI; `login_action=redirect` then leads each tab on to the
page that it asked for.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page

from support.browser import TIMEOUT_MS, chromium, log_in, person, screenshot
from support.demo import RunningDemo, running_demo

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

TABS = 10
COOKIE_LIMIT_BYTES = 4096
# What a program asks, so that no answer is a login page.
PROGRAM = {"Accept": "application/json"}

SEND_BY_FETCH = """async (url) => {
    const answer = await fetch(url, {redirect: "manual"})
    return [answer.type, answer.status, await answer.text()]
}"""
SEND_BY_XHR = """(url) => new Promise((done) => {
    const request = new XMLHttpRequest()
    request.onloadend = () => done([request.responseURL, request.status, request.responseText])
    request.open("GET", url)
    request.send()
})"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDemo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        async with aiohttp.ClientSession(demo.admin) as admin:
            async with admin.get("/routes/openidconnectRoute/plugins") as answer:
                (plugin,) = (await answer.json())["data"]
            change = {"config": {"login_action": "redirect", "login_tokens": None}}
            async with admin.patch(f"/plugins/{plugin['id']}", json=change) as answer:
                assert answer.status == 200, await answer.text()
                assert (await answer.json())["config"]["login_redirect_uri"] is None
        yield demo


async def page_that_the_upstream_saw(page: Page) -> str:
    """The path after the upstream's own."""
    seen = json.loads(await page.inner_text("body"))
    return urlsplit(seen["url"]).path.removeprefix("/anything")


async def cookies_of(context: BrowserContext, url: str) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in await context.cookies(url)}


async def test_ten_tabs_that_log_in_at_once_all_arrive_at_their_own_page(
    demo: RunningDemo,
) -> None:
    pages = [f"/page-{number}" for number in range(TABS)]
    async with chromium() as browser:
        context = await browser.new_context()
        context.set_default_timeout(TIMEOUT_MS * 2)
        tabs = [await context.new_page() for _ in pages]
        await asyncio.gather(
            *(tab.goto(demo.url + page) for tab, page in zip(tabs, pages, strict=True))
        )
        assert all(tab.url.startswith(demo.idp) for tab in tabs), "all see a login page"
        await asyncio.gather(*(log_in(tab, "Blog_with_scope") for tab in tabs))
        arrived = [tab.url for tab in tabs]
        shown = [await page_that_the_upstream_saw(tab) for tab in tabs]
        cookies = await cookies_of(context, demo.url)
        await screenshot(tabs[-1], "tabs-last")
        await context.close()
    assert arrived == [demo.url + page for page in pages]
    assert shown == pages
    assert "session" in cookies


async def test_logout_ends_the_session_and_every_copy_of_its_cookie(demo: RunningDemo) -> None:
    async with chromium() as browser, person(browser) as page:
        await page.goto(demo.url)
        await log_in(page, "Blog_with_scope")
        copied = await cookies_of(page.context, demo.url)
        assert "session" in copied
        async with aiohttp.ClientSession(cookies=copied, headers=PROGRAM) as thief:
            async with thief.get(demo.url) as answer:
                assert answer.status == 200, "the copy is good as long as the session lives"
            await page.goto(f"{demo.url}?logout=1")
            await screenshot(page, "demo-after-logout")
            left = await cookies_of(page.context, demo.url)
            # The proxy may give the yes of a moment ago again, for a second at most (ADR 35).
            await asyncio.sleep(1)
            async with thief.get(demo.url) as answer:
                assert answer.status == 401
                assert "Authorization" not in await answer.text()
        assert not {name for name in left if name.startswith("session")}
        assert left.get("authorization") != copied.get("authorization")
        await page.goto(demo.url)
        assert page.url.startswith(demo.idp), "the provider's session is over, too: it asks again"
        assert await page.locator("#password").count() == 1


@pytest.mark.parametrize("send", [SEND_BY_FETCH, SEND_BY_XHR], ids=["fetch", "XMLHttpRequest"])
async def test_a_script_without_a_session_gets_401_and_no_redirect(
    demo: RunningDemo, send: str
) -> None:
    async with chromium() as browser, person(browser) as page:
        # A page of the gateway's own origin without a login: what no route is for.
        found = await page.goto(demo.url.removesuffix("/oidc") + "/open")
        assert found is not None
        assert found.status == 404
        how, status, text = await page.evaluate(send, demo.url)
        cookies = await cookies_of(page.context, demo.url)
    assert status == 401
    assert how in ("basic", demo.url), "neither an opaque redirect nor another address"
    message = json.loads(text)
    assert message["message"] == "Unauthorized"
    assert re.fullmatch(r"[0-9a-f]{32}", message["request_id"])
    assert cookies == {}, "no login was begun"


async def test_two_hundred_navigations_without_a_login_leave_few_cookies(
    demo: RunningDemo,
) -> None:
    async with chromium() as browser, person(browser) as page:
        for number in range(200):
            answer = await page.context.request.get(f"{demo.url}/{number}", max_redirects=0)
            assert answer.status == 302
        cookies = await cookies_of(page.context, demo.url)
    assert cookies
    assert sum(len(name) + len(value) for name, value in cookies.items()) < COOKIE_LIMIT_BYTES
