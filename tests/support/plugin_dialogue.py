"""Dialogues with openid-connect itself, without Envoy: a visitor, the plugin, a real provider.

    async with dialogue() as world:
        visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"]))
        answer = await visitor.log_in("/oidc")

Plugin and provider share one clock, `world.clock`, which stands still until a test moves it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

from scopegate.app.http_client import AiohttpClient
from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.snapshot import Plugin
from scopegate.ir.policy import canonical_json, content_id
from scopegate.oidc.discovery import fetch_issuer
from scopegate.plugins.access import (
    Body,
    Continue,
    NeedBody,
    Outcome,
    Redirect,
    Refusal,
    Request,
    Respond,
)
from scopegate.plugins.consumers import ConsumerIndex, ConsumerRecord
from scopegate.plugins.issuer_requests import IssuerRequest
from scopegate.plugins.lowering import Context
from scopegate.plugins.openid_connect.access import OpenIdConnect
from scopegate.plugins.openid_connect.issuer_request import issuer_request
from scopegate.plugins.openid_connect.lower import OpenIdConnectCompiler
from scopegate.plugins.ports import Ports
from scopegate.plugins.registry import PLUGIN_TYPES
from scopegate.session.remembered import Remembered
from scopegate.session.single_flight import FlightsUnderWay
from scopegate_demo.idp import Client, DemoIdp, KeyRing, story_realm
from support.login import Callback, form_browser, log_in
from support.memory_revocations import MemoryRevocations
from support.memory_state import MemoryState

HOST = "localhost:8000"
NOW_S = 1_800_000_000.0
CLUSTER_SECRET = "5e" * 32
WITH_SCOPE, WITHOUT_SCOPE = "Blog_with_scope", "Blog_without_scope"
SECOND_CLIENT = Client("second", "second_secret")
NAVIGATION = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate", "user-agent": "test"}
PREFLIGHT = {"origin": "https://app.example", "access-control-request-method": "GET"}
SCRIPT = {"accept": "application/json", "sec-fetch-mode": "cors", "user-agent": "test"}

_SCHEMA = entity_schemas(PLUGIN_TYPES)["plugins"]
_MAKINGS = Makings(1000, lambda: "00000000-0000-4000-8000-000000000001", lambda: "r" * 32)
_KEY = KeyRing().active  # making one takes longer than a dialogue

Answer = Continue | Refusal | Redirect | Respond


@dataclass
class Clock:
    """Unix seconds, moved by the test."""

    now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class FetchedFacts:
    """Control's part: it fetches an issuer whenever it is asked, and counts."""

    def __init__(self, http: AiohttpClient) -> None:
        self._http = http
        self.requests: dict[str, IssuerRequest] = {}
        self.fetches = 0
        self.suspected: list[str] = []

    def suspect(self, key: str) -> None:
        self.suspected.append(key)

    async def refresh(
        self, key: str, known_id: str | None, _: str | None = None
    ) -> Mapping[str, Any] | None:
        self.fetches += 1
        request = self.requests[key]
        document = (
            await fetch_issuer(self._http, request.discovery, previous=None)
        ).facts.to_json()
        return None if content_id(canonical_json(document)) == known_id else document


@dataclass
class World:
    """A provider, and all that plugins share."""

    idp: DemoIdp
    clock: Clock
    http: AiohttpClient
    shared: MemoryState
    facts: FetchedFacts
    revocations: MemoryRevocations = field(default_factory=MemoryRevocations)
    browsers: dict[str, aiohttp.ClientSession] = field(default_factory=dict)
    remembered: Remembered = field(default_factory=Remembered)

    async def plugin(
        self,
        *,
        consumers: Iterable[ConsumerRecord] = (),
        former_session_secrets: tuple[tuple[str | None, int], ...] = (),
        issuer_is_known: bool = True,
        **config: Any,
    ) -> OpenIdConnect:
        """The plugin as the Admin API stores it and the compiler lowers it."""
        stored = Plugin.from_document(self.document(**config))
        request = issuer_request(stored)
        self.facts.requests[request.key] = request
        known = {}
        if issuer_is_known:
            discovered = await fetch_issuer(self.http, request.discovery, previous=None)
            known[request.key] = discovered.facts.to_json()
        context = Context(known, CLUSTER_SECRET, former_session_secrets)
        step = OpenIdConnectCompiler().lower(stored, context).step
        ports = Ports(
            self.http,
            self.shared,
            self.revocations,
            self.facts,
            self.clock,
            os.urandom,
            FlightsUnderWay(),
            self.remembered,
        )
        return OpenIdConnect(step, ConsumerIndex(consumers), ports)

    def document(self, **config: Any) -> dict[str, Any]:
        """The stored plugin, with the schema's defaults. Raises SchemaViolation."""
        config = {
            "issuer": self.idp.issuer,
            "client_id": ["blog_post"],
            "client_secret": ["blog_post_secret"],
            **config,
        }
        document = _SCHEMA.draft_new({"name": "openid-connect", "config": config}, _MAKINGS)
        _SCHEMA.check(document)
        return document

    def visitor(self, plugin: OpenIdConnect, name: str = "visitor", **changes: Any) -> Visitor:
        """Somebody with an empty cookie jar; `name` says whose cookies the provider sees."""
        return Visitor(plugin, self.browsers[name], **changes)


@asynccontextmanager
async def dialogue(authority: Path | None = None) -> AsyncIterator[World]:
    """A provider with two clients, everything on one clock. `authority`: see AiohttpClient."""
    clock = Clock()
    realm = story_realm()
    realm = replace(realm, clients=(*realm.clients, SECOND_CLIENT))
    http = AiohttpClient(authority)
    async with (
        DemoIdp(realm=realm, keys=KeyRing(_KEY), clock=clock) as idp,
        form_browser() as one,
        form_browser() as other,
    ):
        try:
            world = World(idp, clock, http, MemoryState(clock), FetchedFacts(http))
            world.browsers = {"visitor": one, "other": other}
            yield world
        finally:
            await http.close()


@dataclass
class Visitor:
    """A browser before the gateway: keeps cookies as one does, and follows a login."""

    plugin: OpenIdConnect
    http: aiohttp.ClientSession
    cookies: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    host: str = HOST
    client_ip: str = "192.0.2.1"
    asked_for_body: bool = False

    async def get(self, target: str, **headers: str) -> Answer:
        """A navigation; header names with `_` for `-`."""
        return await self.send("GET", target, NAVIGATION | _spelled(headers))

    async def fetch(self, target: str, **headers: str) -> Answer:
        """What a script in a page does."""
        return await self.send("GET", target, SCRIPT | _spelled(headers))

    async def post(self, target: str, form: Mapping[str, str], **headers: str) -> Answer:
        """A form that a page posts."""
        kind = {"content-type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode()
        return await self.send("POST", target, NAVIGATION | kind | _spelled(headers), body)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """One request; the body follows only if it is asked for. Cookies are kept."""
        path, _, query = target.partition("?")
        pairs = [(name, value) for name, value in headers.items()]
        if self.cookies:
            pairs.append(("cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items())))
        request = Request(
            method=method,
            scheme=self.scheme,
            host=self.host,
            path=path,
            query=query,
            headers=tuple(pairs),
            client_ip=self.client_ip,
            request_id="0" * 32,
        )
        outcome: Outcome = await self.plugin.access(request)
        self.asked_for_body = isinstance(outcome, NeedBody)
        if self.asked_for_body:
            request = replace(request, body=body, body_state=Body.WHOLE)
            outcome = await self.plugin.access(request)
        assert not isinstance(outcome, NeedBody), "asked for the body twice"
        self._keep(outcome)
        return outcome

    async def start_login(self, target: str) -> Redirect:
        """Ask for a page and be sent to the provider."""
        answer = await self.get(target)
        assert isinstance(answer, Redirect), answer
        return answer

    async def authenticate(self, start: Redirect, username: str = WITH_SCOPE) -> Callback:
        """Fill in the provider's page; the way back is not taken yet."""
        return await log_in(self.http, start.location, username)

    async def come_back(self, callback: Callback) -> Answer:
        """Take the way back."""
        if callback.form is not None:
            path = urlsplit(callback.url).path
            return await self.post(path, callback.form, origin="null")
        return await self.get(target_of(callback.url))

    async def log_in(self, target: str = "/oidc", username: str = WITH_SCOPE) -> Answer:
        """The whole login; the answer to the callback."""
        start = await self.start_login(target)
        return await self.come_back(await self.authenticate(start, username))

    @property
    def cookie_bytes(self) -> int:
        """The length of the Cookie header."""
        return len("; ".join(f"{k}={v}" for k, v in self.cookies.items()))

    @property
    def has_session(self) -> bool:
        return "session" in self.cookies

    def copy(self) -> Visitor:
        """Somebody who stole the cookies."""
        return replace(self, cookies=dict(self.cookies))

    def _keep(self, outcome: Continue | Refusal | Redirect | Respond) -> None:
        for value in set_cookies(outcome):
            pair, _, attributes = value.partition(";")
            name, _, content = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = content


def set_cookies(answer: Answer) -> list[str]:
    """The Set-Cookie values of an answer."""
    return [value for name, value in answer.response_headers if name == "set-cookie"]


def allowed(answer: Answer) -> Continue:
    """The answer, which lets the request through."""
    assert isinstance(answer, Continue), answer
    return answer


def refused(answer: Answer, status: int, reason: str) -> Refusal:
    """The answer, which is this refusal."""
    assert isinstance(answer, Refusal), answer
    assert (answer.status, answer.reason) == (status, reason), answer.detail
    return answer


def redirected(answer: Answer, reason: str) -> Redirect:
    """The answer, which is this redirect."""
    assert isinstance(answer, Redirect), answer
    assert answer.reason == reason
    return answer


def upstream(answer: Answer) -> dict[str, str]:
    """The headers that are set for the upstream."""
    return dict(allowed(answer).set_headers)


def target_of(url: str) -> str:
    """Path and query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _spelled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
