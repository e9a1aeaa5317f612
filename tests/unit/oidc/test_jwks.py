"""Reading a key set."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from scopegate.oidc.base64url import decode_base64url, encode_base64url
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.jwks import KEYS_MAX, read_jwks
from scopegate.oidc.reasons import Reason
from unit.oidc.vectors import EC_JWK, ED25519_JWK, P521_JWK, RSA_JWK, public

RSA = public(RSA_JWK, kid="r")
EC = public(EC_JWK, kid="e")
P521_Y = decode_base64url(P521_JWK["y"])  # begins with a zero byte


def read(*keys: Any) -> tuple[list[dict[str, str]], list[str]]:
    found, problems = read_jwks(json.dumps({"keys": keys}).encode())
    return [dict(key) for key in found], list(problems)


def test_keys_keep_what_is_used_and_lose_the_rest() -> None:
    given_key = {**RSA, "use": "sig", "alg": "RS256", "x5c": ["MII"], "x5t": "a", "note": 1}
    assert read(given_key) == ([{**RSA, "use": "sig", "alg": "RS256"}], [])


def test_every_kind_of_signing_key_is_read() -> None:
    ed448 = dict(OKPKey.generate_key("Ed448").as_dict(private=False))
    p384 = dict(ECKey.generate_key("P-384").as_dict(private=False))
    keys, problems = read(RSA, EC, public(P521_JWK), public(ED25519_JWK), ed448, p384)
    assert len(keys) == 6
    assert problems == []


def test_the_order_of_the_set_does_not_matter_and_repetitions_count_once() -> None:
    assert read(RSA, EC, RSA)[0] == read(EC, RSA)[0] == [EC, RSA]


@pytest.mark.parametrize(
    "key",
    [
        {**RSA, "use": "enc"},
        {**RSA, "use": None},
        {**RSA, "alg": "RSA-OAEP"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": []},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
        {"kty": "unheard-of"},
        {"kty": ["RSA"]},
        {"kty": "EC", "crv": {}},
        {},
    ],
)
def test_keys_that_are_not_for_signatures_are_left_out_in_silence(key: dict[str, Any]) -> None:
    assert read(key, EC) == ([EC], [])


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (RSA_JWK | {"kid": "r"}, "key r is left out: it shows a private key"),
        (EC_JWK, "it shows a private key"),
        ({"kty": "oct", "k": "AAAA", "kid": "s"}, "key s is left out: it shows a private key or a"),
        ({**RSA, "kid": 7}, "kid is no string"),
        ({**RSA, "alg": 7}, "alg is no string"),
        ({**RSA, "n": None}, "n is absent or no string"),
        ({**RSA, "n": RSA["n"] + "="}, "n is not base64url"),
        (public(P521_JWK, y=encode_base64url(P521_Y[1:])), "y has 65 bytes instead of 66"),
        ({**EC, "y": EC["x"]}, "curve"),
        ({**RSA, "e": "Ag"}, "e must be"),
        ({"kty": "RSA", "n": "_" * 2000, "e": "AQAB"}, "more than 8192 bits"),
        ("text", "it is no object"),
    ],
)
def test_broken_and_dangerous_keys_are_left_out_with_a_sentence(key: Any, problem: str) -> None:
    keys, problems = read(key, public(ED25519_JWK))
    assert keys == [public(ED25519_JWK)]
    assert len(problems) == 1
    assert problem in problems[0]


def test_a_secret_of_the_set_is_nowhere_in_the_problems() -> None:
    _, problems = read(RSA_JWK, {"kty": "oct", "k": "c2VjcmV0"})
    assert RSA_JWK["d"] not in str(problems)
    assert "c2VjcmV0" not in str(problems)


def test_a_sign_byte_before_an_rsa_modulus_is_dropped() -> None:
    padded = encode_base64url(b"\0" + decode_base64url(RSA["n"]))
    assert read({**RSA, "n": padded}) == ([RSA], [])


def test_an_rsa_key_that_is_too_short_stays_so_that_it_can_be_named() -> None:
    short = {"kty": "RSA", "kid": "short", "n": "_" * 170 + "w", "e": "AQAB"}
    assert read(short) == ([short], [])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        json.dumps({"keys": [{}] * (KEYS_MAX + 1)}).encode(),
        b'{"keys": []' + b" " * 1024 * 1024 + b"}",
    ],
    ids=range(8),
)
def test_what_is_no_key_set_is_unavailability(body: bytes) -> None:
    with pytest.raises(IdpUnavailable) as caught:
        read_jwks(body)
    assert caught.value.reason == Reason.JWKS_INVALID


MEMBERS = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops", "d"])
VALUES = st.sampled_from(
    ["RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "AQAB", RSA["n"], EC["x"], EC["y"]]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(MEMBERS, inner, max_size=2),
    max_leaves=3,
)


@given(st.lists(st.dictionaries(MEMBERS, VALUES), max_size=3))
def test_no_key_set_however_odd_does_more_than_lose_keys(keys: list[dict[str, Any]]) -> None:
    found, problems = read(*keys)
    assert len(found) + len(problems) <= len(keys)
    assert all("d" not in key for key in found)
