"""Telling what kind of token a JWT is, so that none passes for another.

An identity provider signs many kinds of JWT with the same keys. Kinds are told apart by, in order:
1. *marks*, each of which is binding: the header's `typ` (RFC 9068 §2.1 `at+jwt`, RFC 9449
   `dpop+jwt`, Back-Channel Logout 1.0 §2.4 `logout+jwt`, RFC 8417 `secevent+jwt`, RFC 9701
   `token-introspection+jwt`), the claims `events` (RFC 8417) and `token_introspection` (RFC 9701),
   and what providers add: Keycloak's claim `typ` (`ID`, `Bearer`, `Refresh`, `Offline`, `Logout`),
   Cognito's `token_use`, ForgeRock's `tokenName`. A mark that nobody knows is refused.
2. for a token without any mark that a client presents as an access token, *traces*: `nonce`,
   `at_hash`, `c_hash` or `s_hash` make it an ID token (OpenID Connect Core §2 and §3.3.2.11), and
   `code` or `error` without `sub` an authorization response (JARM §2.1). Dex, whose access tokens
   are ID tokens in all but name, can thus be used for logins but not for bearer tokens.

What cannot be told: an ID token without mark and trace, from a provider that marks nothing and got
no nonce (a refreshed one). It passes for an access token of the same audience. It has no scope, so
`scopes_required` or `audience_required` keep it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from scopegate.oidc.errors import TokenRefused, quoted
from scopegate.oidc.jws import Jws
from scopegate.oidc.reasons import Reason


class TokenKind(Enum):
    """What a token is for; the value is the reason to refuse it elsewhere."""

    ACCESS = Reason.ACCESS_TOKEN_PRESENTED
    ID = Reason.ID_TOKEN_PRESENTED
    REFRESH = Reason.REFRESH_TOKEN_PRESENTED
    LOGOUT = Reason.LOGOUT_TOKEN_PRESENTED
    DPOP_PROOF = Reason.DPOP_PROOF_PRESENTED
    INTROSPECTION_ANSWER = Reason.INTROSPECTION_ANSWER_PRESENTED
    AUTHORIZATION_ANSWER = Reason.AUTHORIZATION_ANSWER_PRESENTED


# None: a value that says nothing about the kind.
_HEADER_TYPES: Mapping[str, TokenKind | None] = {
    "jwt": None,
    "at+jwt": TokenKind.ACCESS,
    "dpop+jwt": TokenKind.DPOP_PROOF,
    "logout+jwt": TokenKind.LOGOUT,
    "secevent+jwt": TokenKind.LOGOUT,
    "token-introspection+jwt": TokenKind.INTROSPECTION_ANSWER,
}
_MARKING_CLAIMS: Mapping[str, Mapping[str, TokenKind | None]] = {
    "typ": {
        "jwt": None,
        "at+jwt": TokenKind.ACCESS,
        "bearer": TokenKind.ACCESS,
        "dpop": TokenKind.ACCESS,
        "id": TokenKind.ID,
        "refresh": TokenKind.REFRESH,
        "offline": TokenKind.REFRESH,
        "logout": TokenKind.LOGOUT,
    },
    "token_use": {
        "access": TokenKind.ACCESS,
        "id": TokenKind.ID,
        "refresh": TokenKind.REFRESH,
    },
    "tokenName": {
        "access_token": TokenKind.ACCESS,
        "id_token": TokenKind.ID,
        "refresh_token": TokenKind.REFRESH,
    },
}
_TRACES_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash", "s_hash")
_TRACES_OF_AUTHORIZATION_ANSWERS = ("code", "error")


def check_is_access_token(jws: Jws, *, from_token_endpoint: bool) -> None:
    """Raises TokenRefused for every token that is known to be something else.

    from_token_endpoint   the identity provider called it an access token: only marks count
    """
    if _check_marks(jws, TokenKind.ACCESS) or from_token_endpoint:
        return
    claims = jws.claims
    if any(name in claims for name in _TRACES_OF_ID_TOKENS):
        raise _refused(TokenKind.ID, "access token")
    if "sub" not in claims and any(name in claims for name in _TRACES_OF_AUTHORIZATION_ANSWERS):
        raise _refused(TokenKind.AUTHORIZATION_ANSWER, "access token")


def check_is_id_token(jws: Jws) -> None:
    """Raises TokenRefused for every token that is marked as something else."""
    _check_marks(jws, TokenKind.ID)


def _check_marks(jws: Jws, wanted: TokenKind) -> bool:
    """Whether the token is marked as the wanted kind. Raises TokenRefused if as another."""
    what = "access token" if wanted is TokenKind.ACCESS else "id token"
    is_marked = False
    for kind in _marks(jws):
        if kind is not wanted:
            raise _refused(kind, what)
        is_marked = True
    return is_marked


def _marks(jws: Jws) -> Iterator[TokenKind]:
    """All marks of a token. Raises TokenRefused for one that nobody knows."""
    if jws.typ is not None:
        if jws.typ not in _HEADER_TYPES:
            raise TokenRefused(Reason.TYPE_UNKNOWN, f"unknown type ({quoted(jws.typ)}) of token")
        kind = _HEADER_TYPES[jws.typ]
        if kind is not None:
            yield kind
    for name, kinds in _MARKING_CLAIMS.items():
        if name not in jws.claims:
            continue
        value = jws.claims[name]
        if not isinstance(value, str) or value.lower() not in kinds:
            raise TokenRefused(
                Reason.TYPE_UNKNOWN, f"unknown type ({name}: {quoted(value)}) of token"
            )
        kind = kinds[value.lower()]
        if kind is not None:
            yield kind
    if "events" in jws.claims:
        yield TokenKind.LOGOUT
    if "token_introspection" in jws.claims:
        yield TokenKind.INTROSPECTION_ANSWER


def _refused(kind: TokenKind, wanted: str) -> TokenRefused:
    name = kind.name.lower().replace("_", " ")
    return TokenRefused(kind.value, f"{name} presented where the {wanted} must be")
