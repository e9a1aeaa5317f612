"""Keys and signatures: whose token it is, and what is none at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from joserfc.jwk import OctKey

from scopegate.oidc.claim_checks import AccessTokenRules
from scopegate.oidc.errors import TokenRefused, UnknownKey
from scopegate.oidc.issuer_facts import IssuerFacts, KeySource, Origin
from scopegate.oidc.keys import KeySet, SharedSecret
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    verify_access_token,
)
from unit.oidc import vectors
from unit.oidc.forged_tokens import (
    ATTACKER,
    FORGED,
    HEADERS,
    HS_RULES,
    ID_RULES,
    RULES,
    SECRET,
    SIGNATURES,
    SIZES,
    assert_refused,
    refusal,
)
from unit.oidc.forging import (
    CLIENT_SECRET,
    EC,
    EC_KID,
    ED25519,
    ED25519_KID,
    ISSUER,
    KEYS,
    NOW_S,
    OTHER_ISSUER,
    P521,
    P521_KID,
    RSA,
    RSA_KID,
    access_claims,
    facts,
    signed,
)


@pytest.mark.parametrize(
    ("key", "header"),
    [
        (RSA, {}),
        (RSA, {"alg": "RS384"}),
        (RSA, {"alg": "RS512"}),
        (RSA, {"alg": "PS256"}),
        (RSA, {"alg": "PS384"}),
        (RSA, {"alg": "PS512"}),
        (EC, {"alg": "ES256", "kid": EC_KID}),
        (P521, {"alg": "ES512", "kid": P521_KID}),
        (ED25519, {"alg": "EdDSA", "kid": ED25519_KID}),
        (ED25519, {"alg": "Ed25519", "kid": ED25519_KID}),
        (RSA, {"kid": ...}),
        (RSA, {"typ": ...}),
        (RSA, {"typ": "at+jwt"}),
        (RSA, {"typ": "application/at+jwt"}),
    ],
)
def test_a_good_token_is_accepted(key: Any, header: dict[str, Any]) -> None:
    token = verify_access_token(signed(access_claims(), key, **header), RULES, KEYS, NOW_S)
    assert token.claims == access_claims()
    assert token.expires_at_s == NOW_S + 300
    assert token.jwk is not None
    assert "d" not in token.jwk


@pytest.mark.parametrize("forgery", {**HEADERS, **SIGNATURES, **SIZES})
def test_a_forged_or_broken_token_is_refused_for_its_own_reason(forgery: str) -> None:
    assert_refused(*FORGED[forgery])


def test_only_an_unknown_key_is_worth_a_rediscovery() -> None:
    for token, reason in FORGED.values():
        assert isinstance(refusal(token), UnknownKey) is (reason == Reason.KEY_UNKNOWN)


def test_a_bad_signature_without_key_id_is_worth_a_rediscovery() -> None:
    error = refusal(signed(access_claims(), ATTACKER, kid=...))
    assert isinstance(error, UnknownKey)
    assert error.reason == Reason.SIGNATURE_INVALID


def test_a_repeated_key_id_is_refused() -> None:
    members = ATTACKER.as_dict(private=False)
    other = {name: str(members[name]) for name in ("kty", "n", "e")}
    keys = KeySet.from_facts(
        facts(vectors.public(vectors.RSA_JWK, kid=RSA_KID), {**other, "kid": RSA_KID})
    )
    assert refusal(signed(access_claims()), keys=keys).reason == Reason.KEY_AMBIGUOUS
    assert refusal(signed(access_claims(), ATTACKER), keys=keys).reason == Reason.KEY_AMBIGUOUS


def test_one_issuers_key_does_not_vouch_for_another() -> None:
    known = IssuerFacts(
        ISSUER,
        Origin.DOCUMENT,
        key_sources=(
            KeySource(f"{ISSUER}/certs", True, (vectors.public(vectors.RSA_JWK, kid=RSA_KID),)),
            KeySource(f"{OTHER_ISSUER}/certs", False, (vectors.public(vectors.EC_JWK, kid="o"),)),
        ),
    )
    allowed = (ISSUER, OTHER_ISSUER)
    keys = KeySet.from_facts(known, allowed)
    rules = dataclasses.replace(RULES, issuers_allowed=allowed)
    good = signed(access_claims(iss=OTHER_ISSUER), EC, alg="ES256", kid="o")
    assert verify_access_token(good, rules, keys, NOW_S).claims["iss"] == OTHER_ISSUER
    crossed = signed(access_claims(iss=ISSUER), EC, alg="ES256", kid="o")
    assert refusal(crossed, rules, keys).reason == Reason.KEY_UNKNOWN
    crossed = signed(access_claims(iss=OTHER_ISSUER))
    assert refusal(crossed, rules, keys).reason == Reason.KEY_UNKNOWN
    unnamed = signed(access_claims(iss=OTHER_ISSUER), kid=...)
    assert refusal(unnamed, rules, keys).reason == Reason.KEY_UNKNOWN


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_is_taken_where_it_is_enabled(algorithm: str) -> None:
    token = signed(access_claims(), SECRET, alg=algorithm, kid=...)
    accepted = verify_access_token(token, HS_RULES, KEYS, NOW_S)
    assert accepted.claims == access_claims()
    assert accepted.jwk is None
    assert refusal(token).reason == Reason.HS_NOT_ENABLED


@pytest.mark.parametrize(
    ("secret", "algorithm"), [("x" * 31, "HS256"), ("x" * 47, "HS384"), ("x" * 63, "HS512")]
)
def test_a_short_secret_checks_nothing(secret: str, algorithm: str) -> None:
    rules = dataclasses.replace(RULES, shared_secret=SharedSecret.of(secret))
    token = signed(access_claims(), OctKey(secret.encode(), b""), alg=algorithm)
    assert refusal(token, rules).reason == Reason.SECRET_TOO_SHORT


def test_with_a_shared_secret_the_public_key_still_signs_nothing() -> None:
    for key in (
        RSA.as_pem(private=False),
        RSA.as_der(private=False),
        vectors.RSA_JWK["n"].encode(),
    ):
        token = signed(access_claims(), OctKey(key, b""), alg="HS256")
        assert refusal(token, HS_RULES).reason == Reason.SIGNATURE_INVALID


def test_a_shared_secret_speaks_for_its_own_issuer_only() -> None:
    rules = dataclasses.replace(HS_RULES, issuers_allowed=(ISSUER, OTHER_ISSUER))
    own = signed(access_claims(), SECRET, alg="HS256")
    assert verify_access_token(own, rules, KEYS, NOW_S).jwk is None
    foreign = signed(access_claims(iss=OTHER_ISSUER), SECRET, alg="HS256")
    assert refusal(foreign, rules).reason == Reason.KEY_UNSUITABLE


def test_nothing_of_a_token_is_in_a_repr() -> None:
    token = verify_access_token(signed(access_claims()), RULES, KEYS, NOW_S)
    assert "user-1" not in repr(token)
    rules = dataclasses.replace(
        ID_RULES, access_token="s3cret", shared_secret=HS_RULES.shared_secret
    )
    assert "s3cret" not in repr(rules)
    assert "n-0S6_WzA2Mj" not in repr(rules)
    assert CLIENT_SECRET not in repr(rules)


def test_rfc_7515_examples_verify_from_end_to_end() -> None:
    keys = KeySet.from_facts(
        facts(vectors.public(vectors.RSA_JWK), vectors.public(vectors.EC_JWK), issuer="joe")
    )
    rules = AccessTokenRules(issuer="joe")
    for jws in (vectors.RS256_JWS, vectors.ES256_JWS):
        assert verify_access_token(jws, rules, keys, 1300819379).claims == vectors.JOE_CLAIMS
        with pytest.raises(TokenRefused) as caught:
            verify_access_token(jws, rules, keys, 1300819380)
        assert caught.value.reason == Reason.TOKEN_EXPIRED
