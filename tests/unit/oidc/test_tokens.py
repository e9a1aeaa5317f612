"""The forging table: how a token is forged or broken → the reason for which it is refused."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from joserfc.jwk import OctKey, RSAKey

from scopegate.oidc.claim_checks import AccessTokenRules, IdTokenRules
from scopegate.oidc.errors import TokenRefused, UnknownKey
from scopegate.oidc.issuer import IssuerFacts, KeySource, Origin
from scopegate.oidc.keys import KeySet, SharedSecret
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    check_refreshed_id_token,
    check_same_subject,
    read_access_token,
    read_id_token,
    verify_access_token,
    verify_id_token,
)
from unit.oidc import vectors
from unit.oidc.forging import (
    CLIENT_ID,
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
    base64url,
    compact,
    facts,
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
    return f"{signing_input}.{base64url(change(base64.urlsafe_b64decode(part + '==')))}"


def refusal(token: str, rules: AccessTokenRules = RULES, keys: KeySet = KEYS) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        verify_access_token(token, rules, keys, NOW_S)
    return caught.value


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


FORGED: Mapping[str, tuple[str, Reason]] = {
    # The header
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
    # The signature
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
    # The kind
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
    # The claims
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
    # The size
    "a megabyte of header": (
        compact({"alg": "RS256", "x": "y" * 1024 * 1024}, access_claims()),
        Reason.TOKEN_TOO_LARGE,
    ),
    "a million dots": ("." * 1_000_000, Reason.TOKEN_TOO_LARGE),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_a_forged_or_broken_token_is_refused_for_its_own_reason(forgery: str) -> None:
    token, reason = FORGED[forgery]
    error = refusal(token)
    assert error.reason == reason
    assert token not in error.detail
    assert len(error.detail) < 1000


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


class TestIdToken:
    """OpenID Connect Core §3.1.3.7."""

    def refusal(self, token: str, rules: IdTokenRules = ID_RULES) -> TokenRefused:
        with pytest.raises(TokenRefused) as caught:
            verify_id_token(token, rules, KEYS, NOW_S)
        with pytest.raises(TokenRefused) as read:
            read_id_token(token, rules, NOW_S)
        # Without the signature the same is refused for the same reason.
        assert read.value.reason == caught.value.reason
        return caught.value

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {"aud": [CLIENT_ID]},
            {"azp": CLIENT_ID},
            {"aud": [CLIENT_ID, "api"], "azp": CLIENT_ID},
            {"typ": "ID"},
            {"token_use": "id"},
        ],
    )
    def test_a_good_one_is_accepted(self, claims: dict[str, Any]) -> None:
        token = signed(id_claims(**claims))
        assert verify_id_token(token, ID_RULES, KEYS, NOW_S).claims["sub"] == "user-1"
        assert read_id_token(token, ID_RULES, NOW_S).jwk is None

    @pytest.mark.parametrize(
        ("claims", "reason"),
        [
            ({"iss": OTHER_ISSUER}, Reason.ISSUER_NOT_ALLOWED),
            ({"sub": ...}, Reason.SUB_INVALID),
            ({"sub": ""}, Reason.SUB_INVALID),
            ({"sub": 1}, Reason.SUB_INVALID),
            ({"exp": ...}, Reason.EXP_MISSING),
            ({"exp": int(NOW_S)}, Reason.TOKEN_EXPIRED),
            ({"iat": ...}, Reason.IAT_MISSING),
            ({"iat": "x"}, Reason.IAT_INVALID),
            ({"aud": ...}, Reason.AUDIENCE_MISMATCH),
            ({"aud": "other"}, Reason.AUDIENCE_MISMATCH),
            ({"aud": []}, Reason.AUDIENCE_MISMATCH),
            ({"aud": {}}, Reason.AUD_INVALID),
            ({"aud": [CLIENT_ID, "other"]}, Reason.AZP_MISSING),
            ({"azp": "other"}, Reason.AZP_MISMATCH),
            ({"azp": None}, Reason.AZP_MISMATCH),
            ({"azp": [CLIENT_ID]}, Reason.AZP_MISMATCH),
            ({"nonce": ...}, Reason.NONCE_MISSING),
            ({"nonce": None}, Reason.NONCE_MISSING),
            ({"nonce": "other"}, Reason.NONCE_MISMATCH),
            ({"nonce": ["n-0S6_WzA2Mj"]}, Reason.NONCE_MISMATCH),
            ({"nonce": "ü"}, Reason.NONCE_MISMATCH),
            ({"typ": "Bearer"}, Reason.ACCESS_TOKEN_PRESENTED),
            ({"typ": "Refresh"}, Reason.REFRESH_TOKEN_PRESENTED),
            ({"token_use": "access"}, Reason.ACCESS_TOKEN_PRESENTED),
            ({"events": {}}, Reason.LOGOUT_TOKEN_PRESENTED),
        ],
    )
    def test_a_bad_one_is_refused_for_its_own_reason(
        self, claims: dict[str, Any], reason: Reason
    ) -> None:
        error = self.refusal(signed(id_claims(**claims)))
        assert error.reason == reason
        assert "n-0S6_WzA2Mj" not in error.detail

    @pytest.mark.parametrize(
        ("typ", "reason"),
        [
            ("at+jwt", Reason.ACCESS_TOKEN_PRESENTED),
            ("logout+jwt", Reason.LOGOUT_TOKEN_PRESENTED),
            ("token-introspection+jwt", Reason.INTROSPECTION_ANSWER_PRESENTED),
            ("id+jwt", Reason.TYPE_UNKNOWN),
        ],
    )
    def test_another_type_is_refused(self, typ: str, reason: Reason) -> None:
        assert self.refusal(signed(id_claims(), typ=typ)).reason == reason

    def test_no_nonce_was_sent_so_none_is_needed(self) -> None:
        rules = dataclasses.replace(ID_RULES, nonce=None)
        assert verify_id_token(signed(id_claims(nonce=...)), rules, KEYS, NOW_S).jwk

    def test_at_hash_binds_the_access_token(self) -> None:
        rules = dataclasses.replace(ID_RULES, access_token=vectors.AT_HASH_ACCESS_TOKEN)
        good = signed(id_claims(at_hash=vectors.AT_HASH))
        assert verify_id_token(good, rules, KEYS, NOW_S).jwk
        other = dataclasses.replace(rules, access_token="another")
        assert self.refusal(good, other).reason == Reason.AT_HASH_MISMATCH
        for at_hash in (None, "", 1, vectors.AT_HASH + "="):
            bad = signed(id_claims(at_hash=at_hash))
            assert self.refusal(bad, rules).reason == Reason.AT_HASH_MISMATCH
        assert verify_id_token(signed(id_claims()), rules, KEYS, NOW_S).jwk

    def test_max_age_wants_auth_time(self) -> None:
        rules = dataclasses.replace(ID_RULES, max_age_s=60)
        assert self.refusal(signed(id_claims()), rules).reason == Reason.AUTH_TIME_MISSING
        old = signed(id_claims(auth_time=int(NOW_S) - 61))
        assert self.refusal(old, rules).reason == Reason.LOGIN_TOO_OLD

    def test_hd_must_be_an_allowed_domain(self) -> None:
        rules = dataclasses.replace(ID_RULES, domains=("example.com",))
        assert verify_id_token(signed(id_claims(hd="example.com")), rules, KEYS, NOW_S).jwk
        for hd in ("example.org", ..., ["example.com"]):
            token = signed(id_claims(hd=hd))
            assert self.refusal(token, rules).reason == Reason.DOMAIN_NOT_ALLOWED

    def test_without_claims_nonce_and_at_hash_are_checked_all_the_same(self) -> None:
        rules = dataclasses.replace(ID_RULES, check_claims=False, access_token="t")
        assert verify_id_token(signed(id_claims(exp=1, aud="x")), rules, KEYS, NOW_S).jwk
        assert self.refusal(signed(id_claims(nonce="x")), rules).reason == Reason.NONCE_MISMATCH
        bad = signed(id_claims(at_hash="x"))
        assert self.refusal(bad, rules).reason == Reason.AT_HASH_MISMATCH

    def test_a_forged_signature_is_refused_unless_the_token_came_by_the_back_channel(self) -> None:
        forged = signed(id_claims(), ATTACKER)
        with pytest.raises(TokenRefused) as caught:
            verify_id_token(forged, ID_RULES, KEYS, NOW_S)
        assert caught.value.reason == Reason.SIGNATURE_INVALID
        assert read_id_token(forged, ID_RULES, NOW_S).claims == id_claims()


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


class TestSubject:
    """OpenID Connect Core §5.3.2 and §12.2."""

    def test_the_same_user_of_the_same_issuer_passes(self) -> None:
        check_refreshed_id_token(id_claims(), id_claims(nonce=..., iat=1))
        check_same_subject("user-1", {"sub": "user-1"})

    @pytest.mark.parametrize("sub", ["user-2", "User-1", "", None, 1, ["user-1"]])
    def test_another_user_is_refused(self, sub: Any) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_refreshed_id_token(id_claims(), id_claims(sub=sub))
        assert caught.value.reason == Reason.SUBJECT_CHANGED

    @pytest.mark.parametrize("sub", ["", None, 1])
    def test_nobody_is_never_the_same_as_nobody(self, sub: Any) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_same_subject(sub, {"sub": sub})
        assert caught.value.reason == Reason.SUBJECT_CHANGED

    def test_another_issuer_is_refused(self) -> None:
        with pytest.raises(TokenRefused) as caught:
            check_refreshed_id_token(id_claims(), id_claims(iss=OTHER_ISSUER))
        assert caught.value.reason == Reason.ISSUER_CHANGED


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
