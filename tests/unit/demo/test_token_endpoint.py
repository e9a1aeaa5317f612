"""The token endpoint: codes, refresh, the two direct grants, client authentication."""

import base64
from urllib.parse import quote_plus

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from scopegate_demo.idp import (
    STORY_PASSWORD,
    Client,
    DemoIdp,
    Edit,
    Realm,
    Signature,
    TokenEdit,
    story_realm,
)
from scopegate_demo.idp.signing import at_hash
from support.login import log_in
from support.relying_party import RelyingParty

USER = "Blog_with_scope"


def claims_of(idp: DemoIdp, token: str) -> dict:
    key = RSAKey.import_key(idp.keys.jwks()[0])
    return jwt.decode(token, key, algorithms=["RS256"]).claims


async def code(http: aiohttp.ClientSession, rp: RelyingParty, user: str = USER) -> str:
    return (await log_in(http, rp.authorization_url(), user)).parameters["code"]


async def tokens(http: aiohttp.ClientSession, rp: RelyingParty, user: str = USER) -> dict:
    status, answer = await rp.redeem(http, await code(http, rp, user))
    assert status == 200, answer
    return answer


async def test_a_code_gives_tokens_shaped_like_keycloaks(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    answer = await tokens(http, rp)
    assert set(answer) == {
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "token_type",
        "id_token",
        "not-before-policy",
        "session_state",
        "scope",
    }
    assert answer["expires_in"] == 300
    access = claims_of(idp, answer["access_token"])
    user = idp.realm.user(USER)
    assert user is not None
    assert access["typ"] == "Bearer"
    assert access["iss"] == idp.issuer
    assert access["aud"] == "account"
    assert access["azp"] == "blog_post"
    assert access["sub"] == user.sub
    assert access["iat"] == int(clock())
    assert access["exp"] == int(clock()) + 300
    assert access["sid"] == answer["session_state"]
    assert "kong_api_role" in access["realm_access"]["roles"]
    assert access["groups"] == ["kong_api_group"]
    assert access["email"] == "blog_with_scope@example.com"
    assert access["preferred_username"] == "blog_with_scope"
    assert access["name"] == "Blog With Scope"
    assert "nonce" not in access


async def test_the_id_token_is_for_the_client_and_this_login(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    answer = await tokens(http, rp)
    claims = claims_of(idp, answer["id_token"])
    assert claims["typ"] == "ID"
    assert claims["aud"] == claims["azp"] == "blog_post"
    assert claims["nonce"] == rp.nonce
    assert claims["at_hash"] == at_hash(answer["access_token"])
    assert claims["auth_time"] == int(clock())


@pytest.mark.parametrize(
    ("user", "scope"),
    [
        ("Blog_with_scope", "openid profile email kong_api_access"),
        ("Blog_without_scope", "openid profile email"),
    ],
)
async def test_only_the_user_in_the_group_gets_the_scope(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, user: str, scope: str
) -> None:
    answer = await tokens(http, rp, user)
    assert answer["scope"] == claims_of(idp, answer["access_token"])["scope"] == scope


async def test_without_openid_there_is_no_id_token(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    callback = await log_in(http, rp.authorization_url(scope=None), USER)
    status, answer = await rp.redeem(http, callback.parameters["code"])
    assert status == 200
    assert "id_token" not in answer
    assert answer["scope"] == "profile email kong_api_access"


async def test_a_code_is_good_once_and_its_second_use_ends_the_session(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    once = await code(http, rp)
    _, answer = await rp.redeem(http, once)
    status, refused = await rp.redeem(http, once)
    assert (status, refused["error"]) == (400, "invalid_grant")
    status, refused = await rp.refresh(http, answer["refresh_token"])
    assert (status, refused["error"]) == (400, "invalid_grant")


async def test_a_code_expires(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    late = await code(http, rp)
    clock.forward(idp.lifetimes.code_s)
    status, answer = await rp.redeem(http, late)
    assert (status, answer["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": None},
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": None},
        {"redirect_uri": "http://localhost:8000/other"},
        {"code": "made-up"},
    ],
)
async def test_a_code_needs_its_verifier_and_its_redirect_uri(
    http: aiohttp.ClientSession, rp: RelyingParty, changes: dict
) -> None:
    status, answer = await rp.redeem(http, **({"code": await code(http, rp)} | changes))
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_a_verifier_without_a_challenge_is_refused(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    url = rp.authorization_url(code_challenge=None, code_challenge_method=None)
    without_pkce = (await log_in(http, url, USER)).parameters["code"]
    status, answer = await rp.redeem(http, without_pkce)
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_pkce_is_optional(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    url = rp.authorization_url(code_challenge=None, code_challenge_method=None)
    without_pkce = (await log_in(http, url, USER)).parameters["code"]
    status, _ = await rp.redeem(http, without_pkce, code_verifier=None)
    assert status == 200


async def test_another_client_cannot_redeem_a_code() -> None:
    story = story_realm()
    other = Client("other", "other_secret")
    realm = Realm(story.name, story.users, story.groups, story.scopes, (*story.clients, other))
    async with (
        DemoIdp(realm=realm) as idp,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        rp = RelyingParty(idp.issuer)
        stolen = await code(http, rp)
        rp.client_id, rp.client_secret = "other", "other_secret"
        status, answer = await rp.redeem(http, stolen)
        assert (status, answer["error"]) == (400, "invalid_grant")


async def test_refresh_rotates_and_keeps_the_person(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    first = await tokens(http, rp)
    clock.forward(100)
    status, second = await rp.refresh(http, first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != first["refresh_token"]
    before, after = (claims_of(idp, each["id_token"]) for each in (first, second))
    assert after["sub"] == before["sub"]
    assert after["auth_time"] == before["auth_time"]
    assert after["exp"] == before["exp"] + 100
    assert "nonce" not in after
    assert second["scope"] == first["scope"]


async def test_a_spent_refresh_token_ends_the_session(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    first = await tokens(http, rp)
    _, second = await rp.refresh(http, first["refresh_token"])
    status, answer = await rp.refresh(http, first["refresh_token"])
    assert (status, answer["error"]) == (400, "invalid_grant")
    status, answer = await rp.refresh(http, second["refresh_token"])
    assert (status, answer["error"]) == (400, "invalid_grant")


async def test_refresh_may_ask_for_less_and_not_for_more(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    answer = await tokens(http, rp, "Blog_without_scope")
    status, less = await rp.refresh(http, answer["refresh_token"], scope="openid email")
    assert (status, less["scope"]) == (200, "openid email")
    status, more = await rp.refresh(http, less["refresh_token"], scope="openid kong_api_access")
    assert (status, more["error"]) == (400, "invalid_scope")


async def test_a_refresh_token_expires_and_dies_with_its_session(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    answer = await tokens(http, rp)
    assert answer["refresh_expires_in"] == idp.lifetimes.refresh_token_s
    idp.log_out(USER)
    status, refused = await rp.refresh(http, answer["refresh_token"])
    assert (status, refused["error"]) == (400, "invalid_grant")
    answer = await tokens(http, rp)
    clock.forward(idp.lifetimes.refresh_token_s)
    status, refused = await rp.refresh(http, answer["refresh_token"])
    assert (status, refused["error"]) == (400, "invalid_grant")


async def test_client_credentials_give_a_token_of_the_client_itself(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    status, answer = await rp.token(http, grant_type="client_credentials")
    assert status == 200
    assert "refresh_token" not in answer
    assert "id_token" not in answer
    claims = claims_of(idp, answer["access_token"])
    assert claims["preferred_username"] == "service-account-blog_post"
    assert claims["scope"] == "profile email"
    assert "sid" not in claims


async def test_the_password_grant_takes_the_password(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    grant = {"grant_type": "password", "username": USER, "scope": "openid"}
    status, answer = await rp.token(http, **grant, password=STORY_PASSWORD)
    assert status == 200
    assert "kong_api_access" in answer["scope"].split()
    assert "auth_time" not in claims_of(idp, answer["id_token"])
    status, refused = await rp.token(http, **grant, password="wrong")
    assert (status, refused["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "made-up"}, "invalid_grant"),
        ({"grant_type": "client_credentials", "scope": "nonsense"}, "invalid_scope"),
    ],
)
async def test_wrong_token_requests_are_named(
    http: aiohttp.ClientSession, rp: RelyingParty, parameters: dict, error: str
) -> None:
    status, answer = await rp.token(http, **parameters)
    assert (status, answer["error"]) == (400, error)


async def test_a_repeated_parameter_is_refused(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    form = [("grant_type", "client_credentials"), ("grant_type", "password")]
    async with http.post(f"{rp.base}/token", data=form, headers=rp.basic) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_request"


async def test_the_body_has_to_be_a_form(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    form = {"grant_type": "client_credentials"}
    url = f"{rp.base}/token"
    multipart = aiohttp.MultipartWriter("form-data")
    multipart.append("client_credentials").set_content_disposition("form-data", name="grant_type")
    async with http.post(url, json=form, headers=rp.basic) as answer:
        assert (await answer.json())["error"] == "invalid_request"
    async with http.post(url, data=multipart, headers=rp.basic) as answer:
        assert (await answer.json())["error"] == "invalid_request"


async def test_tokens_are_not_stored(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    form = {"grant_type": "client_credentials"}
    async with http.post(f"{rp.base}/token", data=form, headers=rp.basic) as answer:
        assert answer.headers["Cache-Control"] == "no-store"


class TestClientAuthentication:
    FORM = {"grant_type": "client_credentials"}

    async def post(
        self, http: aiohttp.ClientSession, rp: RelyingParty, form: dict, header: str | None
    ) -> tuple[int, str | None, str | None]:
        headers = {} if header is None else {"Authorization": header}
        url = f"{rp.base}/token"
        async with http.post(url, data=self.FORM | form, headers=headers) as answer:
            error = (await answer.json()).get("error")
            return answer.status, error, answer.headers.get("WWW-Authenticate")

    @staticmethod
    def basic(pair: str) -> str:
        return "Basic " + base64.b64encode(pair.encode()).decode()

    async def test_the_secret_may_come_in_the_header_or_in_the_form(
        self, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        header = self.basic("blog_post:blog_post_secret")
        form = {"client_id": "blog_post", "client_secret": "blog_post_secret"}
        assert await self.post(http, rp, {}, header) == (200, None, None)
        assert await self.post(http, rp, form, None) == (200, None, None)
        assert await self.post(http, rp, form, header) == (400, "invalid_request", None)

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "Basic blog_post:wrong",
            "Basic !!!",
            "Bearer abc",
            "Basic YmxvZ19wb3N0",
        ],
    )
    async def test_a_wrong_one_is_401_with_a_challenge(
        self, http: aiohttp.ClientSession, rp: RelyingParty, header: str | None
    ) -> None:
        status, error, challenge = await self.post(http, rp, {}, header)
        assert (status, error) == (401, "invalid_client")
        assert challenge is not None

    async def test_id_and_secret_are_form_encoded_within_basic(self) -> None:
        story = story_realm()
        odd = Client("odd client", "p:ss+w%rd ä")
        realm = Realm(story.name, story.users, story.groups, story.scopes, (odd,))
        async with DemoIdp(realm=realm) as idp, aiohttp.ClientSession() as http:
            rp = RelyingParty(idp.issuer)
            encoded = self.basic(f"{quote_plus('odd client')}:{quote_plus('p:ss+w%rd ä')}")
            assert (await self.post(http, rp, {}, encoded))[0] == 200
            raw = self.basic("odd client:p:ss+w%rd ä")
            assert (await self.post(http, rp, {}, raw))[0] == 401


class TestMisbehaviour:
    async def test_claims_and_headers_of_tokens(
        self, idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        idp.behaviour.id_token = TokenEdit(set={"nonce": "another"}, without=["aud"])
        idp.behaviour.access_token = TokenEdit(header=Edit(set={"typ": "at+jwt"}))
        answer = await tokens(http, rp)
        claims = claims_of(idp, answer["id_token"])
        assert claims["nonce"] == "another"
        assert "aud" not in claims
        key = RSAKey.import_key(idp.keys.jwks()[0])
        access = jwt.decode(answer["access_token"], key, algorithms=["RS256"])
        assert access.header["typ"] == "at+jwt"

    async def test_signatures(
        self, idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        idp.behaviour.id_token = TokenEdit(signature=Signature.NONE)
        assert (await tokens(http, rp))["id_token"].endswith(".")

    async def test_another_person_after_a_refresh_only(
        self, idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        idp.behaviour.refreshed_id_token = TokenEdit(set={"sub": "somebody else"})
        first = await tokens(http, rp)
        assert claims_of(idp, first["id_token"])["sub"] != "somebody else"
        _, second = await rp.refresh(http, first["refresh_token"])
        assert claims_of(idp, second["id_token"])["sub"] == "somebody else"

    async def test_a_refused_refresh_leaves_the_token_unspent(
        self, idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        answer = await tokens(http, rp)
        idp.behaviour.refuse_refresh = True
        status, refused = await rp.refresh(http, answer["refresh_token"])
        assert (status, refused["error"]) == (400, "invalid_grant")
        idp.behaviour.refuse_refresh = False
        assert (await rp.refresh(http, answer["refresh_token"]))[0] == 200

    async def test_members_of_the_answer(
        self, idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
    ) -> None:
        idp.behaviour.token_answer = Edit(set={"expires_in": "soon"}, without=["refresh_token"])
        answer = await tokens(http, rp)
        assert answer["expires_in"] == "soon"
        assert "refresh_token" not in answer


async def test_calls_are_counted_by_endpoint_and_grant(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    answer = await tokens(http, rp)
    await rp.refresh(http, answer["refresh_token"])
    assert idp.calls["authorization"] == 1
    assert idp.calls["login"] == 1
    assert idp.calls["token"] == 2
    assert idp.calls["token.authorization_code"] == 1
    assert idp.calls["token.refresh_token"] == 1


async def test_requests_are_kept_for_a_look(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    await tokens(http, rp)
    last = idp.requests[-1]
    assert last.endpoint == "token"
    assert last.form["code_verifier"] == rp.code_verifier
    assert last.headers["authorization"].startswith("Basic ")
    assert rp.code_verifier not in repr(last)


async def test_minted_tokens_are_as_good_as_those_of_a_login(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    by_login = claims_of(idp, (await tokens(http, rp))["access_token"])
    minted = claims_of(idp, idp.access_token(USER))
    differing = {"jti", "sid"}
    assert {k: v for k, v in minted.items() if k not in differing} == {
        k: v for k, v in by_login.items() if k not in differing
    }
    assert claims_of(idp, idp.mint({"a": 1})) == {"a": 1}
    assert claims_of(idp, idp.id_token(USER))["typ"] == "ID"
    edited = idp.access_token(USER, TokenEdit(set={"scope": None}, without=["exp"]))
    assert claims_of(idp, edited)["scope"] is None
    assert "exp" not in claims_of(idp, edited)
