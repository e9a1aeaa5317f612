"""What reaches the upstream with a good token: nothing that the client cannot vouch for.

Source: contract openid-connect.md §2 (hide_credentials), §8 (headers), §22 points 1 and 2.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import STORY_CLIENT_ID, STORY_CLIENT_SECRET, DemoIdp
from support.gateway import Gateway, running_gateway
from support.h2_client import H2Connection
from support.raw_http import Headers, Reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

USER = "Blog_with_scope"
SCOPE = "kong_api_access"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
EVIL = "evil-0123456789"


@dataclass
class World:
    """Routes of one upstream.

    /hidden   hide_credentials on, nothing added of the token
    /shown    hide_credentials off, nothing added of the token
    /told     claims and the access token as headers of the operator's choice
    /login    every auth method, so sessions and the login's cookie, too
    /open     no plugin
    """

    gateway: Gateway
    idp: DemoIdp

    def token(self) -> str:
        return self.idp.access_token(USER)


@dataclass
class Seen:
    """What the upstream saw, byte for byte; header names in lower case."""

    target: str
    headers: Headers
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    def __contains__(self, text: str) -> bool:
        return text in repr(self.headers) or text in self.target or text.encode() in self.body


def seen(reply: Reply) -> Seen:
    """What a good answer of the upstream's `/raw` tells."""
    assert reply.status == 200, reply
    said = json.loads(reply.body)
    headers = [(name, value) for name, value in said["headers"]]
    return Seen(said["target"], headers, b64decode(said["body_base64"]))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("gateway")
    async with DemoIdp() as idp, EchoUpstream() as echo, running_gateway(folder) as gateway:
        bearer_only: dict[str, Any] = {
            "issuer": idp.discovery_url,
            "client_id": [STORY_CLIENT_ID],
            "client_secret": [STORY_CLIENT_SECRET],
            "auth_methods": ["bearer"],
            "scopes_required": [SCOPE],
            "upstream_access_token_header": None,
        }
        routes = {
            "/hidden": {**bearer_only, "hide_credentials": True},
            "/shown": {**bearer_only, "hide_credentials": False},
            "/told": {
                **bearer_only,
                "upstream_access_token_header": "x-their-token",
                "upstream_headers_claims": ["email"],
                "upstream_headers_names": ["x-user-email"],
                "upstream_headers": [{"header": "X-User-Groups", "path": ["groups"]}],
            },
            "/login": {
                **bearer_only,
                "auth_methods": ["authorization_code", "session", "bearer"],
            },
        }
        for path, config in routes.items():
            await gateway.add_route(path, f"{echo.url}/raw", {"openid-connect": config})
            good = [("Authorization", f"Bearer {idp.access_token(USER)}")]
            await gateway.until(200, path, headers=good)
        await gateway.add_route("/open", f"{echo.url}/raw")
        yield World(gateway, idp)


async def test_the_token_in_the_header_stays_here(world: World) -> None:
    for header in ("Authorization", "AUTHORIZATION"):
        token = world.token()
        reply = await world.gateway.ask("/hidden", headers=[(header, f"Bearer {token}")])
        assert token not in seen(reply)
        assert seen(reply).all("authorization") == []


async def test_the_token_goes_on_where_it_is_not_to_be_hidden(world: World) -> None:
    token = world.token()
    reply = await world.gateway.ask("/shown", headers=[("Authorization", f"Bearer {token}")])
    assert seen(reply).all("authorization") == [f"Bearer {token}"]
    reply = await world.gateway.ask(f"/shown?a=1&access_token={token}")
    assert seen(reply).target == f"/raw?a=1&access_token={token}"


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("access_token={}", ""),
        ("a=1&access_token={}&b=%32", "?a=1&b=%32"),
        ("access_token={}&a=1", "?a=1"),
        ("access%5Ftoken={}&a=1", "?a=1"),
    ],
)
async def test_the_token_in_the_query_stays_here(world: World, query: str, left: str) -> None:
    token = world.token()
    reply = await world.gateway.ask(f"/hidden?{query.format(token)}")
    assert token not in seen(reply)
    assert seen(reply).target == f"/raw{left}"


@pytest.mark.parametrize(
    ("form", "left"),
    [
        ("access_token={}", b""),
        ("a=1&access_token={}&b=%32", b"a=1&b=%32"),
        ("access_token={}&a=1", b"a=1"),
        ("a=1&access_token={}", b"a=1"),
    ],
)
async def test_the_token_in_a_form_stays_here(world: World, form: str, left: bytes) -> None:
    token = world.token()
    reply = await world.gateway.ask(
        "/hidden", method="POST", headers=[FORM], body=form.format(token).encode()
    )
    assert token not in seen(reply)
    assert seen(reply).body == left
    assert seen(reply).all("content-length") in ([str(len(left))], [])


async def test_the_token_in_json_stays_here(world: World) -> None:
    token = world.token()
    reply = await world.gateway.ask(
        "/hidden",
        method="POST",
        headers=[("Content-Type", "application/json")],
        body=json.dumps({"a": "ö", "access_token": token, "b": 2}).encode(),
    )
    assert token not in seen(reply)
    assert json.loads(seen(reply).body) == {"a": "ö", "access_token": "", "b": 2}


async def test_a_body_that_is_no_credential_arrives_as_it_was(world: World) -> None:
    body = b"access_token is what this text speaks of; \x00\xff"
    reply = await world.gateway.ask(
        "/hidden",
        method="POST",
        headers=[("Authorization", f"Bearer {world.token()}"), ("Content-Type", "text/plain")],
        body=body,
    )
    assert seen(reply).body == body


IDENTITY = (
    "x-consumer-id",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-consumer-groups",
    "x-credential-identifier",
    "x-credential-username",
    "x-anonymous-consumer",
    "x-authenticated-groups",
    "x-authenticated-scope",
    "x-authenticated-userid",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-real-ip",
    "x-kong-request-id",
    "x-scopegate-policy",
    "x-scopegate-decided",
    "x-envoy-original-path",
    "x-their-token",
    "x-user-email",
    "x-user-groups",
)


@pytest.mark.parametrize(
    "spelled",
    [str, str.upper, str.title, lambda name: name.replace("-", "_")],
    ids=["as it is", "upper case", "title case", "underscores"],
)
async def test_who_it_is_only_the_gateway_says(world: World, spelled: Any) -> None:
    spoofed = [(spelled(name), EVIL) for name in IDENTITY]
    # With the last hyphen only as an underscore, too.
    spoofed += [("_".join(name.rsplit("-", 1)), EVIL) for name in IDENTITY]
    token = world.token()
    reply = await world.gateway.ask(
        "/told", headers=[*spoofed, ("Authorization", f"Bearer {token}")]
    )
    request = seen(reply)
    assert EVIL not in request
    assert request.all("x-user-email") == ["blog_with_scope@example.com"]
    assert request.all("x-their-token") == [token]
    assert len(request.all("x-credential-identifier")) == 1
    assert request.all("x-forwarded-proto") == ["http"]
    assert request.all("x-user_email") == []


@pytest.mark.parametrize(
    "named",
    [
        "x-credential-identifier, x-user-email, x-their-token",
        "keep-alive, X-Credential-Identifier, X-User-Email, X-Their-Token",
        "x-scopegate-policy, x-scopegate-phase, x-kong-request-id",
        "x-credential-identifier, te",
    ],
)
async def test_no_header_of_ours_goes_by_being_named_in_connection(
    world: World, named: str
) -> None:
    reply = await world.gateway.ask(
        "/told",
        headers=[("Connection", named), ("Authorization", f"Bearer {world.token()}")],
    )
    request = seen(reply)
    assert request.all("x-user-email") == ["blog_with_scope@example.com"]
    assert len(request.all("x-credential-identifier")) == 1
    assert len(request.all("x-their-token")) == 1
    assert request.all("x-forwarded-proto") == ["http"]
    assert request.all("x-kong-request-id") == [reply.one("x-kong-request-id")]
    assert request.all("connection") == []


@pytest.mark.parametrize("named", ["x-forwarded-proto", "X-Forwarded-For", "host"])
async def test_a_request_that_takes_forwarding_headers_away_is_refused(
    world: World, named: str
) -> None:
    reply = await world.gateway.ask(
        "/told",
        headers=[("Connection", named), ("Authorization", f"Bearer {world.token()}")],
    )
    assert reply.status == 400


@pytest.mark.parametrize("named", ["authorization", "close, Authorization"])
async def test_a_token_named_in_connection_is_no_token(world: World, named: str) -> None:
    """It would not reach the upstream, so it does not count here either."""
    reply = await world.gateway.ask(
        "/shown", headers=[("Connection", named), ("Authorization", f"Bearer {world.token()}")]
    )
    assert reply.status == 401
    assert (await world.gateway.log_line(reply))["reason"] == "no_credential"


@pytest.mark.parametrize("path", ["/login", "/hidden"])
async def test_cookies_of_the_gateway_stay_here(world: World, path: str) -> None:
    cookie = (
        f"a=1; session={EVIL}; session2={EVIL}; b=2; session9={EVIL}; authorization={EVIL};"
        " sessionid=3; my_session=4"
    )
    reply = await world.gateway.ask(
        path, headers=[("Cookie", cookie), ("Authorization", f"Bearer {world.token()}")]
    )
    request = seen(reply)
    assert EVIL not in request
    assert request.all("cookie") == ["a=1; b=2; sessionid=3; my_session=4"]


async def test_sealed_cookies_reach_no_upstream_of_another_route(world: World) -> None:
    """Neither one without a plugin nor one whose plugin has no sessions."""
    good = [("Authorization", f"Bearer {world.token()}")]
    began = await world.gateway.ask("/login", headers=good)
    session = next(value for value in began.all("set-cookie") if value.startswith("session="))
    begun = await world.gateway.ask("/login", headers=[("Accept", "text/html")])
    login = next(value for value in begun.all("set-cookie") if value.startswith("authorization="))
    sealed = [value.partition(";")[0] for value in (session, login)]
    assert (began.status, begun.status) == (200, 302)
    for path, more in (("/open", []), ("/hidden", good)):
        cookie = f"a=1; {sealed[0]}; session2=x; {sealed[1]}; b=2"
        request = seen(await world.gateway.ask(path, headers=[("Cookie", cookie), *more]))
        assert request.all("cookie") == ["a=1; b=2"]
    own = "session=eyJmbGFzayI6MX0.x.y; authorization=mine; session2=mine"
    request = seen(await world.gateway.ask("/open", headers=[("Cookie", own)]))
    assert request.all("cookie") == [own]


async def test_with_no_other_cookies_there_is_no_cookie_header(world: World) -> None:
    reply = await world.gateway.ask(
        "/login",
        headers=[("Cookie", f"session={EVIL}"), ("Authorization", f"Bearer {world.token()}")],
    )
    assert seen(reply).all("cookie") == []


@pytest.mark.parametrize("other", ["X-Access-Token", "access-token"])
async def test_a_token_beside_the_checked_one_does_not_go_on(world: World, other: str) -> None:
    """Both are places for a bearer token, too: two are refused, none is ignored."""
    reply = await world.gateway.ask(
        "/hidden", headers=[("Authorization", f"Bearer {world.token()}"), (other, EVIL)]
    )
    assert reply.status == 400
    assert (await world.gateway.log_line(reply))["reason"] == "credential_repeated"


async def test_over_http2_it_is_no_different(world: World) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connection = await H2Connection.open(
        world.gateway.tls, ssl=context, server_hostname="localhost"
    )
    token = ("authorization", f"Bearer {world.token()}")
    spoofed = [
        (name, EVIL) for name in ("x-consumer-id", "x_credential_identifier", "x_user-email")
    ]
    cookies = [("cookie", "a=1"), ("cookie", f"session={EVIL}"), ("cookie", "b=2")]
    try:
        good = await connection.ask("/told", headers=[token, *spoofed, *cookies], scheme="https")
        repeated = await connection.ask("/told", headers=[token, token], scheme="https")
    finally:
        connection.close()
    request = seen(Reply(good.status, [], good.body))
    assert EVIL not in request
    assert request.all("cookie") == ["a=1; b=2"]
    assert request.all("x-user-email") == ["blog_with_scope@example.com"]
    assert request.all("x-forwarded-proto") == ["https"]
    assert repeated.status == 400
    assert 'error="invalid_request"' in repeated.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("target", "method"),
    [("/hidden", "get"), ("/hidden", "Post"), ("/hidden?\u00e9=1", "GET")],
)
async def test_over_http2_a_good_token_carries_nothing_that_cannot_be_decided_about(
    world: World, target: str, method: str
) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    connection = await H2Connection.open(
        world.gateway.tls, ssl=context, server_hostname="localhost"
    )
    good = [("authorization", f"Bearer {world.token()}")]
    for _ in range(2):  # asked, then remembered
        assert (await connection.ask("/hidden", headers=good, scheme="https")).status == 200
        reply = await connection.ask(target, headers=good, scheme="https", method=method)
        assert reply.status == 400
        said = json.loads(reply.body)
        assert said["reason"] == "request_unreadable"
        assert said["request_id"] == reply.headers["x-kong-request-id"]
    connection.close()
    expected = f"a request is refused: request_unreadable, request_id {said['request_id']}"
    for _ in range(50):
        if expected in [line["event"] for line in world.gateway.log_lines()]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not in the log: {expected}")
