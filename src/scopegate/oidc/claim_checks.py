"""Checking what a token claims: its issuer, and once that one has signed, everything else.

Source: RFC 7519 §4.1, OpenID Connect Core 1.0 §2 and §3.1.3.7, RFC 9068 §4, contract
openid-connect.md §3, §9 (texts that Kong's users search for), §14.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scopegate.oidc.algorithms import left_half_hash
from scopegate.oidc.base64url import encode_base64url
from scopegate.oidc.errors import TokenRefused, quoted
from scopegate.oidc.jws import Jws
from scopegate.oidc.keys import SharedSecret
from scopegate.oidc.reasons import Reason

Claims = Mapping[str, Any]

# The last second of the year 9999. What lies beyond is milliseconds or nonsense.
NUMERIC_DATE_MAX_S = 253_402_300_799


_NOT_BEFORE = (
    ("nbf", Reason.NBF_INVALID, Reason.TOKEN_NOT_YET_VALID),
    ("iat", Reason.IAT_INVALID, Reason.TOKEN_FROM_THE_FUTURE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRules:
    """What any token must meet.

    issuer           the issuer of the facts
    issuers_allowed  complete list of good `iss`, exact; empty: only `issuer`
    leeway_s         tolerance for exp, nbf, iat and auth_time, both ways
    check_claims     False (`verify_claims=false`): sub, time claims, aud and azp go unchecked, and
                     `iss` too unless issuers_allowed is set
    shared_secret    checks HS256, HS384, HS512; None: those are refused
    domains          allowed `hd`; empty: any or none
    max_age_s        the login (`auth_time`) may be this old; None: any age
    """

    issuer: str
    issuers_allowed: tuple[str, ...] = ()
    leeway_s: float = 0.0
    check_claims: bool = True
    shared_secret: SharedSecret | None = field(default=None, repr=False)
    domains: tuple[str, ...] = ()
    max_age_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessTokenRules(TokenRules):
    """What an access token must meet besides.

    audience             values that `aud` must all contain; empty: any or none
    from_token_endpoint  the identity provider itself just called it an access token, so that it may
                         look like an ID token (Dex's do); never for one that a client presented
    """

    audience: tuple[str, ...] = ()
    from_token_endpoint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IdTokenRules(TokenRules):
    """What an ID token must meet besides.

    client_id     the client that asked for it
    nonce         what was sent in the authorization request; None: not checked
    access_token  the access token that came with it, for `at_hash`; None: not checked
    login_is_over the login that it vouched for was accepted in its time: `exp` must be there, and
                  may have passed
    """

    client_id: str
    nonce: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)
    login_is_over: bool = False


def check_issuer(claims: Claims, rules: TokenRules, what: str) -> str:
    """The issuer whose keys must have signed the token. Raises TokenRefused.

    Without a check of `iss` that is the issuer of the facts, whatever the token says.
    """
    if not rules.check_claims and not rules.issuers_allowed:
        return rules.issuer
    issuer = claims.get("iss")
    allowed = rules.issuers_allowed or (rules.issuer,)
    if isinstance(issuer, str) and issuer in allowed:
        return issuer
    reason = Reason.ISSUER_NOT_ALLOWED if isinstance(issuer, str) else Reason.ISS_INVALID
    raise TokenRefused(
        reason,
        f"invalid issuer ({_shown(claims, 'iss')}) was specified for {what}, "
        f"{quoted(' or '.join(allowed))} was expected",
    )


def check_access_token_claims(claims: Claims, rules: AccessTokenRules, now_s: float) -> None:
    """Raises TokenRefused. `sub` may be absent (RFC 9068 wants it, older providers omit it)."""
    what = "access token"
    if rules.check_claims:
        if not isinstance(claims.get("sub", ""), str):
            raise TokenRefused(Reason.SUB_INVALID, _invalid(claims, "sub", what))
        _check_times(claims, rules, now_s, what)
        audience = _audience(claims, what)
        if not set(rules.audience) <= set(audience):
            expected = ", ".join(rules.audience)
            raise TokenRefused(
                Reason.AUDIENCE_MISMATCH,
                f"{_invalid(claims, 'aud', what)}, {quoted(expected)} was expected",
            )
    _check_domain(claims, rules, what)


def check_id_token_claims(jws: Jws, rules: IdTokenRules, now_s: float) -> None:
    """Raises TokenRefused. `nonce` and `at_hash` are checked even where check_claims is off."""
    what, claims = "id token", jws.claims
    if rules.check_claims:
        sub = claims.get("sub")
        if not isinstance(sub, str) or not sub:
            raise TokenRefused(Reason.SUB_INVALID, _invalid(claims, "sub", what))
        if "iat" not in claims:
            raise TokenRefused(Reason.IAT_MISSING, _invalid(claims, "iat", what))
        _check_times(claims, rules, now_s, what, may_have_ended=rules.login_is_over)
        _check_client(claims, rules, what)
    _check_domain(claims, rules, what)
    if rules.nonce is not None:
        _check_nonce(claims, rules.nonce)
    if rules.access_token is not None and "at_hash" in claims:
        _check_at_hash(jws, rules.access_token)


def numeric_date(value: Any) -> float | None:
    """Seconds since 1970 (RFC 7519 §2), or None: no number, negative, beyond the year 9999.

    A boolean is no number, whatever Python thinks.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= NUMERIC_DATE_MAX_S else None


def _check_times(
    claims: Claims, rules: TokenRules, now_s: float, what: str, *, may_have_ended: bool = False
) -> None:
    if "exp" not in claims:
        raise TokenRefused(Reason.EXP_MISSING, _invalid(claims, "exp", what))
    ends_at_s = _seconds(claims, "exp", Reason.EXP_INVALID, what)
    if now_s >= ends_at_s + rules.leeway_s and not may_have_ended:
        ago = f"{now_s - ends_at_s:.0f} s ago"
        raise TokenRefused(Reason.TOKEN_EXPIRED, f"{_invalid(claims, 'exp', what)}, {ago}")
    latest_s = now_s + rules.leeway_s
    for name, invalid, too_early in _NOT_BEFORE:
        if name in claims and (begins_at_s := _seconds(claims, name, invalid, what)) > latest_s:
            ahead = f"{begins_at_s - now_s:.0f} s from now"
            raise TokenRefused(too_early, f"{_invalid(claims, name, what)}, {ahead}")
    if rules.max_age_s is not None:
        if "auth_time" not in claims:
            raise TokenRefused(Reason.AUTH_TIME_MISSING, _invalid(claims, "auth_time", what))
        auth_time_s = _seconds(claims, "auth_time", Reason.AUTH_TIME_INVALID, what)
        if auth_time_s > latest_s:
            raise TokenRefused(Reason.AUTH_TIME_INVALID, _invalid(claims, "auth_time", what))
        if now_s > auth_time_s + rules.max_age_s + rules.leeway_s:
            raise TokenRefused(Reason.LOGIN_TOO_OLD, _invalid(claims, "auth_time", what))


def _seconds(claims: Claims, name: str, reason: Reason, what: str) -> float:
    seconds = numeric_date(claims[name])
    if seconds is None:
        raise TokenRefused(reason, _invalid(claims, name, what))
    return seconds


def _audience(claims: Claims, what: str) -> tuple[str, ...]:
    value = claims.get("aud", [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise TokenRefused(Reason.AUD_INVALID, _invalid(claims, "aud", what))
    return tuple(values)


def _check_client(claims: Claims, rules: IdTokenRules, what: str) -> None:
    """OpenID Connect Core §3.1.3.7 points 3 to 5.

    Audiences besides the client are let pass as long as `azp` says that the token is the client's:
    Keycloak adds audiences to ID tokens too.
    """
    audience = _audience(claims, what)
    expected = f"{quoted(rules.client_id)} was expected"
    if rules.client_id not in audience:
        raise TokenRefused(Reason.AUDIENCE_MISMATCH, f"{_invalid(claims, 'aud', what)}, {expected}")
    if "azp" in claims:
        if claims["azp"] != rules.client_id:
            raise TokenRefused(Reason.AZP_MISMATCH, f"{_invalid(claims, 'azp', what)}, {expected}")
    elif len(audience) > 1:
        raise TokenRefused(Reason.AZP_MISSING, f"{_invalid(claims, 'azp', what)}, {expected}")


def _check_domain(claims: Claims, rules: TokenRules, what: str) -> None:
    if rules.domains and claims.get("hd") not in rules.domains:
        raise TokenRefused(Reason.DOMAIN_NOT_ALLOWED, _invalid(claims, "hd", what))


def _check_nonce(claims: Claims, expected: str) -> None:
    nonce = claims.get("nonce")
    if nonce is None:
        raise TokenRefused(Reason.NONCE_MISSING, "no nonce was specified for id token")
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.encode()):
        raise TokenRefused(Reason.NONCE_MISMATCH, "invalid nonce was specified for id token")


def _check_at_hash(jws: Jws, access_token: str) -> None:
    half = left_half_hash(jws.algorithm, len(jws.signature), access_token)
    if jws.claims["at_hash"] != encode_base64url(half):
        raise TokenRefused(Reason.AT_HASH_MISMATCH, "invalid at_hash was specified for id token")


def _invalid(claims: Claims, name: str, what: str) -> str:
    return f"invalid {name} claim ({_shown(claims, name)}) was specified for {what}"


def _shown(claims: Claims, name: str) -> str:
    return quoted(claims[name]) if name in claims else "absent"
