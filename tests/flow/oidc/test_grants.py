"""Dialogues with the token endpoint."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from flow.oidc.scripted_http import DOWN, HTTP, ScriptedHttp, answer
from scopegate.oidc.client_authentication import AuthMethod, ClientCredentials
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, NotConfigured, OidcError
from scopegate.oidc.grants import TokenEndpoint, TokenSet, redeem_code, refresh
from scopegate.oidc.http import HttpAnswer
from scopegate.oidc.reasons import Reason

URL = "https://idp.example/token"
NOW_S = 1_700_000_000.0
GOOD = {
    "access_token": "acc3ss",
    "token_type": "Bearer",
    "expires_in": 300,
    "refresh_token": "r3fresh",
    "id_token": "1d",
    "scope": "openid email",
    "custom": {"a": 1},
}


def endpoint(method: AuthMethod = AuthMethod.BASIC, **more: Any) -> TokenEndpoint:
    return TokenEndpoint(URL, ClientCredentials("blog:post", "s3cr3t"), method, HTTP, **more)


def idp(body: Any, status: int = 200) -> ScriptedHttp:
    return ScriptedHttp({URL: answer(body, status)})


async def redeem(http: ScriptedHttp, at: TokenEndpoint | None = None) -> TokenSet:
    return await redeem_code(
        http,
        at or endpoint(),
        code="c0de",
        redirect_uri="http://localhost:8000/oidc",
        code_verifier="v3rifier",
        now_s=NOW_S,
    )


async def renew(http: ScriptedHttp, at: TokenEndpoint | None = None) -> TokenSet:
    return await refresh(http, at or endpoint(), refresh_token="old-r3fresh", now_s=NOW_S)


async def failure(http: ScriptedHttp) -> OidcError:
    with pytest.raises(OidcError) as caught:
        await redeem(http)
    return caught.value


class TestWhatIsAsked:
    async def test_a_code_is_redeemed_with_its_redirect_uri_and_verifier(self) -> None:
        http = idp(GOOD)
        await redeem(http)
        (asked,) = http.asked
        assert (asked.method, asked.url, asked.settings) == ("POST", URL, HTTP)
        assert asked.form == {
            "grant_type": "authorization_code",
            "code": "c0de",
            "redirect_uri": "http://localhost:8000/oidc",
            "code_verifier": "v3rifier",
        }
        assert asked.headers == {
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
            "authorization": "Basic " + base64.b64encode(b"blog%3Apost:s3cr3t").decode(),
        }

    async def test_without_pkce_no_verifier_is_sent(self) -> None:
        http = idp(GOOD)
        await redeem_code(
            http, endpoint(), code="c", redirect_uri="u", code_verifier=None, now_s=NOW_S
        )
        assert "code_verifier" not in http.asked[0].form

    async def test_a_refresh_token_is_spent_without_redirect_uri(self) -> None:
        http = idp(GOOD)
        await renew(http)
        assert http.asked[0].form == {
            "grant_type": "refresh_token",
            "refresh_token": "old-r3fresh",
        }

    async def test_a_client_may_authenticate_in_the_body(self) -> None:
        http = idp(GOOD)
        await renew(http, endpoint(AuthMethod.POST))
        assert http.asked[0].form["client_id"] == "blog:post"
        assert http.asked[0].form["client_secret"] == "s3cr3t"
        assert "authorization" not in http.asked[0].headers

    async def test_extra_arguments_and_headers_never_replace_ours(self) -> None:
        names = ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token"]
        names += ["client_id", "client_secret", "client_assertion", "client_assertion_type"]
        at = endpoint(
            arguments=(*((name, "evil") for name in names), ("scope", "openid")),
            headers=(("Authorization", "evil"), ("Accept", "evil"), ("X-Extra", "1")),
        )
        http = idp(GOOD)
        await redeem(http, at)
        (asked,) = http.asked
        assert "evil" not in asked.form.values()
        assert asked.form["scope"] == "openid"
        assert "evil" not in asked.headers.values()
        assert asked.headers["x-extra"] == "1"

    def test_no_secret_is_in_the_repr_of_an_endpoint(self) -> None:
        shown = repr(endpoint(arguments=(("a", "argum3nt"),), headers=(("b", "h3ader"),)))
        for secret in ("s3cr3t", "argum3nt", "h3ader"):
            assert secret not in shown


class TestGoodAnswers:
    async def test_the_tokens_are_taken_out(self) -> None:
        tokens = await redeem(idp(GOOD))
        assert tokens.access_token == "acc3ss"
        assert tokens.id_token == "1d"
        assert tokens.refresh_token == "r3fresh"
        assert tokens.expires_at_s == NOW_S + 300
        assert tokens.scope == "openid email"
        assert tokens.answer == GOOD

    async def test_the_least_that_an_answer_may_say_is_enough(self) -> None:
        tokens = await redeem(idp({"access_token": "a", "token_type": "bearer", "id_token": None}))
        assert (tokens.id_token, tokens.refresh_token) == (None, None)
        assert (tokens.expires_at_s, tokens.scope) == (None, None)

    async def test_a_rotated_refresh_token_replaces_the_former(self) -> None:
        assert (await renew(idp(GOOD))).refresh_token == "r3fresh"

    @pytest.mark.parametrize("said", [{}, {"refresh_token": None}, {"refresh_token": ""}])
    async def test_without_a_new_refresh_token_the_former_stays(self, said: dict[str, Any]) -> None:
        body = {"access_token": "a", "token_type": "Bearer", **said}
        assert (await renew(idp(body))).refresh_token == "old-r3fresh"

    @pytest.mark.parametrize(
        ("expires_in", "seconds"),
        [(0, 0), (-5, 0), (3600.5, 3600.5), ("3599", 3599), (10**400, 2**31), (None, None)],
    )
    async def test_the_life_of_a_token_is_a_bounded_number(
        self, expires_in: Any, seconds: float | None
    ) -> None:
        tokens = await redeem(idp({**GOOD, "expires_in": expires_in}))
        assert tokens.expires_at_s == (None if seconds is None else NOW_S + seconds)

    async def test_no_token_is_in_its_repr(self) -> None:
        shown = repr(await redeem(idp(GOOD)))
        for secret in ("acc3ss", "r3fresh", "1d"):
            assert secret not in shown


@pytest.mark.parametrize(
    "body",
    [
        {**GOOD, "access_token": None},
        {**GOOD, "access_token": ""},
        {**GOOD, "access_token": 7},
        {**GOOD, "access_token": "a b\n"},
        {**GOOD, "access_token": "é"},
        {**GOOD, "access_token": "x" * 70_000},
        {**GOOD, "id_token": ["1d"]},
        {**GOOD, "refresh_token": {}},
        {**GOOD, "token_type": None},
        {**GOOD, "token_type": "DPoP"},
        {**GOOD, "token_type": "mac"},
        {**GOOD, "expires_in": "soon"},
        {**GOOD, "expires_in": "-1"},
        {**GOOD, "expires_in": "1e3"},
        {**GOOD, "expires_in": True},
        {**GOOD, "expires_in": [300]},
        {**GOOD, "scope": ["openid"]},
        {},
    ],
    ids=range(18),
)
async def test_an_answer_of_odd_shape_is_unavailability(body: dict[str, Any]) -> None:
    error = await failure(idp(body))
    assert isinstance(error, IdpUnavailable)
    assert error.reason == Reason.TOKEN_ANSWER_INVALID
    for secret in ("acc3ss", "r3fresh", "xxxx"):
        assert secret not in error.detail


async def test_an_answer_without_bound_is_unavailability() -> None:
    error = await failure(idp(b'{"access_token": "' + b"x" * 1024 * 1024 + b'"}'))
    assert isinstance(error, IdpUnavailable)
    assert error.reason == Reason.TOKEN_ANSWER_INVALID


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (400, {"error": "invalid_grant"}, IdpRefused, Reason.INVALID_GRANT),
        (401, {"error": "invalid_grant"}, IdpRefused, Reason.INVALID_GRANT),
        (200, {"error": "invalid_grant"}, IdpRefused, Reason.INVALID_GRANT),
        (400, {"error": "invalid_request"}, IdpRefused, Reason.GRANT_REFUSED),
        (403, {"error": "access_denied"}, IdpRefused, Reason.GRANT_REFUSED),
        (400, {"error": "made up"}, IdpRefused, Reason.GRANT_REFUSED),
        (401, {"error": "invalid_client"}, NotConfigured, Reason.CLIENT_REFUSED),
        (400, {"error": "unauthorized_client"}, NotConfigured, Reason.CLIENT_REFUSED),
        (400, {"error": "unsupported_grant_type"}, NotConfigured, Reason.CLIENT_REFUSED),
        (400, {"error": "invalid_scope"}, NotConfigured, Reason.CLIENT_REFUSED),
        (400, {"error": "server_error"}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (
            400,
            {"error": "temporarily_unavailable"},
            IdpUnavailable,
            Reason.TOKEN_ENDPOINT_UNAVAILABLE,
        ),
        (400, {"error": 7}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (400, {"message": "no"}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (403, b"<html>blocked", IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (404, b"", IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (200, b"<html>login", IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (200, [], IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (201, GOOD, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (302, GOOD, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (408, {"error": "invalid_grant"}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (429, {"error": "invalid_grant"}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (500, {"error": "invalid_grant"}, IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
        (503, b"", IdpUnavailable, Reason.TOKEN_ENDPOINT_UNAVAILABLE),
    ],
)
async def test_a_no_is_told_from_an_outage_and_from_a_wrong_client(
    status: int, body: Any, kind: type[OidcError], reason: Reason
) -> None:
    error = await failure(idp(body, status))
    assert type(error) is kind
    assert error.reason == reason


async def test_no_answer_is_unavailability() -> None:
    assert await failure(ScriptedHttp({URL: DOWN})) is DOWN


async def test_an_error_is_told_with_its_description_on_one_line() -> None:
    body = {"error": "invalid_grant", "error_description": "Code\nnot valid"}
    error = await failure(idp(body, 400))
    assert error.detail == "the token endpoint answered invalid_grant (Code\ufffdnot valid)"


@pytest.mark.parametrize("secret", ["c0de", "v3rifier", "s3cr3t"])
@pytest.mark.parametrize("member", ["error", "error_description"])
async def test_an_error_that_quotes_a_secret_is_not_told(secret: str, member: str) -> None:
    body = {"error": "invalid_grant", member: f"bad {secret}!"}
    assert secret not in (await failure(idp(body, 400))).detail


async def test_a_refresh_token_in_an_error_is_not_told() -> None:
    body = {"error": "invalid_grant", "error_description": "old-r3fresh is used up"}
    http = ScriptedHttp({URL: HttpAnswer(400, {}, answer(body).body)})
    with pytest.raises(IdpRefused) as caught:
        await renew(http)
    assert "old-r3fresh" not in caught.value.detail
    assert caught.value.reason == Reason.INVALID_GRANT
