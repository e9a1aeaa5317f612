"""A request with a cached decision cannot be told from one that was asked about.

Two gateways with the same configuration: one asks about every request, one caches. Each request
goes to the first once and to the second three times, over HTTP/1.1 or HTTP/2; the responses and
what the upstream gets must be the same, byte for byte. In between sessions end, plugins and
consumers change and keys rotate. Source: docs/adr/0035, rules 2 to 4.
"""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import (
    STORY_CLIENT_ID,
    STORY_CLIENT_SECRET,
    DemoIdp,
    Lifetimes,
    Signature,
    TokenEdit,
)
from support.gateway import Gateway, running_gateway
from support.h2_client import H2Connection
from support.login import form_browser, log_in
from support.raw_http import Headers, Reply

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

USERS = ("Blog_with_scope", "Blog_without_scope")
HOST = "localhost"
PAGE: Headers = [("Accept", "text/html"), ("Sec-Fetch-Mode", "navigate")]
PREFLIGHT: Headers = [
    ("Origin", "https://app.example"),
    ("Access-Control-Request-Method", "GET"),
]
REQUESTS = 150
# What differs between any two requests, or between two gateways.
PASSING = {
    "x-kong-request-id",
    "x-kong-upstream-latency",
    "x-kong-proxy-latency",
    "x-kong-response-latency",
    "x-forwarded-port",
    "date",
    "content-length",
}


@dataclass
class World:
    """`asking` asks about everything, `caching` does not."""

    idp: DemoIdp
    asking: Gateway
    caching: Gateway
    plugins: dict[str, str] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)

    async def both(self, method: str, path: str, document: Any = None) -> Any:
        said = None
        for gateway in (self.asking, self.caching):
            said = await gateway.call_admin(method, path, document)
        return said

    async def compare(self, request: dict[str, Any], *, over_http2: bool = False) -> int:
        """The status, which all four responses have."""
        ask = ask_over_http2 if over_http2 else Gateway.ask
        expected = told(await ask(self.asking, **request))
        for _ in range(3):
            assert told(await ask(self.caching, **request)) == expected, request
        return expected[0]


async def ask_over_http2(
    gateway: Gateway, target: str, *, method: str, host: str, headers: Headers, body: bytes | None
) -> Reply:
    """The same request on a connection of its own. HTTP/2 has lower-case names and no length."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connection = await H2Connection.open(gateway.tls, ssl=context, server_hostname=host)
    try:
        reply = await connection.ask(
            target,
            method=method,
            authority=host,
            scheme="https",
            headers=[(name.lower(), value) for name, value in headers],
            body=body,
        )
    finally:
        connection.close()
    lines = [(name, value) for name, value in reply.lines if not name.startswith(":")]
    return Reply(status=reply.status, headers=lines, body=reply.body)


def told(reply: Reply) -> tuple[int, list[tuple[str, str]], Any]:
    """An answer without what passes: status, headers, and the body, with what the upstream saw."""
    headers = sorted(kept(reply.headers))
    if reply.status != 200:
        cookies = [(name, value.partition("=")[0]) for name, value in headers]
        plain = [pair for pair in headers if pair[0] not in ("set-cookie", "location")]
        return reply.status, plain, [pair for pair in cookies if pair[0] == "set-cookie"]
    said = json.loads(reply.body)
    said["headers"] = sorted(kept((name.lower(), value) for name, value in said["headers"]))
    # A session that a token begins is told once.
    return reply.status, [pair for pair in headers if pair[0] in ("content-type", "x-hint")], said


def kept(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name not in PASSING]


async def session_of(gateway: Gateway, target: str, username: str) -> str:
    """The Cookie header of somebody who is logged in."""
    cookies: dict[str, str] = {}

    async def get(target: str) -> Reply:
        header = [("Cookie", "; ".join(f"{k}={v}" for k, v in cookies.items()))] if cookies else []
        reply = await gateway.ask(target, host=HOST, headers=[*PAGE, *header])
        for cookie in reply.all("set-cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            cookies[name] = value
            if "Max-Age=0" in cookie:
                del cookies[name]
        return reply

    async with form_browser() as provider:
        reply = await get(target)
        assert reply.status == 302, reply
        back = urlsplit((await log_in(provider, reply.one("location") or "", username)).url)
        await get(f"{back.path}?{back.query}")
    return "; ".join(f"{k}={v}" for k, v in cookies.items() if k.startswith("session"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    lifetimes = Lifetimes(access_token_s=7200, id_token_s=7200)
    async with (
        DemoIdp(lifetimes=lifetimes) as idp,
        EchoUpstream() as echo,
        running_gateway(tmp_path_factory.mktemp("asking"), replay_limit_s="0") as asking,
        running_gateway(
            tmp_path_factory.mktemp("caching"), replay_limit_s="60", proxy_workers="2"
        ) as caching,
    ):
        world = World(idp, asking, caching)
        await configure(world, f"{echo.url}/raw")
        for gateway in (asking, caching):
            good = [("Authorization", f"Bearer {idp.access_token(USERS[0])}")]
            await gateway.until(200, "/bearer", headers=good)
            await gateway.until(302, "/session", headers=PAGE)
        world.tokens = credentials(idp)
        for username in (*USERS, USERS[0]):
            world.cookies.append(await session_of(asking, "/session", username))
        yield world


async def configure(world: World, upstream: str) -> None:
    common = {
        "issuer": world.idp.discovery_url,
        "client_id": [STORY_CLIENT_ID],
        "client_secret": [STORY_CLIENT_SECRET],
        "session_secret": "0123456789abcdef0123456789abcdef",
        "redirect_uri": [f"http://{HOST}/session"],
        "logout_uri_suffix": "/logout",
        "rediscovery_lifetime": 1,
        # Else the first of four equal requests would end the session of the others.
        "forbidden_destroy_session": False,
        "unauthorized_destroy_session": False,
    }
    mapped = {"consumer_claims": [["email"]], "consumer_by": ["username"]}
    configs: dict[str, dict[str, Any]] = {
        "bearer": {
            "auth_methods": ["bearer"],
            "upstream_headers": [
                {"header": "X-Mail", "path": ["email"]},
                {"header": "X-Roles", "path": ["realm_access", "roles"]},
            ],
        },
        "scope": {"auth_methods": ["bearer"], "scopes_required": ["kong_api_access"]},
        "consumer": {"auth_methods": ["bearer"], **mapped, "consumer_optional": True},
        "session": {"auth_methods": ["session", "authorization_code"]},
        "strict": {
            "auth_methods": ["session", "authorization_code"],
            "scopes_required": ["kong_api_access"],
            "upstream_id_token_header": "x-id-token",
        },
        "all": {
            "anonymous": None,
            "run_on_preflight": False,
            "hide_credentials": False,
            "session_bind": ["user-agent"],
        },
        "down": {
            "auth_methods": ["bearer"],
            "downstream_headers": [{"header": "X-Hint", "path": ["email"]}],
        },
    }
    service = {"id": "5d1f2b7c-0000-4000-8000-000000000001", "name": "up", "url": upstream}
    await world.both("POST", "/services", service)
    consumer = {"id": "5d1f2b7c-0000-4000-8000-000000000002"}
    user = world.idp.realm.user(USERS[0])
    await world.both("POST", "/consumers", {**consumer, "username": user.email})
    for number, (name, config) in enumerate(configs.items()):
        route = {"id": f"5d1f2b7c-0000-4000-8001-{number:012d}", "name": name}
        await world.both("POST", "/services/up/routes", {**route, "paths": [f"/{name}"]})
        plugin = {"id": f"5d1f2b7c-0000-4000-8002-{number:012d}", "name": "openid-connect"}
        document = {**plugin, "config": {**common, **config}}
        await world.both("POST", f"/routes/{name}/plugins", document)
        world.plugins[name] = plugin["id"]


def credentials(idp: DemoIdp) -> list[str]:
    """Good, not good enough, broken and odd tokens."""
    good, lacking = (idp.access_token(user) for user in USERS)
    return [
        good,
        idp.access_token(USERS[0], TokenEdit(set={"jti": "another"})),
        lacking,
        idp.access_token(USERS[0], TokenEdit(set={"exp": 1000})),
        idp.access_token(USERS[0], TokenEdit(signature=Signature.CORRUPT)),
        good[:-3],
        f"{good},{lacking}",
        "opaque",
    ]


def spelled(chance: random.Random, name: str) -> str:
    """A header's name as somebody may write it."""
    other = chance.choice(["-", "-", "-", "_", "."])
    return chance.choice([str, str.upper, str.title])(name.replace("-", other))


def request_of(world: World, chance: random.Random) -> dict[str, Any]:
    headers: Headers = []
    for _ in range(chance.choices([0, 1, 2], [1, 8, 1])[0]):
        name = chance.choices(["Authorization", "Access-Token", "X-Access-Token"], [8, 1, 1])[0]
        scheme = chance.choices(["Bearer ", "bearer  ", "", "Basic "], [8, 1, 1, 1])[0]
        headers.append((spelled(chance, name), scheme + chance.choice(world.tokens)))
    if chance.random() < 0.5:
        cookie = chance.choice([*world.cookies, "other=1", ""])
        more = chance.choice(["", "; a=b", "; session=forged", "; theme=dark"])
        headers.append((chance.choice(["Cookie", "cookie"]), cookie + more))
    for name in chance.sample(
        ["x-mail", "x-roles", "x-consumer-id", "x-other", "proxy-authorization", "x-id-token"],
        chance.choice([0, 0, 1, 2]),
    ):
        headers.append((spelled(chance, name), "forged"))
    if chance.random() < 0.3:
        headers.append(("User-Agent", chance.choice(["one", "two"])))
    if chance.random() < 0.3:
        headers += PAGE
    chance.shuffle(headers)
    method, body = chance.choice([("GET", None), ("GET", None), ("DELETE", None), ("POST", b"")])
    if method == "POST":
        kind, body = chance.choice(
            [
                ("application/json", b'{"a": 1}'),
                ("application/x-www-form-urlencoded", b"a=1&access_token=evil"),
                ("text/plain", b"x"),
            ]
        )
        headers.append(("Content-Type", kind))
    if chance.random() < 0.1:
        method = "OPTIONS"
        headers += chance.choice([[], PREFLIGHT, PREFLIGHT[:1], PREFLIGHT[1:]])
    query = chance.choices(
        ["", "?a=1", "?q=a%20b", "?access_token=evil", "?Access%5FToken=evil", "?state=x&code=y"],
        [8, 1, 1, 1, 1, 1],
    )[0]
    path = chance.choice(list(world.plugins))
    rest = chance.choice(["", "", "/x", "/%7Ex"])
    return {
        "target": f"/{path}{rest}{query}",
        "method": method,
        "host": HOST,
        "headers": headers,
        "body": body,
    }


@pytest.mark.parametrize(("seed", "over_http2"), [(1, False), (2, False), (4, True), (5, True)])
async def test_generated_requests(world: World, seed: int, over_http2: bool) -> None:
    chance = random.Random(seed)
    statuses = [
        await world.compare(request_of(world, chance), over_http2=over_http2)
        for _ in range(REQUESTS)
    ]
    assert {200, 302, 400, 401, 403} <= set(statuses)
    assert statuses.count(200) > REQUESTS / 8


async def test_cached_decisions_are_counted_and_not_asked_about(world: World) -> None:
    """Else the comparison would say nothing."""

    async def total(name: str) -> float:
        status, text = await metrics(world.caching)
        assert status == 200
        lines = (line for line in text.splitlines() if line.startswith(f"{name}{{"))
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    token = world.idp.access_token(USERS[0], TokenEdit(set={"jti": "counted"}))
    request = {"target": "/bearer", "headers": [("Authorization", f"Bearer {token}")]}
    asked, decided = "scopegate_decision_seconds_count", "scopegate_decisions_total"
    await asyncio.sleep(2.5)  # what was counted before is reported by then
    before = {name: await total(name) for name in (asked, decided)}
    for _ in range(50):
        assert (await world.caching.ask(**request)).status == 200
    # Once for each of the proxy's two workers.
    assert 1 <= await total(asked) - before[asked] <= 2
    for _ in range(40):
        if await total(decided) - before[decided] == 50:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{await total(decided) - before[decided]} of 50 decisions counted")


async def metrics(gateway: Gateway) -> tuple[int, str]:
    from aiohttp import ClientSession

    async with (
        ClientSession() as http,
        http.get(f"http://127.0.0.1:{gateway.status}/metrics") as answer,
    ):
        return answer.status, await answer.text()


async def settle(world: World, request: dict[str, Any], status: int) -> None:
    """Both gateways say this within a second, and stay with it."""
    for gateway in (world.asking, world.caching):
        await gateway.until(status, **request, within_s=1.5)
    for _ in range(6):
        assert await world.compare(request) == status


async def warmed(world: World, request: dict[str, Any]) -> None:
    for _ in range(8):
        assert (await world.caching.ask(**request)).status == 200


async def test_a_logout_ends_it_at_once(world: World) -> None:
    """For a copy of the cookie, too, in all workers of the proxy that the logout passed through."""
    cookie = await session_of(world.asking, "/session", USERS[0])
    session = {"target": "/session/x", "host": HOST, "headers": [("Cookie", cookie)]}
    await warmed(world, session)
    for gateway in (world.asking, world.caching):
        reply = await gateway.ask(
            "/session/logout", method="POST", host=HOST, headers=[("Cookie", cookie)]
        )
        assert reply.status == 302
    for _ in range(6):
        assert await world.compare(session) == 302


async def test_a_changed_plugin_ends_it(world: World) -> None:
    lacking = world.idp.access_token(USERS[1])
    request = {"target": "/bearer", "headers": [("Authorization", f"Bearer {lacking}")]}
    await warmed(world, request)
    plugin = f"/plugins/{world.plugins['bearer']}"
    await world.both("PATCH", plugin, {"config": {"scopes_required": ["kong_api_access"]}})
    await settle(world, request, 403)
    await world.both("PATCH", plugin, {"config": {"scopes_required": None}})
    await settle(world, request, 200)


async def test_a_deleted_consumer_ends_it(world: World) -> None:
    good = world.idp.access_token(USERS[0])
    request = {"target": "/consumer", "headers": [("Authorization", f"Bearer {good}")]}
    await warmed(world, request)
    told_before = told(await world.caching.ask(**request))
    assert "x-consumer-id" in dict(told_before[2]["headers"])
    await world.both("DELETE", "/consumers/5d1f2b7c-0000-4000-8000-000000000002")
    await asyncio.sleep(1)
    told_after = told(await world.caching.ask(**request))
    assert "x-consumer-id" not in dict(told_after[2]["headers"])
    assert await world.compare(request) == 200


async def test_a_withdrawn_key_ends_it(world: World) -> None:
    good = world.idp.access_token(USERS[0])
    old = {"target": "/bearer", "headers": [("Authorization", f"Bearer {good}")]}
    await warmed(world, old)
    world.idp.rotate_keys(overlap=False)
    # A token with the new key makes control look for it; from then on the old one is withdrawn.
    newer = world.idp.access_token(USERS[0])
    new = {"target": "/bearer", "headers": [("Authorization", f"Bearer {newer}")]}
    for gateway in (world.asking, world.caching):
        await gateway.until(200, **new)
    await settle(world, old, 401)
    assert await world.compare(new) == 200
