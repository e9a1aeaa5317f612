"""Logging in at the demo provider without a browser, for tests of dialogues.

    async with form_browser() as http:
        callback = await log_in(http, location_of_the_redirect, "Blog_with_scope")
        callback.url, callback.form

The `http` session keeps cookies, so a second login needs no password.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import aiohttp
from yarl import URL

PASSWORD = "veryComplexPa55word"


class LoginRefused(Exception):
    """The provider shows a page instead of going back: its status and its alert or heading."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True)
class Callback:
    """Where the provider sends the browser.

    url     with the answer in its query, or without when `form` has it
    form    the fields that the browser is to POST (`response_mode=form_post`), else None
    """

    url: str
    form: Mapping[str, str] | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """code, state, iss … or error …, wherever they stand."""
        if self.form is not None:
            return dict(self.form)
        return dict(parse_qsl(urlsplit(self.url).query))


@asynccontextmanager
async def form_browser() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session that keeps cookies of IP addresses, too, as browsers do."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield http


async def log_in(
    http: aiohttp.ClientSession,
    authorization_url: str,
    username: str,
    password: str = PASSWORD,
) -> Callback:
    """Open the authorization request, fill in the login page if there is one; not followed further.

    Raises LoginRefused on a wrong password and on an error page.
    """
    page = await _open(http, "GET", authorization_url)
    if isinstance(page, Callback):
        return page
    form = page.form_with("password")
    if form is None:
        raise LoginRefused(page.status, page.text)
    filled = {"username": username, "password": password}
    page = await _open(http, "POST", form.action, filled)
    if isinstance(page, Callback):
        return page
    raise LoginRefused(page.status, page.text)


@dataclass(frozen=True)
class _Form:
    action: str
    fields: dict[str, str]


class _Page(HTMLParser):
    """The forms of a page, its alert and its heading."""

    def __init__(self, url: str, status: int, content: str) -> None:
        super().__init__()
        self.status = status
        self.forms: list[_Form] = []
        self._url = url
        self._alert = ""
        self._heading = ""
        self._into = ""
        self.feed(content)

    @property
    def text(self) -> str:
        return self._alert or self._heading

    def form_with(self, name: str) -> _Form | None:
        return next((form for form in self.forms if name in form.fields), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self.forms.append(_Form(urljoin(self._url, values.get("action") or ""), {}))
        elif tag == "input" and self.forms:
            self.forms[-1].fields[values.get("name") or ""] = values.get("value") or ""
        self._into = "alert" if values.get("role") == "alert" else tag

    def handle_endtag(self, tag: str) -> None:
        self._into = ""

    def handle_data(self, data: str) -> None:
        if self._into == "alert":
            self._alert += data
        elif self._into == "h1":
            self._heading += data


async def _open(
    http: aiohttp.ClientSession, method: str, url: str, form: Mapping[str, str] | None = None
) -> Callback | _Page:
    target = URL(url, encoded=True)
    async with http.request(method, target, data=form, allow_redirects=False) as answer:
        if answer.status in (302, 303):
            return Callback(urljoin(url, answer.headers["Location"]))
        page = _Page(url, answer.status, await answer.text())
    answer_form = page.form_with("iss")
    return Callback(answer_form.action, answer_form.fields) if answer_form else page
