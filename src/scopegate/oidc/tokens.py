"""Verifying tokens: form, kind, signer, claims, in this order.

A token that anyone could have brought is *verified*. A token that came straight from the token
endpoint may instead be *read*: OpenID Connect Core §3.1.3.7 point 6 lets TLS stand for the
signature there; its form, kind and claims are checked all the same.
Source: RFC 7515 §5.2, RFC 7519 §7.2, RFC 8725 §3, RFC 9068 §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scopegate.oidc.claim_checks import (
    AccessTokenRules,
    Claims,
    IdTokenRules,
    TokenRules,
    check_access_token_claims,
    check_id_token_claims,
    check_issuer,
    numeric_date,
)
from scopegate.oidc.errors import TokenRefused, UnknownKey, quoted
from scopegate.oidc.issuer_facts import Jwk
from scopegate.oidc.jws import Jws, parse_jws
from scopegate.oidc.keys import KeySet, SharedSecret, VerificationKey, check_signature
from scopegate.oidc.reasons import Reason
from scopegate.oidc.token_kinds import check_is_access_token, check_is_id_token


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token that was found good.

    jwk            the public key that verified it; None for a shared secret and for tokens that
                   were only read
    expires_at_s   `exp`, or None when it has none that makes sense (only without check_claims)
    """

    claims: Claims = field(repr=False)
    header: Mapping[str, Any]
    jwk: Jwk | None
    expires_at_s: float | None


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token of the right kind from the right signer. Nothing is said yet about its claims."""

    claims: Claims = field(repr=False)
    header: Mapping[str, Any]
    jwk: Jwk | None


def verify_access_token(
    token: str, rules: AccessTokenRules, keys: KeySet, now_s: float
) -> VerifiedToken:
    """An access token that anyone may have brought.

    Raises TokenRefused; among it NotJwt (opaque to us) and UnknownKey (worth a rediscovery).
    """
    return accept_access_token(signed_access_token(token, rules, keys), rules, now_s)


def signed_access_token(token: str, rules: AccessTokenRules, keys: KeySet) -> SignedToken:
    """Form, kind and signer of an access token: what does not change while rules and keys stay.

    Raises TokenRefused, as `verify_access_token`.
    """
    jws = parse_jws(token)
    check_is_access_token(jws, from_token_endpoint=rules.from_token_endpoint)
    jwk = _check_signer(jws, rules, keys, "access token")
    return SignedToken(jws.claims, jws.header, jwk)


def accept_access_token(
    signed: SignedToken, rules: AccessTokenRules, now_s: float
) -> VerifiedToken:
    """The claims of an access token whose signer is known, under the same rules, now.

    Raises TokenRefused.
    """
    check_access_token_claims(signed.claims, rules, now_s)
    expires_at_s = numeric_date(signed.claims.get("exp"))
    return VerifiedToken(signed.claims, signed.header, signed.jwk, expires_at_s)


def verify_id_token(token: str, rules: IdTokenRules, keys: KeySet, now_s: float) -> VerifiedToken:
    """An ID token with its signature (OpenID Connect Core §3.1.3.7). Raises TokenRefused."""
    jws = parse_jws(token)
    check_is_id_token(jws)
    jwk = _check_signer(jws, rules, keys, "id token")
    check_id_token_claims(jws, rules, now_s)
    return _accepted(jws, jwk)


def read_access_token(token: str, rules: AccessTokenRules, now_s: float) -> VerifiedToken:
    """An access token straight from the token endpoint, without its signature.

    Never for a token that a client presented: anyone could have written it. Raises TokenRefused.
    """
    jws = parse_jws(token)
    check_is_access_token(jws, from_token_endpoint=True)
    check_issuer(jws.claims, rules, "access token")
    check_access_token_claims(jws.claims, rules, now_s)
    return _accepted(jws, None)


def read_id_token(token: str, rules: IdTokenRules, now_s: float) -> VerifiedToken:
    """An ID token straight from the token endpoint, without its signature.

    Never for a token that a client presented: anyone could have written it. Raises TokenRefused.
    """
    jws = parse_jws(token)
    check_is_id_token(jws)
    check_issuer(jws.claims, rules, "id token")
    check_id_token_claims(jws, rules, now_s)
    return _accepted(jws, None)


def signing_key(jws: Jws, keys: KeySet) -> Jwk:
    """The public key of the token's own issuer that made its signature. Raises TokenRefused.

    Says nothing about claims; for a token that was accepted before, or was only read.
    """
    issuer = jws.claims.get("iss")
    key = keys.find(issuer if isinstance(issuer, str) else "", jws.kid, jws.algorithm)
    check_signature(jws, key)
    return key.jwk


def check_same_issuer(iss: Any, claims: Claims, what: str) -> None:
    """Claims of a refreshed token (`what`) are of the same issuer (OpenID Connect Core §12.2).

    Raises TokenRefused.
    """
    if claims.get("iss") != iss:
        raise TokenRefused(
            Reason.ISSUER_CHANGED,
            f"the refreshed {what} is of issuer {quoted(claims.get('iss'))}, "
            f"{quoted(iss)} was expected",
        )


def check_same_subject(sub: Any, claims: Claims) -> None:
    """Claims of a refreshed token or a user info answer are of the same user (§5.3.2, §12.2).

    Raises TokenRefused, also when either side names nobody.
    """
    if not isinstance(sub, str) or not sub or claims.get("sub") != sub:
        raise TokenRefused(
            Reason.SUBJECT_CHANGED,
            f"subject {quoted(claims.get('sub'))} was specified, {quoted(sub)} was expected",
        )


def _check_signer(jws: Jws, rules: TokenRules, keys: KeySet, what: str) -> Jwk | None:
    """The public key that signed the token, or None for a shared secret. Raises TokenRefused."""
    issuer = check_issuer(jws.claims, rules, what)
    if jws.algorithm.is_symmetric:
        check_signature(jws, _shared_secret(jws, rules, issuer))
        return None
    key = keys.find(issuer, jws.kid, jws.algorithm)
    _check_signature_of_key(jws, key)
    return key.jwk


def _check_signature_of_key(jws: Jws, key: VerificationKey) -> None:
    try:
        check_signature(jws, key)
    except TokenRefused as error:
        if jws.kid is None and error.reason == Reason.SIGNATURE_INVALID:
            # An issuer without key ids rotates its only key unannounced.
            raise UnknownKey(error.reason, error.detail) from error
        raise


def _shared_secret(jws: Jws, rules: TokenRules, issuer: str) -> SharedSecret:
    if rules.shared_secret is None:
        raise TokenRefused(
            Reason.HS_NOT_ENABLED, f"algorithm ({jws.algorithm.name}) needs enable_hs_signatures"
        )
    if issuer != rules.issuer and rules.issuers_allowed != (issuer,):
        # The secret is shared with one identity provider; it cannot speak for another.
        raise TokenRefused(
            Reason.KEY_UNSUITABLE, f"the client secret does not vouch for issuer {quoted(issuer)}"
        )
    return rules.shared_secret


def _accepted(jws: Jws, jwk: Jwk | None) -> VerifiedToken:
    return VerifiedToken(jws.claims, jws.header, jwk, numeric_date(jws.claims.get("exp")))
