"""Which checks a token has to pass, by where it came from.

`verify_signature=false` and `ignore_signature` spare the signature of tokens that came straight
from the token endpoint, never of one that a client presents (docs/adr/0005).
Source: contract openid-connect.md §3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from scopegate.oidc.claim_checks import AccessTokenRules, IdTokenRules, TokenRules
from scopegate.oidc.errors import NotJwt, TokenRefused
from scopegate.oidc.keys import SharedSecret
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import (
    SignedToken,
    VerifiedToken,
    accept_access_token,
    read_access_token,
    read_id_token,
    signed_access_token,
    verify_access_token,
    verify_id_token,
)
from scopegate.plugins.openid_connect.clients import Client
from scopegate.plugins.openid_connect.issuer import Issuer, KnownIssuer
from scopegate.session.remembered import Remembered

_Rules = TypeVar("_Rules", bound=TokenRules)


_BYTES_PER_CHARACTER = 4
"""What a remembered token takes besides itself: its claims as Python objects."""


class _Presented:
    """The rules for tokens that clients present to one client, by the keys known now.

    Equal to nothing but itself: a signature that was found good is remembered under it.
    """

    def __init__(self, known: KnownIssuer, rules: AccessTokenRules) -> None:
        self.known = known
        self.rules = rules


@dataclass(frozen=True, slots=True)
class Verification:
    """The token checks of one configuration."""

    issuers_allowed: tuple[str, ...]
    leeway_s: float
    verify_claims: bool
    verify_signature: bool
    verify_nonce: bool
    ignore_signature: frozenset[str]
    hs_signatures: bool
    domains: tuple[str, ...]
    max_age_s: float | None
    audience: tuple[str, ...]
    remembered: Remembered = field(repr=False, compare=False)
    _presented: dict[int, _Presented] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], remembered: Remembered) -> Verification:
        return cls(
            issuers_allowed=tuple(config["issuers_allowed"] or ()),
            leeway_s=config["leeway"],
            verify_claims=config["verify_claims"],
            verify_signature=config["verify_signature"],
            verify_nonce=config["verify_nonce"],
            ignore_signature=frozenset(config["ignore_signature"] or ()),
            hs_signatures=config["enable_hs_signatures"],
            domains=tuple(config["domains"] or ()),
            max_age_s=config["max_age"],
            audience=tuple(config["audience"] or ()),
            remembered=remembered,
        )

    async def presented(
        self, token: str, client: Client, issuer: Issuer, now_s: float
    ) -> VerifiedToken:
        """An access token that a client presents. Raises OidcError.

        Its form and its signature are looked at once in a while, its claims with every use
        (docs/adr/0037).
        """

        def verify(known: KnownIssuer) -> VerifiedToken:
            presented = self._presented_to(client, known)
            key = (presented, token)
            signed: SignedToken | None = self.remembered.get(key)
            if signed is None:
                signed = signed_access_token(token, presented.rules, known.keys)
                self.remembered.put(key, signed, len(token) * _BYTES_PER_CHARACTER)
            return accept_access_token(signed, presented.rules, now_s)

        return await issuer.check(verify)

    def _presented_to(self, client: Client, known: KnownIssuer) -> _Presented:
        presented = self._presented.get(client.index)
        if presented is None or presented.known is not known:
            rules = self._access_rules(known, client, self.max_age_s)
            presented = self._presented[client.index] = _Presented(known, rules)
        return presented

    async def issued_access_token(
        self,
        token: str,
        method: str,
        client: Client,
        issuer: Issuer,
        now_s: float,
        *,
        tells_age: bool = False,
    ) -> VerifiedToken | None:
        """An access token straight from the token endpoint; None when it is opaque.

        `tells_age`: nothing else says how old the login is, so that `max_age` is asked of it; an
        opaque token cannot say. Raises OidcError.
        """
        max_age_s = self.max_age_s if tells_age else None

        def verify(known: KnownIssuer) -> VerifiedToken:
            rules = replace(self._access_rules(known, client, max_age_s), from_token_endpoint=True)
            if self._trusts_back_channel(method):
                return read_access_token(token, rules, now_s)
            return verify_access_token(token, rules, known.keys, now_s)

        try:
            return await issuer.check(verify)
        except NotJwt:
            if max_age_s is not None and self.verify_claims:
                detail = "no token says when the login was (auth_time), and max_age is set"
                raise TokenRefused(Reason.AUTH_TIME_MISSING, detail) from None
            return None

    async def issued_id_token(
        self,
        token: str,
        client: Client,
        issuer: Issuer,
        now_s: float,
        *,
        nonce: str | None,
        access_token: str | None,
        tells_age: bool,
    ) -> VerifiedToken:
        """An ID token straight from the token endpoint. Raises OidcError.

        `tells_age`: `max_age` is asked of it. `ignore_signature` speaks of access tokens only.
        """

        def verify(known: KnownIssuer) -> VerifiedToken:
            rules = replace(
                self._id_rules(known, client),
                max_age_s=self.max_age_s if tells_age else None,
                nonce=nonce if self.verify_nonce else None,
                access_token=access_token,
            )
            return self._checked_id_token(token, rules, known, now_s)

        return await issuer.check(verify)

    async def id_token_of_session(
        self, token: str, client: Client, issuer: Issuer, now_s: float
    ) -> VerifiedToken:
        """The ID token of a session once more (`reverify`). Raises OidcError.

        What belonged to the login alone is not asked again: nonce, age, `exp`, and `at_hash`, for
        a refresh need not bring a new ID token beside the new access token.
        """

        def verify(known: KnownIssuer) -> VerifiedToken:
            rules = replace(self._id_rules(known, client), login_is_over=True)
            return self._checked_id_token(token, rules, known, now_s)

        return await issuer.check(verify)

    def _checked_id_token(
        self, token: str, rules: IdTokenRules, known: KnownIssuer, now_s: float
    ) -> VerifiedToken:
        if not self.verify_signature:
            return read_id_token(token, rules, now_s)
        return verify_id_token(token, rules, known.keys, now_s)

    def _id_rules(self, known: KnownIssuer, client: Client) -> IdTokenRules:
        return self._rules(IdTokenRules, known, client, client_id=client.id or "")

    def _trusts_back_channel(self, method: str) -> bool:
        return not self.verify_signature or method in self.ignore_signature

    def _access_rules(
        self, known: KnownIssuer, client: Client, max_age_s: float | None
    ) -> AccessTokenRules:
        own = {"max_age_s": max_age_s, "audience": self.audience}
        return self._rules(AccessTokenRules, known, client, **own)

    def _rules(self, kind: type[_Rules], known: KnownIssuer, client: Client, **own: Any) -> _Rules:
        """What tokens of both kinds must meet is said once: a check cannot be left out of one."""
        return kind(
            issuer=known.facts.issuer,
            issuers_allowed=self.issuers_allowed,
            leeway_s=self.leeway_s,
            check_claims=self.verify_claims,
            shared_secret=self._shared_secret(client),
            domains=self.domains,
            **own,
        )

    def _shared_secret(self, client: Client) -> SharedSecret | None:
        if not self.hs_signatures or not client.secret:
            return None
        return SharedSecret.of(client.secret)
