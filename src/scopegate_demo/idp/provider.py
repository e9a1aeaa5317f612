"""The provider itself, without HTTP: it makes tokens and says what they are worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OctKey, RSAKey

from scopegate_demo.idp.behaviour import Behaviour, TokenEdit
from scopegate_demo.idp.keys import KeyRing, public_jwk
from scopegate_demo.idp.ledger import Grant, Ledger, Lifetimes
from scopegate_demo.idp.realm import Realm
from scopegate_demo.idp.signing import at_hash, sign, sign_refresh_token
from scopegate_demo.idp.tokens import (
    access_token_claims,
    id_token_claims,
    refresh_token_claims,
)

Claims = dict[str, Any]


class Provider:
    """Everything but the endpoints.

    issuer      the `iss` of all tokens; set once the port is known
    clock       unix seconds
    """

    def __init__(
        self, realm: Realm, lifetimes: Lifetimes, keys: KeyRing, clock: Callable[[], float]
    ) -> None:
        self.issuer = ""
        self.realm = realm
        self.lifetimes = lifetimes
        self.behaviour = Behaviour()
        self.keys = keys
        self.ledger = Ledger(clock, lifetimes)

    def token_answer(self, grant: Grant, *, refreshed: bool = False) -> dict[str, Any]:
        """The token endpoint's answer to a good grant. Source: RFC 6749 §5.1, Core §3.1.3.3."""
        behaviour = self.behaviour
        access_edit, id_edit = behaviour.access_token, behaviour.id_token
        if refreshed:
            access_edit = behaviour.refreshed_access_token or access_edit
            id_edit = behaviour.refreshed_id_token or id_edit
        access_token = self.access_token(grant, access_edit)
        answer: dict[str, Any] = {
            "access_token": access_token,
            "expires_in": self.lifetimes.access_token_s,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": " ".join(grant.scope),
        }
        if "openid" in grant.scope:
            answer["id_token"] = self.id_token(grant, access_token, id_edit)
        if grant.session is not None:
            jti, expires_at = self.ledger.issue_refresh_token(replace(grant, nonce=None))
            claims = refresh_token_claims(grant, self.issuer, self.ledger.now(), jti, expires_at)
            answer["refresh_token"] = sign_refresh_token(claims, self.keys)
            answer["refresh_expires_in"] = expires_at - self.ledger.now()
            answer["session_state"] = grant.session.sid
        return behaviour.token_answer.apply(answer)

    def access_token(self, grant: Grant, edit: TokenEdit) -> str:
        claims = access_token_claims(
            grant, self.realm, self.issuer, self.ledger.now(), self.lifetimes.access_token_s
        )
        return self._sign(claims, edit)

    def id_token(self, grant: Grant, access_token: str, edit: TokenEdit) -> str:
        claims = id_token_claims(
            grant,
            self.issuer,
            self.ledger.now(),
            self.lifetimes.id_token_s,
            at_hash(access_token),
        )
        return self._sign(claims, edit)

    def read_access_token(self, token: str) -> Claims | None:
        """Its claims while it is good: ours, not expired or revoked, its session alive."""
        claims = self._verify(token, "Bearer")
        if claims is None or not self._in_time(claims):
            return None
        if self.ledger.is_revoked(str(claims.get("jti"))):
            return None
        if "sid" in claims and self.ledger.session(str(claims["sid"])) is None:
            return None
        return claims

    def read_id_token_hint(self, token: str) -> Claims | None:
        """Its claims when it is ours, expired or not. Source: RP-Initiated Logout §2."""
        return self._verify(token, "ID")

    def read_refresh_token(self, token: str) -> Claims | None:
        """Its claims when it is ours; the ledger knows whether it is good."""
        try:
            key = OctKey.import_key(self.keys.refresh_secret)
            signed = jws.deserialize_compact(token, key, algorithms=["HS512"])
            return dict(json.loads(signed.payload))
        except (JoseError, ValueError):
            return None

    def _sign(self, claims: Claims, edit: TokenEdit) -> str:
        return sign(
            edit.apply(claims),
            self.keys,
            edit.signature,
            set_header=edit.header.set,
            without_header=tuple(edit.header.without),
        )

    def _verify(self, token: str, typ: str) -> Claims | None:
        public: list[Key] = [RSAKey.import_key(public_jwk(key)) for key in self.keys.published]
        try:
            signed = jws.deserialize_compact(token, KeySet(public), algorithms=["RS256"])
            claims = json.loads(signed.payload)
        except (JoseError, ValueError):
            return None
        right = isinstance(claims, dict) and claims.get("typ") == typ
        return claims if right and claims.get("iss") == self.issuer else None

    def _in_time(self, claims: Claims) -> bool:
        now = self.ledger.now()
        expires_at, not_before = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires_at, int | float) or not isinstance(not_before, int | float):
            return False
        return not_before <= now < expires_at
