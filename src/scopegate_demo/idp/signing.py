"""Writing JWTs, rightly and wrongly.

A JOSE library refuses to write what is wrong, rightly so. Forgeries need headers and signatures
that disagree, so a token is put together here from its parts; only the RSA signature and the MAC
are somebody else's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from scopegate_demo.idp.keys import KeyRing, public_jwk


class Signature(StrEnum):
    """How a token is signed."""

    RIGHT = "right"
    CORRUPT = "corrupt"
    """One bit of a right signature is flipped."""
    OTHER_KEY = "other_key"
    """A key that the JWKS does not show, under the active key's `kid`."""
    UNKNOWN_KID = "unknown_kid"
    """A key that the JWKS does not show, under its own `kid`."""
    NONE = "none"
    """`alg` none and no signature (RFC 7518 §3.6)."""
    STRIPPED = "stripped"
    """`alg` RS256 and no signature."""
    PUBLIC_KEY_AS_SECRET = "public_key_as_secret"
    """HS256 with the PEM of the active public key as the secret (RFC 8725 §2.1)."""
    EMBEDDED_JWK = "embedded_jwk"
    """A key of the forger's, which comes along in the header's `jwk` (RFC 7515 §4.1.3)."""


def sign(
    payload: Mapping[str, Any] | bytes,
    keys: KeyRing,
    signature: Signature = Signature.RIGHT,
    *,
    set_header: Mapping[str, Any] | None = None,
    without_header: tuple[str, ...] = (),
) -> str:
    """A JWT in compact form.

    payload          claims, or the bytes themselves
    set_header       header parameters that replace or join the usual ones; they do not change how
                     it is signed
    without_header   header parameters to leave out
    """
    key = keys.active
    header: dict[str, Any] = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
    match signature:
        case Signature.NONE:
            header["alg"] = "none"
        case Signature.PUBLIC_KEY_AS_SECRET:
            header["alg"] = "HS256"
        case Signature.OTHER_KEY:
            key = keys.foreign
        case Signature.UNKNOWN_KID:
            key = keys.foreign
            header["kid"] = key.kid
        case Signature.EMBEDDED_JWK:
            key = keys.foreign
            header["kid"] = key.kid
            header["jwk"] = public_jwk(key)
    header |= set_header or {}
    for name in without_header:
        header.pop(name, None)
    body = payload if isinstance(payload, bytes) else _json(payload)
    signed = f"{_base64url(_json(header))}.{_base64url(body)}"
    return f"{signed}.{_base64url(_signature(signed.encode(), key, keys, signature))}"


def sign_refresh_token(claims: Mapping[str, Any], keys: KeyRing) -> str:
    """A refresh token as Keycloak's: a JWT with HS512, for the provider's own eyes."""
    header = {"alg": "HS512", "typ": "JWT"}
    signed = f"{_base64url(_json(header))}.{_base64url(_json(claims))}"
    mac = hmac.new(keys.refresh_secret, signed.encode(), hashlib.sha512).digest()
    return f"{signed}.{_base64url(mac)}"


def at_hash(access_token: str) -> str:
    """Left half of the SHA-256 of the access token. Source: OpenID Connect Core §3.1.3.6."""
    return _base64url(hashlib.sha256(access_token.encode()).digest()[:16])


def _signature(signed: bytes, key: RSAKey, keys: KeyRing, how: Signature) -> bytes:
    match how:
        case Signature.NONE | Signature.STRIPPED:
            return b""
        case Signature.PUBLIC_KEY_AS_SECRET:
            return hmac.new(keys.active.as_pem(private=False), signed, hashlib.sha256).digest()
    right = cast(RSAPrivateKey, key.private_key).sign(signed, padding.PKCS1v15(), SHA256())
    if how is Signature.CORRUPT:
        return bytes([right[0] ^ 1, *right[1:]])
    return right


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
