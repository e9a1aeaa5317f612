"""A real browser: Debian's Chromium, driven by Playwright.

    async with chromium() as browser, person(browser) as page:
        await page.goto(url)
        await log_in(page, "Blog_with_scope")
        await screenshot(page, "upstream-reached")

`log_in` fills in the demo provider's login page and Keycloak's alike: their fields have the same
names. Tests that use this are marked `slow`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from support.login import PASSWORD

SCREENSHOTS = Path(__file__).parent.parent / "browser" / "screenshots"

# Nothing that talks to the world by itself; no QUIC, so that loopback stays plain TCP.
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

TIMEOUT_MS = 15_000


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running Chromium. Raises LookupError when none is installed."""
    path = shutil.which("chromium")
    if path is None:
        raise LookupError("Chromium is missing: install Debian's package chromium")
    # Chromium's sandbox refuses to start for root.
    flags = [*FLAGS, "--no-sandbox"] if os.geteuid() == 0 else list(FLAGS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def person(browser: Browser, **context: Any) -> AsyncIterator[Page]:
    """A page of somebody with no cookies yet. `context`: Playwright's options for a context."""
    fresh = await browser.new_context(**context)
    fresh.set_default_timeout(TIMEOUT_MS)
    try:
        yield await fresh.new_page()
    finally:
        await fresh.close()


async def log_in(page: Page, username: str, password: str = PASSWORD) -> None:
    """Fill in the login page that is open, and wait for what comes after it."""
    await page.locator("#username").fill(username)
    await page.locator("#password").fill(password)
    async with page.expect_navigation():
        await page.locator("#password").press("Enter")


async def screenshot(page: Page, name: str) -> Path:
    """The whole page as `tests/browser/screenshots/<name>.png`."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    await page.screenshot(path=path, full_page=True)
    return path
