"""Forged and broken bearer tokens against the whole gateway: each refused, each for its own reason.

Source: contract openid-connect.md §9 and §22 points 2, 4 and 12; RFC 6750 §3.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwe

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import (
    STORY_CLIENT_ID,
    STORY_CLIENT_SECRET,
    STORY_PASSWORD,
    DemoIdp,
    Edit,
    Fault,
    JwksEdit,
    Signature,
    TokenEdit,
)
from support.base64url import to_base64url
from support.gateway import Gateway, running_gateway
from support.leaks import jwts_in, parts_of
from support.raw_http import RawConnection, Reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

USER = "Blog_with_scope"
SCOPE = "kong_api_access"
INVALID = 'Bearer realm="127.0.0.1", error="invalid_token"'
FORM = ("Content-Type", "application/x-www-form-urlencoded")


@dataclass
class World:
    """The gateway, with the upstream behind it and the provider of `/api`."""

    gateway: Gateway
    idp: DemoIdp
    echo: EchoUpstream

    async def protect(self, path: str, idp: DemoIdp, **config: Any) -> dict[str, Any]:
        """A route for bearer tokens of that provider, live when this returns."""
        config = {
            "issuer": idp.discovery_url,
            "client_id": [STORY_CLIENT_ID],
            "auth_methods": ["bearer"],
            "scopes_required": [SCOPE],
            **config,
        }
        plugins = {"openid-connect": config}
        route = await self.gateway.add_route(path, f"{self.echo.url}/anything", plugins)
        await self.gateway.until(200, path, headers=bearer(idp.access_token(USER)))
        return route

    async def refused(self, reply: Reply, status: int, reason: str) -> dict[str, Any]:
        """Check status and reason; the log's line."""
        line = await self.gateway.log_line(reply)
        assert (reply.status, line["reason"], line["status"]) == (status, reason, status)
        return line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("gateway")
    async with DemoIdp() as idp, EchoUpstream() as echo, running_gateway(folder) as gateway:
        world = World(gateway, idp, echo)
        await world.protect("/api", idp, audience=["account"])
        yield world


def bearer(*tokens: str) -> list[tuple[str, str]]:
    """An Authorization header for each token."""
    return [("Authorization", f"Bearer {token}") for token in tokens]


def forged(idp: DemoIdp, how: Signature, **header: Any) -> str:
    """A token that is good but for the way it is signed, and header members set besides."""
    return idp.access_token(USER, TokenEdit(signature=how, header=Edit(set=header)))


def claiming(idp: DemoIdp, *without: str, **claims: Any) -> str:
    """A token, rightly signed, that claims this."""
    return idp.access_token(USER, TokenEdit(set=claims, without=list(without)))


def with_raw_header(idp: DemoIdp, header: str) -> str:
    """A good token under a header that no JSON library would write, rightly signed."""
    payload = idp.access_token(USER).split(".")[1]
    signed = f"{to_base64url(header.encode())}.{payload}"
    key: Any = idp.keys.active.private_key
    return f"{signed}.{to_base64url(key.sign(signed.encode(), padding.PKCS1v15(), SHA256()))}"


def encrypted(idp: DemoIdp) -> str:
    """A good token inside a JWE for the provider's own public key."""
    header = {"alg": "RSA-OAEP", "enc": "A128GCM"}
    key = type(idp.keys.active).import_key(idp.keys.active.as_pem(private=False))
    return jwe.encrypt_compact(header, idp.access_token(USER), key)


def now_s() -> int:
    return int(time.time())


Forge = Callable[[DemoIdp], str]

TOKENS: dict[str, tuple[str, Forge]] = {
    # how the token was spoilt: the reason that it is refused for, and the token
    "alg none": ("alg_none", lambda idp: forged(idp, Signature.NONE)),
    "alg nOnE": ("alg_none", lambda idp: forged(idp, Signature.NONE, alg="nOnE")),
    "HS256 with the public key": (
        "hs_not_enabled",
        lambda idp: forged(idp, Signature.PUBLIC_KEY_AS_SECRET),
    ),
    "embedded jwk": ("embedded_key", lambda idp: forged(idp, Signature.EMBEDDED_JWK)),
    "unknown kid": ("key_unknown", lambda idp: forged(idp, Signature.UNKNOWN_KID)),
    "kid named twice": (
        "header_member_repeated",
        lambda idp: with_raw_header(
            idp, f'{{"alg":"RS256","kid":"other","kid":"{idp.keys.active.kid}"}}'
        ),
    ),
    "kid no string": ("header_invalid", lambda idp: forged(idp, Signature.RIGHT, kid=[1])),
    "another key": ("signature_invalid", lambda idp: forged(idp, Signature.OTHER_KEY)),
    "one bit flipped": ("signature_invalid", lambda idp: forged(idp, Signature.CORRUPT)),
    "signature cut off": (
        "signature_length_invalid",
        lambda idp: forged(idp, Signature.STRIPPED),
    ),
    "key for another alg": (
        "key_unsuitable",
        lambda idp: forged(idp, Signature.RIGHT, alg="RS512"),
    ),
    "crit": (
        "crit_not_understood",
        lambda idp: forged(idp, Signature.RIGHT, crit=["exp"], exp=now_s() + 60),
    ),
    "b64": ("b64_refused", lambda idp: forged(idp, Signature.RIGHT, b64=False)),
    "typ of something else": (
        "dpop_proof_presented",
        lambda idp: forged(idp, Signature.RIGHT, typ="dpop+jwt"),
    ),
    "JWE": ("token_encrypted", encrypted),
    "no JWT": ("not_a_jwt", lambda _: "opaque-0123456789"),
    "ID token": ("id_token_presented", lambda idp: idp.id_token(USER)),
    "wrong iss": (
        "issuer_not_allowed",
        lambda idp: claiming(idp, iss="https://evil.example/realms/kong"),
    ),
    "iss with a slash more": (
        "issuer_not_allowed",
        lambda idp: claiming(idp, iss=f"{idp.issuer}/"),
    ),
    "iss a list": ("iss_invalid", lambda idp: claiming(idp, iss=[idp.issuer])),
    "iss absent": ("iss_invalid", lambda idp: claiming(idp, "iss")),
    "wrong aud": ("audience_mismatch", lambda idp: claiming(idp, aud="somebody-else")),
    "aud absent": ("audience_mismatch", lambda idp: claiming(idp, "aud")),
    "aud a part of the right one": ("audience_mismatch", lambda idp: claiming(idp, aud="accoun")),
    "aud an object": ("aud_invalid", lambda idp: claiming(idp, aud={"account": True})),
    "nbf in the future": (
        "token_not_yet_valid",
        lambda idp: claiming(idp, nbf=now_s() + 120),
    ),
    "nbf a string": ("nbf_invalid", lambda idp: claiming(idp, nbf="soon")),
    "iat in the future": (
        "token_from_the_future",
        lambda idp: claiming(idp, iat=now_s() + 120),
    ),
    "expired": ("token_expired", lambda idp: claiming(idp, exp=now_s() - 1)),
    "exp absent": ("exp_missing", lambda idp: claiming(idp, "exp")),
    "exp a string": ("exp_invalid", lambda idp: claiming(idp, exp=str(now_s() + 60))),
    "exp true": ("exp_invalid", lambda idp: claiming(idp, exp=True)),
}


@pytest.mark.parametrize("spoilt", TOKENS)
async def test_a_spoilt_token_is_refused_for_its_own_reason(world: World, spoilt: str) -> None:
    reason, forge = TOKENS[spoilt]
    token = forge(world.idp)
    before = len(world.echo.seen)
    reply = await world.gateway.ask("/api", headers=bearer(token))
    await world.refused(reply, 401, reason)
    assert reply.all("www-authenticate") == [INVALID]
    assert reply.one("cache-control") == "no-store"
    assert json.loads(reply.body)["message"] == "Unauthorized"
    assert len(world.echo.seen) == before, "a refused request reached the upstream"


async def test_the_token_that_all_others_are_made_from_is_good(world: World) -> None:
    for token in (
        world.idp.access_token(USER),
        with_raw_header(world.idp, json.dumps({"alg": "RS256", "kid": world.idp.keys.active.kid})),
        claiming(world.idp, aud=["other", "account"], nbf=now_s() - 1),
    ):
        reply = await world.gateway.ask("/api", headers=bearer(token))
        assert reply.status == 200, reply.body


async def test_a_refresh_token_is_no_bearer_token(world: World) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{world.idp.issuer}/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "username": USER,
                "password": STORY_PASSWORD,
                "client_id": STORY_CLIENT_ID,
                "client_secret": STORY_CLIENT_SECRET,
                "scope": "openid",
            },
        ) as answer,
    ):
        tokens = await answer.json()
    reply = await world.gateway.ask("/api", headers=bearer(tokens["access_token"]))
    assert reply.status == 200
    reply = await world.gateway.ask("/api", headers=bearer(tokens["refresh_token"]))
    assert reply.one("www-authenticate") == INVALID
    await world.refused(reply, 401, "refresh_token_presented")
    # As the provider's ID and access tokens are signed; the first is Keycloak's way, HS512.
    signed_as_others = claiming(world.idp, typ="Refresh")
    reply = await world.gateway.ask("/api", headers=bearer(signed_as_others))
    await world.refused(reply, 401, "refresh_token_presented")


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        (..., "[ ]"),
        (None, "[ ]"),
        (7, "[ 7 ]"),
        (True, "[ true ]"),
        ({SCOPE: True}, "[ ]"),
        ([], "[ ]"),
        (["openid", "profile"], "[ openid, profile ]"),
        ([[SCOPE]], "[ ]"),
        ("openid profile email", "[ openid, profile, email ]"),
        (f"{SCOPE}_more", f"[ {SCOPE}_more ]"),
        (SCOPE[:-1], f"[ {SCOPE[:-1]} ]"),
        (SCOPE.upper(), f"[ {SCOPE.upper()} ]"),
    ],
    ids=repr,
)
async def test_without_the_scope_nobody_passes(world: World, scope: Any, found: str) -> None:
    token = claiming(world.idp, "scope") if scope is ... else claiming(world.idp, scope=scope)
    reply = await world.gateway.ask("/api", headers=bearer(token))
    line = await world.refused(reply, 403, "scopes_missing")
    assert line["event"] == f"[openid-connect] required scopes were not found {found}"
    challenge = f'Bearer realm="127.0.0.1", error="insufficient_scope", scope="{SCOPE}"'
    assert reply.all("www-authenticate") == [challenge]
    assert json.loads(reply.body)["message"] == "Forbidden"


async def test_a_refusal_is_logged_with_the_names_of_route_and_service(world: World) -> None:
    route = await world.protect("/named", world.idp)
    service_id = route["service"]["id"]
    name = "größe-价格\u2028\u0085level"
    await world.gateway.call_admin("PATCH", f"/routes/{route['id']}", {"name": name})
    await world.gateway.call_admin("PATCH", f"/services/{service_id}", {"name": "orders-v2"})
    line = await world.refused(await world.gateway.ask("/named"), 401, "no_credential")
    assert (line["route"], line["route_name"]) == (route["id"], name)
    assert (line["service"], line["service_name"]) == (service_id, "orders-v2")


@pytest.mark.parametrize("scope", [["openid", SCOPE], f"openid  {SCOPE}", SCOPE], ids=repr)
async def test_with_the_scope_in_a_list_or_a_string_one_passes(world: World, scope: Any) -> None:
    reply = await world.gateway.ask("/api", headers=bearer(claiming(world.idp, scope=scope)))
    assert reply.status == 200


@pytest.mark.parametrize("places", ["two headers", "header, query and form", "query twice"])
async def test_of_two_credentials_none_counts(world: World, places: str) -> None:
    good, bad = world.idp.access_token(USER), forged(world.idp, Signature.CORRUPT)
    before = len(world.echo.seen)
    for one, other in ((good, bad), (bad, good), (good, good)):
        match places:
            case "two headers":
                reply = await world.gateway.ask("/api", headers=bearer(one, other))
            case "query twice":
                query = f"access_token={one}&access_token={other}"
                reply = await world.gateway.ask(f"/api?{query}")
            case _:
                reply = await world.gateway.ask(
                    f"/api?access_token={one}",
                    method="POST",
                    headers=[*bearer(other), FORM],
                    body=f"access_token={other}".encode(),
                )
        await world.refused(reply, 400, "credential_repeated")
        assert reply.one("www-authenticate") == 'Bearer realm="127.0.0.1", error="invalid_request"'
    assert len(world.echo.seen) == before


async def test_the_token_in_the_header_and_another_in_the_form_are_too_many(world: World) -> None:
    good = world.idp.access_token(USER)
    reply = await world.gateway.ask(
        "/api",
        method="POST",
        headers=[*bearer(good), FORM],
        body=f"a=1&access_token={good}".encode(),
    )
    await world.refused(reply, 400, "credential_repeated")


async def test_a_megabyte_of_header_harms_nobody(world: World) -> None:
    connection = await RawConnection.open(world.gateway.proxy)
    status = None
    # Envoy answers and hangs up while the client still writes.
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await connection.send("/api", headers=bearer("x" * 2**20))
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        status = (await connection.head()).status
    connection.close()
    assert status in (431, None)
    reply = await world.gateway.ask("/api", headers=bearer("x" * 50_000))
    await world.refused(reply, 401, "not_a_jwt")
    reply = await world.gateway.ask("/api", headers=bearer(world.idp.access_token(USER)))
    assert reply.status == 200
    started = [line for line in world.gateway.log_lines() if line["event"] == "process started"]
    assert len(started) == len({line["child"] for line in started}), "a process came again"


@pytest.mark.slow
async def test_two_keys_of_one_id_vouch_for_nobody(world: World) -> None:
    async with DemoIdp() as idp:
        await world.protect("/ambiguous", idp, rediscovery_lifetime=1)
        idp.behaviour.jwks = JwksEdit(repeated_kid=True)
        await asyncio.sleep(1.1)
        # An unknown key id makes the gateway look again, and it finds the second key.
        await world.gateway.ask("/ambiguous", headers=bearer(forged(idp, Signature.UNKNOWN_KID)))
        good = bearer(idp.access_token(USER))
        await world.gateway.until(401, "/ambiguous", headers=good)
        await asyncio.sleep(0.3)
        for how in (Signature.RIGHT, Signature.OTHER_KEY) * 3:
            reply = await world.gateway.ask("/ambiguous", headers=bearer(forged(idp, how)))
            await world.refused(reply, 401, "key_ambiguous")


@pytest.mark.slow
async def test_unknown_key_ids_cost_two_fetches_and_delay_nobody(
    world: World,
) -> None:
    async with DemoIdp() as idp:
        await world.protect("/flood", idp)
        good = bearer(idp.access_token(USER))
        idp.behaviour.faults["jwks"] = Fault(delay_s=1.0)
        fetches = idp.calls["jwks"]
        flood = [
            asyncio.create_task(
                world.gateway.ask(
                    "/flood",
                    headers=bearer(forged(idp, Signature.OTHER_KEY, kid=str(uuid.uuid4()))),
                )
            )
            for _ in range(50)
        ]
        await asyncio.sleep(0.3)
        replies = [await world.gateway.ask("/flood", headers=good) for _ in range(10)]
        assert {reply.status for reply in replies} == {200}
        assert not all(task.done() for task in flood), "the good ones waited for the bad ones"
        refused = await asyncio.gather(*flood)
        assert {reply.status for reply in refused} == {401}
        await world.refused(refused[-1], 401, "key_unknown")
        assert idp.calls["jwks"] - fetches <= 2


@pytest.mark.slow
async def test_a_key_rotated_after_an_unknown_id_works_at_once(world: World) -> None:
    async with DemoIdp() as idp:
        await world.protect("/rotated", idp)
        stray = bearer(forged(idp, Signature.UNKNOWN_KID))
        for _ in range(10):
            await world.refused(
                await world.gateway.ask("/rotated", headers=stray), 401, "key_unknown"
            )
        idp.rotate_keys(overlap=False)
        newest = bearer(idp.access_token(USER))
        assert (await world.gateway.ask("/rotated", headers=newest)).status == 200


@pytest.mark.slow
async def test_a_new_key_is_learned_and_a_withdrawn_one_forgotten(world: World) -> None:
    async with DemoIdp() as idp:
        await world.protect("/rotation", idp)
        former = []
        for _ in range(2):
            former.append(idp.access_token(USER))
            idp.rotate_keys(overlap=False)
            newest = bearer(idp.access_token(USER))
            # At once, however short a time ago the keys were fetched.
            assert (await world.gateway.ask("/rotation", headers=newest)).status == 200
        # Every worker, whatever it once learned.
        await asyncio.sleep(0.3)
        for token in former * 5:
            reply = await world.gateway.ask("/rotation", headers=bearer(token))
            await world.refused(reply, 401, "key_unknown")
            assert (await world.gateway.ask("/rotation", headers=newest)).status == 200


def logged(world: World) -> str:
    logs = [world.gateway.log_path, *(world.gateway.prefix / "logs").glob("*")]
    return "".join(path.read_text() for path in logs)


async def test_no_token_is_in_any_log(world: World) -> None:
    """Wherever the token stood, and whatever became of it; nor of any test before this one."""
    good, bad = world.idp.access_token(USER), forged(world.idp, Signature.CORRUPT)
    without_scope = claiming(world.idp, scope="openid")
    for token, status in ((good, 200), (bad, 401), (without_scope, 403)):
        for target, headers in (
            ("/api?note=private-note", bearer(token)),
            (f"/api?note=private-note&access_token={token}", []),
        ):
            noted = [*headers, ("X-Note", "private-note")]
            reply = await world.gateway.ask(target, headers=noted)
            assert reply.status == status
    both = await world.gateway.ask(f"/api?access_token={good}", headers=bearer(bad))
    await world.refused(both, 400, "credential_repeated")
    await world.gateway.ask(f"/no-such-route?access_token={good}", headers=bearer(good))
    async with asyncio.timeout(5):
        # Envoy writes its log once in a while.
        while "/no-such-route" not in (text := logged(world)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert "scopes_missing" in text
    assert "/api" in text
    assert jwts_in(text) == []
    for token in (good, bad, without_scope):
        assert not any(part in text for part in parts_of(token))
    # Nothing of a query or of a header at all: what it holds is not for us to know.
    assert "private-note" not in text
    assert STORY_PASSWORD not in text


async def test_all_that_lies_in_the_prefix_is_its_owners_alone(world: World) -> None:
    found = [world.gateway.prefix, *world.gateway.prefix.rglob("*")]
    assert any(path.is_socket() for path in found)
    open_to_others = [path for path in found if path.lstat().st_mode & 0o077]
    assert open_to_others == []
