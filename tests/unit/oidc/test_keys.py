"""Finding the key that a token names."""

from __future__ import annotations

import pytest
from joserfc.jwk import RSAKey

from scopegate.oidc.algorithms import ALGORITHMS
from scopegate.oidc.base64url import encode_base64url
from scopegate.oidc.errors import NotConfigured, TokenRefused, UnknownKey
from scopegate.oidc.issuer_facts import Jwk
from scopegate.oidc.jws import parse_jws
from scopegate.oidc.key_owners import OwnedKeys
from scopegate.oidc.keys import KeySet, SharedSecret, VerificationKey, check_signature
from scopegate.oidc.reasons import Reason
from unit.oidc.forging import CLIENT_SECRET, ISSUER, OTHER_ISSUER, RSA, access_claims, signed
from unit.oidc.vectors import EC_JWK, ED25519_JWK, RSA_JWK, public

RSA_A = public(RSA_JWK, kid="a")
EC_A = public(EC_JWK, kid="a")
EC_B = public(EC_JWK, kid="b")
OTHER_RSA = {
    name: str(value)
    for name, value in RSAKey.generate_key(2048).as_dict(private=False).items()
    if name in ("kty", "n", "e")
}


def key_set(*keys: Jwk, issuer: str = ISSUER) -> KeySet:
    return KeySet([OwnedKeys((issuer,), keys)])


def test_a_key_is_found_by_issuer_id_and_algorithm() -> None:
    keys = key_set(RSA_A, EC_B)
    assert keys.find(ISSUER, "a", ALGORITHMS["RS256"]).jwk == RSA_A
    assert keys.find(ISSUER, "a", ALGORITHMS["PS512"]).jwk == RSA_A
    assert keys.find(ISSUER, "b", ALGORITHMS["ES256"]).jwk == EC_B


@pytest.mark.parametrize(
    ("issuer", "kid", "algorithm"),
    [
        (ISSUER, "c", "RS256"),
        (ISSUER, "A", "RS256"),
        (ISSUER, "", "RS256"),
        (OTHER_ISSUER, "a", "RS256"),
        (ISSUER + "/", "a", "RS256"),
        (ISSUER, None, "EdDSA"),
    ],
)
def test_an_unknown_key_is_worth_a_rediscovery(
    issuer: str, kid: str | None, algorithm: str
) -> None:
    with pytest.raises(UnknownKey) as caught:
        key_set(RSA_A, EC_B).find(issuer, kid, ALGORITHMS[algorithm])
    assert caught.value.reason == Reason.KEY_UNKNOWN
    assert not caught.value.keys_missing


def test_a_key_that_could_not_be_fetched_is_told_from_one_that_does_not_exist() -> None:
    keys = KeySet([OwnedKeys((ISSUER,), (RSA_A,)), OwnedKeys((OTHER_ISSUER,), None)])
    with pytest.raises(UnknownKey) as caught:
        keys.find(OTHER_ISSUER, "a", ALGORITHMS["RS256"])
    assert caught.value.keys_missing
    with pytest.raises(UnknownKey) as caught:
        keys.find(ISSUER, "b", ALGORITHMS["RS256"])
    assert not caught.value.keys_missing


@pytest.mark.parametrize(
    ("jwk", "algorithm"),
    [
        (RSA_A, "ES256"),
        (EC_A, "RS256"),
        (EC_A, "ES384"),
        (EC_A, "EdDSA"),
        ({**RSA_A, "alg": "RS256"}, "PS256"),
        ({**RSA_A, "alg": "RS256"}, "RS512"),
        (public(ED25519_JWK, kid="a"), "Ed448"),
        (RSA_A, "HS256"),
    ],
)
def test_a_key_of_another_kind_is_refused_for_good(jwk: Jwk, algorithm: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        key_set(jwk).find(ISSUER, "a", ALGORITHMS[algorithm])
    assert caught.value.reason == Reason.KEY_UNSUITABLE
    assert not isinstance(caught.value, UnknownKey)


@pytest.mark.parametrize("own", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_both_names_of_eddsa_mean_the_same(own: str | None, algorithm: str) -> None:
    jwk = public(ED25519_JWK, kid="a") | ({"alg": own} if own else {})
    assert key_set(jwk).find(ISSUER, "a", ALGORITHMS[algorithm]).jwk == jwk


def test_a_repeated_key_id_is_told_apart_by_type() -> None:
    keys = key_set(RSA_A, EC_A)
    assert keys.find(ISSUER, "a", ALGORITHMS["RS256"]).jwk == RSA_A
    assert keys.find(ISSUER, "a", ALGORITHMS["ES256"]).jwk == EC_A


def test_a_repeated_key_id_is_told_apart_by_the_keys_own_algorithm() -> None:
    one, other = {**RSA_A, "alg": "RS256"}, {**OTHER_RSA, "kid": "a", "alg": "PS256"}
    keys = key_set(one, other)
    assert keys.find(ISSUER, "a", ALGORITHMS["RS256"]).jwk == one
    assert keys.find(ISSUER, "a", ALGORITHMS["PS256"]).jwk == other


def test_a_repeated_key_id_that_nothing_tells_apart_is_refused() -> None:
    with pytest.raises(TokenRefused) as caught:
        key_set(RSA_A, {**OTHER_RSA, "kid": "a"}).find(ISSUER, "a", ALGORITHMS["RS256"])
    assert caught.value.reason == Reason.KEY_AMBIGUOUS


def test_the_same_key_in_two_sets_is_one_key() -> None:
    keys = KeySet(
        [OwnedKeys((ISSUER,), (RSA_A,)), OwnedKeys((ISSUER,), ({**RSA_A, "use": "sig"},))]
    )
    assert keys.find(ISSUER, "a", ALGORITHMS["RS256"]).jwk == RSA_A
    assert keys.find(ISSUER, None, ALGORITHMS["RS256"]).jwk == RSA_A


def test_a_token_without_key_id_needs_exactly_one_key_that_fits() -> None:
    assert key_set(RSA_A, EC_B).find(ISSUER, None, ALGORITHMS["RS256"]).jwk == RSA_A
    with pytest.raises(TokenRefused) as caught:
        key_set(RSA_A, {**OTHER_RSA, "kid": "b"}).find(ISSUER, None, ALGORITHMS["RS256"])
    assert caught.value.reason == Reason.KEY_AMBIGUOUS


def test_a_key_without_id_answers_to_no_id() -> None:
    keys = key_set(public(RSA_JWK))
    with pytest.raises(UnknownKey):
        keys.find(ISSUER, "a", ALGORITHMS["RS256"])
    assert keys.find(ISSUER, None, ALGORITHMS["RS256"]).jwk == public(RSA_JWK)


def test_a_short_rsa_key_signs_nothing_that_is_taken() -> None:
    modulus = (1 << 2046) + 1  # 2047 bits
    jwk = {
        "kty": "RSA",
        "kid": "rsa-1",
        "n": encode_base64url(modulus.to_bytes(256, "big")),
        "e": "AQAB",
    }
    key = key_set(jwk).find(ISSUER, "rsa-1", ALGORITHMS["RS256"])
    with pytest.raises(TokenRefused) as caught:
        check_signature(parse_jws(signed(access_claims())), key)
    assert caught.value.reason == Reason.KEY_TOO_WEAK


@pytest.mark.parametrize(
    "jwk",
    [
        {},
        {"kty": "oct", "k": "AAAA"},
        {"kty": "RSA", "n": "!", "e": "AQAB"},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "RSA"},
        RSA_JWK,
        EC_JWK,
    ],
)
def test_facts_that_were_tampered_with_make_no_key(jwk: Jwk) -> None:
    with pytest.raises(ValueError):
        VerificationKey.from_jwk(jwk)


def test_a_public_key_never_checks_hs_signatures() -> None:
    token = parse_jws(
        signed(access_claims(), SharedSecret.of(CLIENT_SECRET).key, alg="HS256")  # type: ignore[arg-type]
    )
    with pytest.raises(TokenRefused) as caught:
        check_signature(token, VerificationKey.from_jwk(RSA_A))
    assert caught.value.reason == Reason.KEY_UNSUITABLE


def test_a_secret_never_checks_other_signatures() -> None:
    with pytest.raises(TokenRefused) as caught:
        check_signature(parse_jws(signed(access_claims())), SharedSecret.of(CLIENT_SECRET))
    assert caught.value.reason == Reason.KEY_UNSUITABLE


@pytest.mark.parametrize(
    "secret", ["", RSA.as_pem(private=False).decode(), "\n " + RSA.as_pem(private=False).decode()]
)
def test_nothing_and_a_public_key_are_no_secrets(secret: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        SharedSecret.of(secret)
    assert caught.value.reason == Reason.SECRET_UNUSABLE
    assert caught.value.__suppress_context__


def test_a_secret_is_in_no_repr() -> None:
    assert CLIENT_SECRET not in repr(SharedSecret.of(CLIENT_SECRET))
