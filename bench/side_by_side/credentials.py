"""Credentials of the load: access tokens of the demo provider, and sessions got by logging in."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from bench.side_by_side.load import LoadFailed
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from yarl import URL

from scopegate_demo.idp import DemoIdp, TokenEdit
from support.login import form_browser, log_in

USER = "Blog_with_scope"
_PARALLEL = 8


def bearer_tokens(idp: DemoIdp, count: int) -> list[str]:
    """Header lines with different tokens of one user."""
    edits = (TokenEdit(set={"jti": str(uuid.uuid4())}) for _ in range(count))
    return [f"authorization: Bearer {idp.access_token(USER, edit)}" for edit in edits]


def signing_certificate(idp: DemoIdp, folder: Path) -> tuple[str, Path]:
    """The id of the key that signs tokens, and a PEM file with a certificate of it."""
    key = idp.provider.keys.active
    private = key.private_key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "demo provider")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, SHA256())
    )
    path = folder / "provider.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return str(key.kid), path


async def sessions(url: str, count: int) -> list[str]:
    """Header lines with the cookies of as many logins at `url`. Raises LoadFailed."""
    turns = asyncio.Semaphore(_PARALLEL)
    async with form_browser() as provider, _http() as http:

        async def one() -> str:
            async with turns:
                return await _session(http, provider, url)

        # The first login fills in the form; the provider remembers the browser for all others.
        return [await one(), *await asyncio.gather(*(one() for _ in range(count - 1)))]


async def warm_up(url: str, credentials: Sequence[str]) -> list[str]:
    """Ask once with each; all must be let through. Raises LoadFailed.

    Returns them with the cookies that were answered, as a browser would go on. Such a cookie is
    another credential, so it is asked once as well.
    """
    warm = await _ask_all(url, credentials)
    return warm if warm == list(credentials) else await _ask_all(url, warm)


async def _ask_all(url: str, credentials: Sequence[str]) -> list[str]:
    turns = asyncio.Semaphore(_PARALLEL)
    async with _http() as http:

        async def ask(line: str) -> tuple[int, str]:
            name, _, value = line.partition(": ")
            async with (
                turns,
                http.get(
                    url, headers={name: value} if name else {}, allow_redirects=False
                ) as answer,
            ):
                await answer.read()
                if name != "cookie" or "Set-Cookie" not in answer.headers:
                    return answer.status, line
                cookies = dict(pair.split("=", 1) for pair in value.split("; "))
                _take(answer, cookies)
                return answer.status, f"cookie: {_joined(cookies)}"

        answered = await asyncio.gather(*map(ask, credentials))
    statuses = {status for status, _ in answered}
    if statuses != {200}:
        raise LoadFailed(f"{url}: answered {sorted(statuses)} to credentials that are good")
    return [line for _, line in answered]


def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())


async def _session(http: aiohttp.ClientSession, provider: aiohttp.ClientSession, url: str) -> str:
    cookies: dict[str, str] = {}
    location = await _step(http, url, cookies)
    callback = await log_in(provider, location, USER)
    await _step(http, callback.url, cookies)
    return f"cookie: {_joined(cookies)}"


async def _step(http: aiohttp.ClientSession, url: str, cookies: dict[str, str]) -> str:
    """One navigation; where it leads. What it sets is kept in `cookies`."""
    headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    if cookies:
        headers["cookie"] = _joined(cookies)
    target = URL(url, encoded=True)
    async with http.get(target, headers=headers, allow_redirects=False) as answer:
        if answer.status not in (200, 302, 303):
            raise LoadFailed(f"a login at {target.path} was answered {answer.status}")
        _take(answer, cookies)
        return answer.headers.get("Location", "")


def _take(answer: aiohttp.ClientResponse, cookies: dict[str, str]) -> None:
    for line in answer.headers.getall("Set-Cookie", ()):
        pair, _, attributes = line.partition(";")
        name, _, value = pair.partition("=")
        is_over = "max-age=0" in attributes.lower() or "1970" in attributes
        if value and not is_over:
            cookies[name] = value
        else:
            cookies.pop(name, None)


def _joined(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
