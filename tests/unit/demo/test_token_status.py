"""User info, introspection and revocation."""

import aiohttp
import pytest

from scopegate_demo.idp import STORY_PASSWORD, DemoIdp, Edit, Signature, TokenEdit
from support.relying_party import RelyingParty

USER = "Blog_with_scope"


async def userinfo(
    http: aiohttp.ClientSession, rp: RelyingParty, token: str | None
) -> tuple[int, dict, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.get(f"{rp.base}/userinfo", headers=headers) as answer:
        is_json = answer.content_type == "application/json"
        body = await answer.json() if is_json else {}
        return answer.status, body, answer.headers.get("WWW-Authenticate", "")


async def introspect(http: aiohttp.ClientSession, rp: RelyingParty, token: str) -> dict:
    status, body = await rp.post(http, "token/introspect", {"token": token})
    assert status == 200
    return body


async def password_tokens(http: aiohttp.ClientSession, rp: RelyingParty) -> dict:
    _, answer = await rp.token(
        http, grant_type="password", username=USER, password=STORY_PASSWORD, scope="openid"
    )
    return answer


async def test_user_info_tells_who_it_is(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    status, body, _ = await userinfo(http, rp, idp.access_token(USER))
    user = idp.realm.user(USER)
    assert user is not None
    assert status == 200
    assert body == {
        "sub": user.sub,
        "email": "blog_with_scope@example.com",
        "email_verified": True,
        "name": "Blog With Scope",
        "groups": ["kong_api_group"],
        "preferred_username": "blog_with_scope",
        "given_name": "Blog",
        "family_name": "With Scope",
    }


async def test_user_info_takes_the_token_from_a_form_but_not_from_two_places(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    token = idp.access_token(USER)
    url = f"{rp.base}/userinfo"
    async with http.post(url, data={"access_token": token}) as answer:
        assert answer.status == 200
    headers = {"Authorization": f"Bearer {token}"}
    async with http.post(url, data={"access_token": token}, headers=headers) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    "edit",
    [
        TokenEdit(signature=Signature.CORRUPT),
        TokenEdit(signature=Signature.NONE),
        TokenEdit(signature=Signature.EMBEDDED_JWK),
        TokenEdit(set={"exp": 1}),
        TokenEdit(set={"exp": "tomorrow"}),
        TokenEdit(without=["exp"]),
        TokenEdit(set={"nbf": 9_999_999_999}),
        TokenEdit(set={"iss": "http://elsewhere.example"}),
        TokenEdit(set={"typ": "ID"}),
        TokenEdit(set={"sid": ["odd"]}),
    ],
)
async def test_a_bad_token_is_worth_nothing(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, edit: TokenEdit
) -> None:
    token = idp.access_token(USER, edit)
    status, _, challenge = await userinfo(http, rp, token)
    assert (status, challenge) == (401, 'Bearer realm="kong", error="invalid_token"')
    assert await introspect(http, rp, token) == {"active": False}


async def test_user_info_without_a_token_is_401_without_an_error(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    status, _, challenge = await userinfo(http, rp, None)
    assert (status, challenge) == (401, 'Bearer realm="kong"')


async def test_user_info_needs_openid_as_keycloaks_does(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    _, without = await rp.token(http, grant_type="client_credentials")
    status, _, challenge = await userinfo(http, rp, without["access_token"])
    assert status == 403
    assert "insufficient_scope" in challenge
    _, having = await rp.token(http, grant_type="client_credentials", scope="openid")
    assert (await userinfo(http, rp, having["access_token"]))[0] == 200


async def test_introspection_shows_the_claims_of_a_live_token(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    tokens = await password_tokens(http, rp)
    access = await introspect(http, rp, tokens["access_token"])
    assert access["active"] is True
    assert access["scope"] == "openid profile email kong_api_access"
    assert access["client_id"] == "blog_post"
    assert access["username"] == "blog_with_scope"
    assert access["token_type"] == "Bearer"
    refresh = await introspect(http, rp, tokens["refresh_token"])
    assert (refresh["active"], refresh["token_type"]) == (True, "Refresh")


async def test_introspection_of_an_expired_or_unknown_token_is_inactive(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    token = idp.access_token(USER)
    clock.forward(idp.lifetimes.access_token_s)
    assert await introspect(http, rp, token) == {"active": False}
    assert await introspect(http, rp, "nonsense") == {"active": False}


@pytest.mark.parametrize("path", ["token/introspect", "revoke"])
async def test_strangers_may_neither_introspect_nor_revoke(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, path: str
) -> None:
    token = idp.access_token(USER)
    rp.client_secret = "wrong"
    status, body = await rp.post(http, path, {"token": token})
    assert (status, body["error"]) == (401, "invalid_client")
    assert (await userinfo(http, rp, token))[0] == 200


@pytest.mark.parametrize("path", ["token/introspect", "revoke"])
async def test_a_token_has_to_be_named(
    http: aiohttp.ClientSession, rp: RelyingParty, path: str
) -> None:
    status, body = await rp.post(http, path, {})
    assert (status, body["error"]) == (400, "invalid_request")


async def test_a_revoked_access_token_is_dead_and_the_session_lives(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    tokens = await password_tokens(http, rp)
    assert (await rp.post(http, "revoke", {"token": tokens["access_token"]}))[0] == 200
    assert await introspect(http, rp, tokens["access_token"]) == {"active": False}
    assert (await userinfo(http, rp, tokens["access_token"]))[0] == 401
    assert (await rp.refresh(http, tokens["refresh_token"]))[0] == 200


async def test_revoking_the_refresh_token_ends_the_session(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    tokens = await password_tokens(http, rp)
    assert (await rp.post(http, "revoke", {"token": tokens["refresh_token"]}))[0] == 200
    assert (await rp.refresh(http, tokens["refresh_token"]))[0] == 400
    assert await introspect(http, rp, tokens["access_token"]) == {"active": False}


async def test_revoking_an_unknown_token_is_no_error(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    assert (await rp.post(http, "revoke", {"token": "nonsense"}))[0] == 200


async def test_answers_can_be_spoiled(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    idp.behaviour.userinfo = Edit(set={"sub": "somebody else"})
    idp.behaviour.introspection = Edit(set={"active": "true"})
    token = idp.access_token(USER)
    assert (await userinfo(http, rp, token))[1]["sub"] == "somebody else"
    assert (await introspect(http, rp, token))["active"] == "true"
