"""A tiny relying party: it shows that a provider's dialogues work, without the gateway."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from support.base64url import to_base64url


@dataclass
class RelyingParty:
    """One client at one provider, with fresh state, nonce and PKCE verifier."""

    issuer: str
    redirect_uri: str = "http://localhost:8000/oidc"
    client_id: str = "blog_post"
    client_secret: str = "blog_post_secret"
    state: str = field(default_factory=secrets.token_urlsafe)
    nonce: str = field(default_factory=secrets.token_urlsafe)
    code_verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def base(self) -> str:
        return f"{self.issuer}/protocol/openid-connect"

    @property
    def code_challenge(self) -> str:
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return to_base64url(digest)

    def authorization_url(self, **changes: str | None) -> str:
        """The login link; None leaves a parameter out."""
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid",
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.code_challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        kept = {name: value for name, value in parameters.items() if value is not None}
        return f"{self.base}/auth?{urlencode(kept)}"

    @property
    def basic(self) -> dict[str, str]:
        """The header of `client_secret_basic`."""
        return {"Authorization": aiohttp.encode_basic_auth(self.client_id, self.client_secret)}

    async def redeem(
        self, http: aiohttp.ClientSession, code: str, **changes: str | None
    ) -> tuple[int, dict]:
        """Status and body of the token endpoint."""
        return await self.token(
            http,
            **{
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "code_verifier": self.code_verifier,
                **changes,
            },
        )

    async def refresh(
        self, http: aiohttp.ClientSession, refresh_token: str, **changes: str | None
    ) -> tuple[int, dict]:
        parameters = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return await self.token(http, **parameters, **changes)

    async def token(
        self, http: aiohttp.ClientSession, **parameters: str | None
    ) -> tuple[int, dict]:
        """Status and body of the token endpoint, with `client_secret_basic`."""
        return await self.post(http, "token", parameters)

    async def post(
        self, http: aiohttp.ClientSession, path: str, parameters: Mapping[str, str | None]
    ) -> tuple[int, dict]:
        form = {name: value for name, value in parameters.items() if value is not None}
        async with http.post(f"{self.base}/{path}", data=form, headers=self.basic) as answer:
            is_json = answer.content_type == "application/json"
            return answer.status, await answer.json() if is_json else {}


@asynccontextmanager
async def callback_page() -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """A page that takes callbacks: its URL, and the parameters of each that came."""
    arrived: list[dict[str, str]] = []

    async def callback(request: web.Request) -> web.Response:
        form = await request.post() if request.method == "POST" else request.query
        arrived.append({name: str(value) for name, value in form.items()})
        text = '<link rel="icon" href="data:,"><h1>Back at the application</h1>'
        return web.Response(text=text, content_type="text/html")

    application = web.Application()
    application.router.add_route("*", "/callback", callback)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://localhost:{port}/callback", arrived
    finally:
        await runner.cleanup()
