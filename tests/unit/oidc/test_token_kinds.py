"""An access token is told from all else that an issuer signs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scopegate.oidc.errors import TokenRefused
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    read_access_token,
    verify_access_token,
)
from unit.oidc.forged_tokens import (
    ATTACKER,
    FORGED,
    KINDS,
    RULES,
    assert_refused,
    refusal,
)
from unit.oidc.forging import (
    KEYS,
    NOW_S,
    access_claims,
    id_claims,
    signed,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_another_kind_is_refused_for_its_own_reason(kind: str) -> None:
    assert_refused(*FORGED[kind])


@pytest.mark.parametrize(
    ("claims", "header"),
    [
        ({"typ": "Bearer", "nonce": "n"}, {}),
        ({"typ": "DPoP", "at_hash": "x"}, {}),
        ({"nonce": "n"}, {"typ": "at+jwt"}),
        ({"token_use": "access", "nonce": "n"}, {}),
        ({"code": "a claim of somebody's own"}, {}),
    ],
)
def test_an_access_token_that_is_marked_as_one_may_look_like_others(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    token = signed(access_claims(**claims), **header)
    assert verify_access_token(token, RULES, KEYS, NOW_S).claims["sub"] == "user-1"


def test_what_the_token_endpoint_calls_an_access_token_may_look_like_an_id_token() -> None:
    token = signed(id_claims())
    rules = dataclasses.replace(RULES, from_token_endpoint=True)
    assert verify_access_token(token, rules, KEYS, NOW_S).claims["nonce"]
    assert refusal(signed(access_claims(typ="ID")), rules).reason == Reason.ID_TOKEN_PRESENTED


class TestReadFromTheBackChannel:
    """Form, kind and claims of a token straight from the token endpoint."""

    def test_the_signature_is_not_looked_at(self) -> None:
        token = read_access_token(signed(access_claims(), ATTACKER, kid="x"), RULES, NOW_S)
        assert token.claims == access_claims()
        assert token.jwk is None

    def test_an_id_token_in_all_but_name_is_taken(self) -> None:
        assert read_access_token(signed(id_claims()), RULES, NOW_S).claims == id_claims()

    @pytest.mark.parametrize(
        "forgery",
        [
            "alg none",
            "own key embedded",
            "crit",
            "a claim twice",
            "another issuer",
            "no exp",
            "exp is past",
            "nbf is to come",
            "aud is a number",
            "a refresh token",
            "a logout token by its claims",
            "a type that nobody knows",
            "an ID token of Keycloak",
            "a megabyte of header",
        ],
    )
    def test_everything_else_is(self, forgery: str) -> None:
        token, reason = FORGED[forgery]
        with pytest.raises(TokenRefused) as caught:
            read_access_token(token, RULES, NOW_S)
        assert caught.value.reason == reason
