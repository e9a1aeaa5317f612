"""Tokens rightly signed, and forgeries that are wrong in exactly one way."""

import hashlib
import hmac
import json

import pytest
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import RSAKey

from scopegate_demo.idp.keys import KeyRing
from scopegate_demo.idp.signing import Signature, at_hash, sign
from support.base64url import from_base64url

CLAIMS = {"sub": "somebody"}


@pytest.fixture(scope="module")
def keys() -> KeyRing:
    return KeyRing()


def parts(token: str) -> tuple[dict, bytes, bytes]:
    header, payload, signature = (from_base64url(part) for part in token.split("."))
    return json.loads(header), payload, signature


def verify(token: str, key: RSAKey) -> bytes:
    registry = jws.JWSRegistry(algorithms=["RS256"])
    registry.max_header_length = 4096  # an embedded key is longer than the usual bound
    return jws.deserialize_compact(token, key, registry=registry).payload


def test_a_right_token_verifies_with_the_published_key(keys: KeyRing) -> None:
    token = sign(CLAIMS, keys)
    assert json.loads(verify(token, RSAKey.import_key(keys.jwks()[0]))) == CLAIMS
    assert parts(token)[0] == {"alg": "RS256", "typ": "JWT", "kid": keys.active.kid}


@pytest.mark.parametrize("wrong", [Signature.CORRUPT, Signature.OTHER_KEY])
def test_a_wrong_signature_fails_under_the_right_kid(keys: KeyRing, wrong: Signature) -> None:
    token = sign(CLAIMS, keys, wrong)
    assert parts(token)[0]["kid"] == keys.active.kid
    with pytest.raises(BadSignatureError):
        verify(token, keys.active)


def test_the_other_key_would_verify_it(keys: KeyRing) -> None:
    assert json.loads(verify(sign(CLAIMS, keys, Signature.OTHER_KEY), keys.foreign)) == CLAIMS


def test_an_unknown_kid_is_not_in_the_key_set(keys: KeyRing) -> None:
    header, _, _ = parts(sign(CLAIMS, keys, Signature.UNKNOWN_KID))
    assert header["kid"] not in [jwk["kid"] for jwk in keys.jwks()]


@pytest.mark.parametrize(("how", "alg"), [(Signature.NONE, "none"), (Signature.STRIPPED, "RS256")])
def test_an_unsigned_token_has_an_empty_signature(keys: KeyRing, how: Signature, alg: str) -> None:
    token = sign(CLAIMS, keys, how)
    assert token.endswith(".")
    assert parts(token)[0]["alg"] == alg


def test_the_public_key_as_secret_is_a_valid_hs256(keys: KeyRing) -> None:
    token = sign(CLAIMS, keys, Signature.PUBLIC_KEY_AS_SECRET)
    header, _, mac = parts(token)
    signed = token.rpartition(".")[0].encode()
    pem = keys.active.as_pem(private=False)
    assert header["alg"] == "HS256"
    assert hmac.compare_digest(mac, hmac.new(pem, signed, hashlib.sha256).digest())


def test_an_embedded_key_verifies_its_own_token_and_is_public(keys: KeyRing) -> None:
    token = sign(CLAIMS, keys, Signature.EMBEDDED_JWK)
    jwk = parts(token)[0]["jwk"]
    assert json.loads(verify(token, RSAKey.import_key(jwk))) == CLAIMS
    assert "d" not in jwk


def test_header_parameters_can_be_set_and_left_out(keys: KeyRing) -> None:
    token = sign(CLAIMS, keys, set_header={"crit": ["b64"]}, without_header=("kid",))
    assert parts(token)[0] == {"alg": "RS256", "typ": "JWT", "crit": ["b64"]}


def test_a_payload_can_be_any_bytes(keys: KeyRing) -> None:
    assert verify(sign(b"no json", keys), keys.active) == b"no json"


def test_at_hash_is_the_left_half_of_the_sha256() -> None:
    # The example of OpenID Connect Core, appendix A.3.
    access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
    assert at_hash(access_token) == "77QmUPtjPfzWtF2AnpK9RQ"


def test_rotation_signs_with_a_new_key_and_keeps_or_drops_the_old() -> None:
    keys = KeyRing()
    first = keys.active.kid
    keys.rotate(overlap=True)
    second = keys.active.kid
    assert [jwk["kid"] for jwk in keys.jwks()] == [second, first]
    keys.rotate(overlap=False)
    assert [jwk["kid"] for jwk in keys.jwks()] == [keys.active.kid]


def test_the_key_set_shows_public_keys_only(keys: KeyRing) -> None:
    (jwk,) = keys.jwks()
    assert set(jwk) == {"kty", "n", "e", "kid", "use", "alg"}
