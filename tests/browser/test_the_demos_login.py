"""The demo provider's pages in a real browser."""

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp
from scopegate_demo.idp.login import WRONG_PASSWORD
from support.browser import chromium, log_in, person, screenshot
from support.relying_party import RelyingParty, callback_page

pytestmark = pytest.mark.slow


async def test_a_person_mistypes_logs_in_and_need_not_do_so_again(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    async with callback_page() as (url, arrived), chromium() as browser, person(browser) as page:
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        rp.redirect_uri = url

        await page.goto(rp.authorization_url())
        assert await page.evaluate("document.activeElement.id") == "username"
        await screenshot(page, "demo-login")

        await log_in(page, "Blog_with_scope", "wrong")
        assert await page.get_by_role("alert").inner_text() == WRONG_PASSWORD
        assert await page.get_by_label("User name").input_value() == "Blog_with_scope"
        assert await page.evaluate("document.activeElement.id") == "password"
        await screenshot(page, "demo-wrong-password")

        await log_in(page, "Blog_with_scope")
        assert page.url.startswith(f"{url}?")
        status, tokens = await rp.redeem(http, arrived[0]["code"])
        assert status == 200
        assert tokens["scope"] == "openid profile email kong_api_access"

        await page.goto(rp.authorization_url(response_mode="form_post", state="second"))
        await page.wait_for_url(url)
        assert arrived[1]["state"] == "second"
        assert not complaints, "the content security policy or a missing file"


async def test_a_person_logs_out_when_asked(idp: DemoIdp, rp: RelyingParty) -> None:
    async with callback_page() as (url, _), chromium() as browser, person(browser) as page:
        rp.redirect_uri = url
        await page.goto(rp.authorization_url())
        await log_in(page, "Blog_without_scope")
        await page.goto(f"{rp.base}/logout?client_id=blog_post&post_logout_redirect_uri={url}")
        assert "Blog Without Scope" in await page.locator("main").inner_text()
        await screenshot(page, "demo-logout")
        async with page.expect_navigation():
            await page.get_by_role("button", name="Log out").click()
        assert page.url == url
        await page.goto(rp.authorization_url())
        assert await page.get_by_label("Password").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_a_small_screen(rp: RelyingParty, scheme: str) -> None:
    async with (
        chromium() as browser,
        person(browser, viewport={"width": 320, "height": 640}, color_scheme=scheme) as page,
    ):
        await page.goto(rp.authorization_url(login_hint="Blog_with_scope"))
        width = await page.evaluate("document.documentElement.scrollWidth")
        await screenshot(page, f"demo-login-small-{scheme}")
        assert width <= 320
