"""Whatever bytes come, a token is refused with a reason: never accepted, never a crash."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from scopegate.oidc.claim_checks import AccessTokenRules, IdTokenRules
from scopegate.oidc.errors import TokenRefused
from scopegate.oidc.tokens import (
    read_access_token,
    read_id_token,
    verify_access_token,
    verify_id_token,
)
from support.base64url import from_base64url, to_base64url
from unit.oidc.forging import (
    CLIENT_ID,
    EC,
    EC_KID,
    ED25519,
    ED25519_KID,
    ISSUER,
    KEYS,
    NOW_S,
    RSA_KID,
    access_claims,
    compact,
    id_claims,
    signed,
)

RULES = AccessTokenRules(issuer=ISSUER, audience=("api",), domains=("d",), max_age_s=60)
PLAIN_RULES = AccessTokenRules(issuer=ISSUER)
ID_RULES = IdTokenRules(issuer=ISSUER, client_id=CLIENT_ID, nonce="n", access_token="t")
GOOD = (
    signed(access_claims()),
    signed(access_claims(), EC, alg="ES256", kid=EC_KID),
    signed(access_claims(), ED25519, alg="EdDSA", kid=ED25519_KID),
)
FOR_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def assert_refused(token: str) -> None:
    for rules in (RULES, PLAIN_RULES):
        try:
            verify_access_token(token, rules, KEYS, NOW_S)
        except TokenRefused as error:
            assert error.reason
        else:
            raise AssertionError("accepted")
    try:
        verify_id_token(token, ID_RULES, KEYS, NOW_S)
    except TokenRefused as error:
        assert error.reason
    else:
        raise AssertionError("accepted")


@given(st.text())
def test_random_text_is_refused(token: str) -> None:
    assert_refused(token)


@given(st.lists(st.text(alphabet=FOR_BASE64URL, max_size=40), min_size=3, max_size=3))
def test_three_random_parts_are_refused(parts: list[str]) -> None:
    assert_refused(".".join(parts))


@given(st.sampled_from(GOOD), st.data())
def test_a_good_token_with_one_changed_character_is_refused(
    token: str, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(
        st.sampled_from([*FOR_BASE64URL, ".", "=", "+", "/", " ", "\n", "\0", "é", "\ud800"])
    )
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        assert_refused(changed)


@given(st.sampled_from(GOOD), st.data())
def test_a_good_token_with_something_cut_out_or_added_is_refused(
    token: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(token)))
    end = data.draw(st.integers(start, len(token)))
    added = data.draw(st.text(alphabet=FOR_BASE64URL + ".=", max_size=4))
    changed = token[:start] + added + token[end:]
    if changed != token:
        assert_refused(changed)


def test_every_single_bit_of_a_signature_counts() -> None:
    for token in GOOD:
        signing_input, _, part = token.rpartition(".")
        signature = from_base64url(part)
        for bit in range(0, len(signature) * 8, 7):
            changed = bytearray(signature)
            changed[bit // 8] ^= 1 << bit % 8
            assert_refused(f"{signing_input}.{to_base64url(bytes(changed))}")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, 1e300, ISSUER, CLIENT_ID, "api", NOW_S + 60, "Bearer", "ID"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
TIMES = ["exp", "nbf", "iat", "auth_time"]
MARKS = ["typ", "token_use", "tokenName", "events", "token_introspection", "code", "error"]
CLAIM_NAMES = st.sampled_from(
    [*TIMES, *MARKS, "iss", "sub", "aud", "hd", "azp", "nonce", "at_hash"]
)
HEADER_NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5c", "cty"])


@example({"exp": 10**400}, {})
@example({"exp": float("nan")}, {})
@example({"sub": "\ud800"}, {})
@given(
    st.dictionaries(CLAIM_NAMES, JSON, max_size=4), st.dictionaries(HEADER_NAMES, JSON, max_size=3)
)
def test_odd_claims_and_headers_under_a_good_signature_never_crash(
    claims: dict[str, Any], header: dict[str, Any]
) -> None:
    members = {"alg": "RS256", "kid": RSA_KID, **header}
    for base in (access_claims(), id_claims()):
        token = compact(members, {**base, **claims}, alg="RS256")
        for check in (
            lambda token: verify_access_token(token, RULES, KEYS, NOW_S),
            lambda token: verify_access_token(token, PLAIN_RULES, KEYS, NOW_S),
            lambda token: verify_id_token(token, ID_RULES, KEYS, NOW_S),
            lambda token: read_access_token(token, RULES, NOW_S),
            lambda token: read_id_token(token, ID_RULES, NOW_S),
        ):
            try:
                accepted = check(token)
            except TokenRefused as error:
                assert error.detail.isprintable()
            else:
                # Whatever was accepted can be passed on as JSON, and has an end.
                json.dumps(accepted.claims, allow_nan=False, ensure_ascii=False).encode()
                assert accepted.expires_at_s is not None
                assert accepted.expires_at_s > NOW_S
