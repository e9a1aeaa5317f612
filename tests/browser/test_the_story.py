"""The story of the mission with a real browser, against the demo's identity provider."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import pytest

from support.browser import chromium, log_in, person, screenshot
from support.demo import RunningDemo, running_demo
from support.leaks import jwts_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SCOPES_NOT_FOUND = "required scopes were not found [ openid, profile, email ]"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


async def test_blog_with_scope_reaches_the_upstream(demo: RunningDemo) -> None:
    async with chromium() as browser, person(browser) as page:
        await page.goto(demo.url)
        await screenshot(page, "demo-login")
        await log_in(page, "Blog_with_scope")
        seen = json.loads(await page.inner_text("body"))
        await screenshot(page, "demo-with-scope")
    assert seen["url"].endswith("/anything")
    assert seen["args"] == {}, "the code and the state stay at the gateway"
    assert seen["headers"]["Authorization"].startswith("Bearer ")
    assert "Cookie" not in seen["headers"]


async def test_blog_without_scope_is_refused_and_the_log_says_why(demo: RunningDemo) -> None:
    async with chromium() as browser, person(browser) as page:
        await page.goto(demo.url)
        await log_in(page, "Blog_without_scope")
        text = await page.inner_text("body")
        cookies = {cookie["name"] for cookie in await page.context.cookies(demo.url)}
        await screenshot(page, "demo-without-scope")
    assert "403 Forbidden" in text
    request_id = re.search(r"[0-9a-f]{32}", text)
    assert request_id is not None
    assert "session" not in cookies, "a refused user leaves without a session"
    line = demo.log_line(request_id[0])
    assert line["event"] == f"[openid-connect] {SCOPES_NOT_FOUND}"
    assert line["reason"] == "scopes_missing"
    assert line["status"] == 403


async def test_a_form_without_a_session_can_be_sent_again(demo: RunningDemo) -> None:
    async with chromium() as browser, person(browser) as page:
        # A page of the same site, with a form.
        await page.goto(urljoin(demo.url, "/elsewhere"))
        await page.set_content(
            f'<form method="post" action="{demo.url}"><input name="note" value="mine"></form>'
        )
        async with page.expect_navigation():
            await page.locator("form").evaluate("form => form.submit()")
        text = await page.inner_text("body")
        await screenshot(page, "demo-form-not-sent")
        assert "Sign in, then send it again" in text
        assert "401 Unauthorized" in text
        async with page.context.expect_page() as opened:
            await page.locator("a").click(modifiers=["Control"])
        other = await opened.value
        await log_in(other, "Blog_with_scope")
        assert json.loads(await other.inner_text("body"))["method"] == "GET"
        await page.reload()
        seen = json.loads(await page.inner_text("body"))
        assert (seen["method"], seen["form"]) == ("POST", {"note": "mine"})


async def test_the_link_to_sign_in_leads_to_the_login(demo: RunningDemo) -> None:
    async with chromium() as browser, person(browser) as page:
        await page.goto(urljoin(demo.url, "/elsewhere"))
        await page.set_content(f'<form method="post" action="{demo.url}"></form>')
        async with page.expect_navigation():
            await page.locator("form").evaluate("form => form.submit()")
        async with page.expect_navigation():
            await page.locator("a").click()
        await log_in(page, "Blog_with_scope")
        assert json.loads(await page.inner_text("body"))["method"] == "GET"


async def test_a_login_by_form_post_from_another_site_works(
    demo: RunningDemo, http: aiohttp.ClientSession
) -> None:
    """The provider is another site (127.0.0.1 for localhost): the login cookie comes along."""
    async with http.get(f"{demo.admin}/plugins") as answer:
        (plugin,) = (await answer.json())["data"]
    for mode in ("form_post", "query"):
        change = {"config": {"response_mode": mode}}
        async with http.patch(f"{demo.admin}/plugins/{plugin['id']}", json=change) as answer:
            assert answer.status == 200
        async with chromium() as browser, person(browser) as page:
            await page.goto(demo.url)
            assert ("response_mode=form_post" in page.url) is (mode == "form_post")
            await log_in(page, "Blog_with_scope")
            await page.wait_for_url(f"{demo.url}**")
            assert json.loads(await page.inner_text("body"))["method"] == "GET"


async def test_no_secret_is_in_any_log(demo: RunningDemo) -> None:
    # What the demo prints for the reader names its users' password; what it logs must not.
    log = "".join(line for line in demo.log().splitlines() if line.startswith("{"))
    log += "".join(path.read_text() for path in Path(demo.prefix, "logs").glob("*"))
    assert "scopes_missing" in log
    assert jwts_in(log) == []
    for secret in ("code=", "state=", "session=", "blog_post_secret", "veryComplex"):
        assert secret not in log, f"{secret} in the log"
