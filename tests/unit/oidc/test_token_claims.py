"""The standard claims of an access token."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    verify_access_token,
)
from unit.oidc.forged_tokens import (
    ATTACKER,
    CLAIMS,
    FORGED,
    RULES,
    assert_refused,
    refusal,
)
from unit.oidc.forging import (
    ISSUER,
    KEYS,
    NOW_S,
    OTHER_ISSUER,
    access_claims,
    id_claims,
    signed,
)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_token_with_a_bad_claim_is_refused_for_its_own_reason(claim: str) -> None:
    assert_refused(*FORGED[claim])


@pytest.mark.parametrize(
    ("claims", "leeway_s"),
    [
        ({"exp": int(NOW_S) - 4}, 5),
        ({"nbf": int(NOW_S) + 5}, 5),
        ({"iat": int(NOW_S) + 5}, 5),
        ({"exp": NOW_S + 0.5, "nbf": NOW_S - 0.5}, 0),
        ({"sub": ...}, 0),
        ({"aud": ...}, 0),
        ({"aud": []}, 0),
        ({"iat": ...}, 0),
    ],
)
def test_times_within_the_leeway_and_optional_claims_pass(
    claims: dict[str, Any], leeway_s: float
) -> None:
    rules = dataclasses.replace(RULES, leeway_s=leeway_s)
    assert verify_access_token(signed(access_claims(**claims)), rules, KEYS, NOW_S).jwk


def test_a_time_beyond_the_leeway_does_not() -> None:
    rules = dataclasses.replace(RULES, leeway_s=5)
    expired = signed(access_claims(exp=int(NOW_S) - 5))
    assert refusal(expired, rules).reason == Reason.TOKEN_EXPIRED
    early = signed(access_claims(nbf=int(NOW_S) + 6))
    assert refusal(early, rules).reason == Reason.TOKEN_NOT_YET_VALID


@pytest.mark.parametrize(
    ("aud", "audience", "accepted"),
    [
        ("api", ("api",), True),
        (["other", "api"], ("api",), True),
        (["a", "b"], ("a", "b"), True),
        ("a", ("a", "b"), False),
        ("apis", ("api",), False),
        ("api other", ("api",), False),
        ([], ("api",), False),
        (..., ("api",), False),
    ],
)
def test_aud_must_hold_the_whole_audience(aud: Any, audience: Any, accepted: bool) -> None:
    rules = dataclasses.replace(RULES, audience=audience)
    token = signed(access_claims(aud=aud))
    if accepted:
        assert verify_access_token(token, rules, KEYS, NOW_S).claims["aud"] == aud
    else:
        assert refusal(token, rules).reason == Reason.AUDIENCE_MISMATCH


@pytest.mark.parametrize(
    ("hd", "accepted"),
    [("example.com", True), ("example.org", False), (..., False), (["example.com"], False)],
)
def test_hd_must_be_an_allowed_domain(hd: Any, accepted: bool) -> None:
    rules = dataclasses.replace(RULES, domains=("example.com",))
    token = signed(access_claims(hd=hd))
    if accepted:
        assert verify_access_token(token, rules, KEYS, NOW_S).claims["hd"] == hd
    else:
        assert refusal(token, rules).reason == Reason.DOMAIN_NOT_ALLOWED


@pytest.mark.parametrize(
    ("auth_time", "reason"),
    [
        (int(NOW_S) - 60, None),
        (int(NOW_S) - 65, None),
        (int(NOW_S) - 66, Reason.LOGIN_TOO_OLD),
        (int(NOW_S) + 5, None),
        (int(NOW_S) + 6, Reason.AUTH_TIME_INVALID),
        ("60", Reason.AUTH_TIME_INVALID),
        (None, Reason.AUTH_TIME_INVALID),
        (..., Reason.AUTH_TIME_MISSING),
    ],
)
def test_with_max_age_the_login_must_be_young_enough(auth_time: Any, reason: Reason | None) -> None:
    rules = dataclasses.replace(RULES, max_age_s=60, leeway_s=5)
    token = signed(access_claims(auth_time=auth_time))
    if reason is None:
        assert verify_access_token(token, rules, KEYS, NOW_S).jwk
    else:
        assert refusal(token, rules).reason == reason


def test_the_texts_are_those_that_kongs_users_search_for() -> None:
    exp = int(NOW_S) - 1
    expired = refusal(signed(access_claims(exp=exp)))
    assert f"invalid exp claim ({exp}) was specified for access token" in expired.detail
    foreign = refusal(signed(access_claims(iss=OTHER_ISSUER)))
    assert (
        f"invalid issuer ({OTHER_ISSUER}) was specified for access token, {ISSUER} was expected"
        in foreign.detail
    )
    assert "invalid signature" in refusal(signed(access_claims(), ATTACKER)).detail


class TestWithoutClaims:
    """`verify_claims=false`: debugging, but never an open door."""

    rules = dataclasses.replace(RULES, check_claims=False)

    @pytest.mark.parametrize(
        "claims", [{"exp": 1}, {"exp": ...}, {"exp": "x"}, {"aud": 7}, {"sub": 7}, {"nbf": "x"}]
    )
    def test_standard_claims_go_unchecked(self, claims: dict[str, Any]) -> None:
        token = verify_access_token(signed(access_claims(**claims)), self.rules, KEYS, NOW_S)
        assert token.claims == access_claims(**claims)

    def test_an_odd_exp_is_no_expiry(self) -> None:
        token = verify_access_token(signed(access_claims(exp="x")), self.rules, KEYS, NOW_S)
        assert token.expires_at_s is None

    def test_any_issuer_passes_if_the_known_one_signed(self) -> None:
        token = signed(access_claims(iss="whoever"))
        assert verify_access_token(token, self.rules, KEYS, NOW_S).jwk
        forged = signed(access_claims(iss="whoever"), ATTACKER)
        assert refusal(forged, self.rules).reason == Reason.SIGNATURE_INVALID

    def test_a_list_of_issuers_is_checked_all_the_same(self) -> None:
        rules = dataclasses.replace(self.rules, issuers_allowed=(ISSUER,))
        token = signed(access_claims(iss="whoever"))
        assert refusal(token, rules).reason == Reason.ISSUER_NOT_ALLOWED

    def test_the_kind_and_the_domain_are_checked_all_the_same(self) -> None:
        assert refusal(signed(id_claims()), self.rules).reason == Reason.ID_TOKEN_PRESENTED
        rules = dataclasses.replace(self.rules, domains=("example.com",))
        assert refusal(signed(access_claims()), rules).reason == Reason.DOMAIN_NOT_ALLOWED
