"""An issuer that signs whatever a test wants, and what a gateway knows of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from joserfc.jwa import JWS_ALGORITHMS
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from scopegate.oidc.issuer_facts import IssuerFacts, Jwk, KeySource, Origin
from scopegate.oidc.keys import KeySet
from support.base64url import to_base64url
from unit.oidc.vectors import EC_JWK, ED25519_JWK, P521_JWK, RSA_JWK, public

ISSUER = "https://idp.example/realms/kong"
OTHER_ISSUER = "https://idp.example/realms/other"
CLIENT_ID = "blog_post"
CLIENT_SECRET = "a secret of at least sixty-four bytes, so that HS512 can be had, too."
NOW_S = 1_700_000_000.0

_MODELS = {model.name: model for model in JWS_ALGORITHMS}
RSA = RSAKey.import_key(RSA_JWK)
EC = ECKey.import_key(EC_JWK)
P521 = ECKey.import_key(P521_JWK)
ED25519 = OKPKey.import_key(ED25519_JWK)

RSA_KID, EC_KID, P521_KID, ED25519_KID = "rsa-1", "ec-1", "p521-1", "ed-1"
JWKS: tuple[Jwk, ...] = (
    public(RSA_JWK, kid=RSA_KID),
    public(EC_JWK, kid=EC_KID),
    public(P521_JWK, kid=P521_KID),
    public(ED25519_JWK, kid=ED25519_KID),
)

Key = RSAKey | ECKey | OKPKey | OctKey


def compact(header: Any, payload: Any, key: Key | None = RSA, alg: str | None = None) -> str:
    """A compact JWS over a header and a payload (JSON-shaped, or the bytes themselves).

    alg   how to sign, when that is not what the header says; key None: an empty signature
    """
    parts = [
        to_base64url(part if isinstance(part, bytes) else json.dumps(part).encode())
        for part in (header, payload)
    ]
    signing_input = ".".join(parts).encode()
    signature = b""
    if key is not None:
        signature = _MODELS[alg or header["alg"]].sign(signing_input, key)
    return f"{signing_input.decode()}.{to_base64url(signature)}"


def access_claims(**claims: Any) -> dict[str, Any]:
    """Claims of an ordinary access token; a claim that is `...` is left out."""
    return _merged(
        {
            "iss": ISSUER,
            "sub": "user-1",
            "aud": "api",
            "exp": int(NOW_S) + 300,
            "iat": int(NOW_S) - 10,
            "scope": "openid kong_api_access",
        },
        claims,
    )


def id_claims(**claims: Any) -> dict[str, Any]:
    """Claims of an ordinary ID token; a claim that is `...` is left out."""
    return _merged(
        {
            "iss": ISSUER,
            "sub": "user-1",
            "aud": CLIENT_ID,
            "exp": int(NOW_S) + 300,
            "iat": int(NOW_S) - 10,
            "nonce": "n-0S6_WzA2Mj",
        },
        claims,
    )


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**base, **more}.items() if value is not ...}


def signed(claims: Mapping[str, Any], key: Key = RSA, **header: Any) -> str:
    """A token as the issuer signs it; header members that are `...` are left out."""
    members = _merged({"alg": "RS256", "kid": RSA_KID, "typ": "JWT"}, header)
    return compact(members, dict(claims), key)


def facts(*keys: Jwk, issuer: str = ISSUER) -> IssuerFacts:
    """What is known of an issuer with these keys (none given: all of JWKS)."""
    source = KeySource(f"{issuer}/certs", is_main=True, keys=keys or JWKS)
    return IssuerFacts(issuer=issuer, origin=Origin.DOCUMENT, key_sources=(source,))


KEYS = KeySet.from_facts(facts())
