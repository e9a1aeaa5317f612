"""The forging table: how a token is forged or broken → the reason for which it is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pytest
from joserfc.jwk import OctKey, RSAKey

from scopegate.oidc.claim_checks import AccessTokenRules, IdTokenRules
from scopegate.oidc.errors import TokenRefused
from scopegate.oidc.keys import KeySet, SharedSecret
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    verify_access_token,
)
from support.base64url import from_base64url, to_base64url
from unit.oidc import vectors
from unit.oidc.forging import (
    CLIENT_ID,
    CLIENT_SECRET,
    EC,
    EC_KID,
    ISSUER,
    KEYS,
    NOW_S,
    OTHER_ISSUER,
    RSA,
    RSA_KID,
    access_claims,
    compact,
    id_claims,
    signed,
)

RULES = AccessTokenRules(issuer=ISSUER)
ID_RULES = IdTokenRules(issuer=ISSUER, client_id=CLIENT_ID, nonce="n-0S6_WzA2Mj")
ATTACKER = RSAKey.generate_key(2048)
SECRET = OctKey.import_key(CLIENT_SECRET)
HS_RULES = dataclasses.replace(RULES, shared_secret=SharedSecret.of(CLIENT_SECRET))


def with_signature(token: str, change: Callable[[bytes], bytes]) -> str:
    signing_input, _, part = token.rpartition(".")
    return f"{signing_input}.{to_base64url(change(from_base64url(part)))}"


def refusal(token: str, rules: AccessTokenRules = RULES, keys: KeySet = KEYS) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        verify_access_token(token, rules, keys, NOW_S)
    return caught.value


def assert_refused(token: str, reason: Reason) -> None:
    """For that reason, and without a word of the token."""
    error = refusal(token)
    assert error.reason == reason
    assert token not in error.detail
    assert len(error.detail) < 1000


HEADERS: Mapping[str, tuple[str, Reason]] = {
    "alg none": (compact({"alg": "none"}, access_claims(), None), Reason.ALG_NONE),
    "alg none with the signature of another token": (
        compact({"alg": "none", "kid": RSA_KID}, access_claims(), RSA, "RS256"),
        Reason.ALG_NONE,
    ),
    "HS256 with the public key as PEM": (
        signed(access_claims(), OctKey(RSA.as_pem(private=False), b""), alg="HS256"),
        Reason.HS_NOT_ENABLED,
    ),
    "HS256 with the modulus": (
        signed(access_claims(), OctKey(vectors.RSA_JWK["n"].encode(), b""), alg="HS256"),
        Reason.HS_NOT_ENABLED,
    ),
    "own key embedded": (
        signed(access_claims(), ATTACKER, jwk=ATTACKER.as_dict(private=False)),
        Reason.EMBEDDED_KEY,
    ),
    "own key behind jku": (
        signed(access_claims(), ATTACKER, jku="https://evil.example/jwks"),
        Reason.SIGNATURE_INVALID,
    ),
    "own key behind jku and an own key id": (
        signed(access_claims(), ATTACKER, jku="https://evil.example/jwks", kid="evil"),
        Reason.KEY_UNKNOWN,
    ),
    "crit": (signed(access_claims(), crit=["exp"], exp=1), Reason.CRIT_NOT_UNDERSTOOD),
    "b64": (signed(access_claims(), b64=False), Reason.B64_REFUSED),
    "a header member twice": (
        compact(b'{"alg":"none","alg":"RS256"}', access_claims(), RSA, "RS256"),
        Reason.HEADER_MEMBER_REPEATED,
    ),
    "unknown key id": (signed(access_claims(), kid="other"), Reason.KEY_UNKNOWN),
    "key id of a path": (signed(access_claims(), kid="../../dev/null"), Reason.KEY_UNKNOWN),
    "key id of another kind of key": (signed(access_claims(), kid=EC_KID), Reason.KEY_UNSUITABLE),
    "key id is a number": (signed(access_claims(), kid=1), Reason.HEADER_INVALID),
}

SIGNATURES: Mapping[str, tuple[str, Reason]] = {
    "another key": (signed(access_claims(), ATTACKER), Reason.SIGNATURE_INVALID),
    "other claims": (
        signed(access_claims(sub="admin")).rpartition(".")[0]
        + "."
        + signed(access_claims()).rpartition(".")[2],
        Reason.SIGNATURE_INVALID,
    ),
    "no signature": (
        compact({"alg": "RS256"}, access_claims(), None),
        Reason.SIGNATURE_LENGTH_INVALID,
    ),
    "a signature of zeros": (
        with_signature(signed(access_claims()), lambda s: bytes(len(s))),
        Reason.SIGNATURE_INVALID,
    ),
    "a signature with a byte in front": (
        with_signature(signed(access_claims()), lambda s: b"\0" + s),
        Reason.SIGNATURE_LENGTH_INVALID,
    ),
    "a signature with a byte behind": (
        with_signature(signed(access_claims()), lambda s: s + b"\0"),
        Reason.SIGNATURE_LENGTH_INVALID,
    ),
    "an ECDSA signature of zeros (CVE-2022-21449)": (
        with_signature(signed(access_claims(), EC, alg="ES256", kid=EC_KID), lambda s: bytes(64)),
        Reason.SIGNATURE_INVALID,
    ),
    "an ECDSA signature in DER": (
        with_signature(
            signed(access_claims(), EC, alg="ES256", kid=EC_KID),
            lambda s: b"\x30\x44\x02\x20" + s[:32] + b"\x02\x20" + s[32:],
        ),
        Reason.SIGNATURE_LENGTH_INVALID,
    ),
    "ES256 under the name of RS256": (
        compact({"alg": "RS256", "kid": RSA_KID}, access_claims(), EC, "ES256"),
        Reason.SIGNATURE_LENGTH_INVALID,
    ),
    "PS256 under the name of RS256": (
        compact({"alg": "RS256", "kid": RSA_KID}, access_claims(), RSA, "PS256"),
        Reason.SIGNATURE_INVALID,
    ),
}

KINDS: Mapping[str, tuple[str, Reason]] = {
    "an encrypted token": ("a.b.c.d.e", Reason.TOKEN_ENCRYPTED),
    "an opaque token": ("2YotnFZFEjr1zCsicMWpAA", Reason.NOT_A_JWT),
    "an ID token of Keycloak": (
        signed(access_claims(typ="ID")),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "an ID token with a nonce": (signed(id_claims()), Reason.ID_TOKEN_PRESENTED),
    "an ID token with at_hash": (
        signed(id_claims(nonce=..., at_hash="x")),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "an ID token with c_hash": (
        signed(id_claims(nonce=..., c_hash="x")),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "an ID token of Cognito": (
        signed(access_claims(token_use="id")),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "an ID token of ForgeRock": (
        signed(access_claims(tokenName="id_token")),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "an ID token that is called an access token in its header": (
        signed(access_claims(typ="ID"), typ="at+jwt"),
        Reason.ID_TOKEN_PRESENTED,
    ),
    "a refresh token of Keycloak, signed with its own secret": (
        signed(access_claims(typ="Refresh", aud=ISSUER), SECRET, alg="HS512", kid="hs"),
        Reason.REFRESH_TOKEN_PRESENTED,
    ),
    "a DPoP proof as RFC 9449 has it": (
        compact(
            {"typ": "dpop+jwt", "alg": "RS256", "jwk": ATTACKER.as_dict(private=False)},
            {"jti": "1", "htm": "GET", "htu": "https://api.example/", "iat": int(NOW_S)},
            ATTACKER,
        ),
        Reason.EMBEDDED_KEY,
    ),
    "a logout token as Back-Channel Logout 1.0 has it": (
        signed(
            {
                **access_claims(scope=..., jti="1", sid="2"),
                "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            },
            typ="logout+jwt",
        ),
        Reason.LOGOUT_TOKEN_PRESENTED,
    ),
    "an authorization response as JARM has it": (
        signed({"iss": ISSUER, "aud": CLIENT_ID, "exp": int(NOW_S) + 9, "code": "c", "state": "s"}),
        Reason.AUTHORIZATION_ANSWER_PRESENTED,
    ),
    "a refresh token": (signed(access_claims(typ="Refresh")), Reason.REFRESH_TOKEN_PRESENTED),
    "an offline token": (signed(access_claims(typ="Offline")), Reason.REFRESH_TOKEN_PRESENTED),
    "a logout token by its header": (
        signed(access_claims(), typ="logout+jwt"),
        Reason.LOGOUT_TOKEN_PRESENTED,
    ),
    "a logout token by its claims": (
        signed(access_claims(events={"http://schemas.openid.net/event/backchannel-logout": {}})),
        Reason.LOGOUT_TOKEN_PRESENTED,
    ),
    "a logout token of Keycloak": (
        signed(access_claims(typ="Logout")),
        Reason.LOGOUT_TOKEN_PRESENTED,
    ),
    "a security event": (
        signed(access_claims(), typ="secevent+jwt"),
        Reason.LOGOUT_TOKEN_PRESENTED,
    ),
    "a DPoP proof": (signed(access_claims(), typ="dpop+jwt"), Reason.DPOP_PROOF_PRESENTED),
    "an introspection answer by its header": (
        signed(access_claims(), typ="token-introspection+jwt"),
        Reason.INTROSPECTION_ANSWER_PRESENTED,
    ),
    "an introspection answer by its claims": (
        signed(access_claims(token_introspection={"active": True})),
        Reason.INTROSPECTION_ANSWER_PRESENTED,
    ),
    "an authorization response": (
        signed(access_claims(sub=..., code="c", state="s")),
        Reason.AUTHORIZATION_ANSWER_PRESENTED,
    ),
    "an authorization error": (
        signed(access_claims(sub=..., error="access_denied")),
        Reason.AUTHORIZATION_ANSWER_PRESENTED,
    ),
    "a type that nobody knows": (signed(access_claims(), typ="foo+jwt"), Reason.TYPE_UNKNOWN),
    "a claim typ that nobody knows": (
        signed(access_claims(typ="Initial-Access-Token")),
        Reason.TYPE_UNKNOWN,
    ),
    "a claim typ that is a list": (signed(access_claims(typ=["Bearer"])), Reason.TYPE_UNKNOWN),
}

CLAIMS: Mapping[str, tuple[str, Reason]] = {
    "no payload": (compact({"alg": "RS256", "kid": RSA_KID}, b""), Reason.PAYLOAD_INVALID),
    "a list": (compact({"alg": "RS256", "kid": RSA_KID}, []), Reason.PAYLOAD_INVALID),
    "a claim twice": (
        compact({"alg": "RS256", "kid": RSA_KID}, b'{"exp":9999999999,"exp":1}'),
        Reason.CLAIM_REPEATED,
    ),
    "no iss": (signed(access_claims(iss=...)), Reason.ISS_INVALID),
    "iss null": (signed(access_claims(iss=None)), Reason.ISS_INVALID),
    "iss in a list": (signed(access_claims(iss=[ISSUER])), Reason.ISS_INVALID),
    "another issuer": (signed(access_claims(iss=OTHER_ISSUER)), Reason.ISSUER_NOT_ALLOWED),
    "a slash behind the issuer": (
        signed(access_claims(iss=ISSUER + "/")),
        Reason.ISSUER_NOT_ALLOWED,
    ),
    "the issuer in other case": (
        signed(access_claims(iss=ISSUER.upper())),
        Reason.ISSUER_NOT_ALLOWED,
    ),
    "sub is a number": (signed(access_claims(sub=1)), Reason.SUB_INVALID),
    "sub is null": (signed(access_claims(sub=None)), Reason.SUB_INVALID),
    "no exp": (signed(access_claims(exp=...)), Reason.EXP_MISSING),
    "exp null": (signed(access_claims(exp=None)), Reason.EXP_INVALID),
    "exp is text": (signed(access_claims(exp="9999999999")), Reason.EXP_INVALID),
    "exp is a boolean": (signed(access_claims(exp=True)), Reason.EXP_INVALID),
    "exp is a list": (signed(access_claims(exp=[9999999999])), Reason.EXP_INVALID),
    "exp in milliseconds": (signed(access_claims(exp=int(NOW_S + 300) * 1000)), Reason.EXP_INVALID),
    "exp is huge": (signed(access_claims(exp=10**400)), Reason.EXP_INVALID),
    "exp is negative": (signed(access_claims(exp=-1)), Reason.EXP_INVALID),
    "exp is no number": (signed(access_claims(exp=float("nan"))), Reason.PAYLOAD_INVALID),
    "exp is infinite": (signed(access_claims(exp=float("inf"))), Reason.PAYLOAD_INVALID),
    "exp is now": (signed(access_claims(exp=int(NOW_S))), Reason.TOKEN_EXPIRED),
    "exp is past": (signed(access_claims(exp=int(NOW_S) - 1)), Reason.TOKEN_EXPIRED),
    "nbf is to come": (signed(access_claims(nbf=int(NOW_S) + 1)), Reason.TOKEN_NOT_YET_VALID),
    "nbf is text": (signed(access_claims(nbf="0")), Reason.NBF_INVALID),
    "nbf is null": (signed(access_claims(nbf=None)), Reason.NBF_INVALID),
    "iat is to come": (signed(access_claims(iat=int(NOW_S) + 1)), Reason.TOKEN_FROM_THE_FUTURE),
    "iat is a boolean": (signed(access_claims(iat=False)), Reason.IAT_INVALID),
    "aud is a number": (signed(access_claims(aud=1)), Reason.AUD_INVALID),
    "aud is null": (signed(access_claims(aud=None)), Reason.AUD_INVALID),
    "aud holds a number": (signed(access_claims(aud=["api", 1])), Reason.AUD_INVALID),
    "aud is an object": (signed(access_claims(aud={"api": 1})), Reason.AUD_INVALID),
}

SIZES: Mapping[str, tuple[str, Reason]] = {
    "a megabyte of header": (
        compact({"alg": "RS256", "x": "y" * 1024 * 1024}, access_claims()),
        Reason.TOKEN_TOO_LARGE,
    ),
    "a million dots": ("." * 1_000_000, Reason.TOKEN_TOO_LARGE),
}

FORGED = {**HEADERS, **SIGNATURES, **KINDS, **CLAIMS, **SIZES}
