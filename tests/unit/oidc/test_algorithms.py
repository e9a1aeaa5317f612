"""Signature algorithms against the examples of the RFCs."""

from __future__ import annotations

import hashlib

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from scopegate.oidc.algorithms import ALGORITHMS, left_half_hash
from scopegate.oidc.base64url import decode_base64url, encode_base64url
from unit.oidc import vectors


@pytest.mark.parametrize(
    ("name", "key", "jws"),
    [
        ("RS256", RSAKey.import_key(vectors.public(vectors.RSA_JWK)), vectors.RS256_JWS),
        ("ES256", ECKey.import_key(vectors.public(vectors.EC_JWK)), vectors.ES256_JWS),
        ("ES512", ECKey.import_key(vectors.public(vectors.P521_JWK)), vectors.ES512_JWS),
        ("EdDSA", OKPKey.import_key(vectors.public(vectors.ED25519_JWK)), vectors.EDDSA_JWS),
        ("HS256", OctKey.import_key(decode_base64url(vectors.HS256_KEY)), vectors.HS256_JWS),
    ],
)
def test_the_examples_of_the_rfcs_verify_and_no_changed_one_does(
    name: str, key: RSAKey | ECKey | OKPKey | OctKey, jws: str
) -> None:
    signing_input, _, signature_part = jws.rpartition(".")
    signature = decode_base64url(signature_part)
    model = ALGORITHMS[name].model
    assert model.verify(signing_input.encode(), signature, key) is True
    assert model.verify(signing_input.encode() + b"A", signature, key) is False
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    assert model.verify(signing_input.encode(), flipped, key) is False


def test_the_unsigned_algorithm_is_not_among_them() -> None:
    assert not {"none", "None", "NONE", ""} & set(ALGORITHMS)


def test_only_hs_is_symmetric() -> None:
    symmetric = {name for name, algorithm in ALGORITHMS.items() if algorithm.is_symmetric}
    assert symmetric == {"HS256", "HS384", "HS512"}


def test_at_hash_of_openid_connect_core_appendix_a_3() -> None:
    half = left_half_hash(ALGORITHMS["RS256"], 256, vectors.AT_HASH_ACCESS_TOKEN)
    assert encode_base64url(half) == vectors.AT_HASH


@pytest.mark.parametrize(
    ("name", "signature_bytes", "digest"),
    [
        ("ES384", 96, hashlib.sha384(b"t").digest()),
        ("PS512", 256, hashlib.sha512(b"t").digest()),
        ("HS256", 32, hashlib.sha256(b"t").digest()),
        ("EdDSA", 64, hashlib.sha512(b"t").digest()),
        ("Ed25519", 64, hashlib.sha512(b"t").digest()),
        ("EdDSA", 114, hashlib.shake_256(b"t").digest(114)),
        ("Ed448", 114, hashlib.shake_256(b"t").digest(114)),
    ],
)
def test_the_hash_is_the_one_of_the_algorithm(
    name: str, signature_bytes: int, digest: bytes
) -> None:
    half = left_half_hash(ALGORITHMS[name], signature_bytes, "t")
    assert half == digest[: len(digest) // 2]
