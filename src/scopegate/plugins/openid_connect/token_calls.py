"""Calls to the token endpoint: a code or a refresh token becomes a verified identity."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scopegate.oidc import grants
from scopegate.oidc.client_authentication import ClientCredentials, choose_auth_method
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, TokenRefused
from scopegate.oidc.grants import TokenEndpoint, TokenSet
from scopegate.oidc.http import HttpSettings
from scopegate.oidc.reasons import Reason
from scopegate.oidc.tokens import check_same_issuer, check_same_subject
from scopegate.plugins.openid_connect.clients import Client
from scopegate.plugins.openid_connect.identity import Claims, Identity
from scopegate.plugins.openid_connect.issuer import Issuer
from scopegate.plugins.openid_connect.issuer_request import http_settings
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.plugins.openid_connect.verification import Verification
from scopegate.plugins.ports import Ports
from scopegate.session.session import Session


@dataclass(frozen=True, slots=True)
class TokenCalls:
    """The token endpoint as one configuration uses it.

    arguments, headers   extra ones that the configuration adds
    """

    verification: Verification
    issuer: Issuer
    ports: Ports
    http: HttpSettings
    auth_method: str | None
    openid: bool
    arguments: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], verification: Verification, issuer: Issuer, ports: Ports
    ) -> TokenCalls:
        def pairs(name: str) -> list[tuple[str, str]]:
            names, values = config[f"{name}_names"] or (), config[f"{name}_values"] or ()
            return list(zip(names, values, strict=True))

        arguments = pairs("token_post_args")
        if config["audience"]:
            arguments.append(("audience", " ".join(config["audience"])))
        return cls(
            verification=verification,
            issuer=issuer,
            ports=ports,
            http=http_settings(config),
            auth_method=config["token_endpoint_auth_method"],
            openid="openid" in (config["scopes"] or ()),
            arguments=tuple(arguments),
            headers=tuple(pairs("token_headers")),
        )

    async def redeem(
        self,
        client: Client,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str | None,
        nonce: str,
    ) -> tuple[Identity, TokenSet]:
        """Tokens for a code, verified. Raises OidcError."""
        tokens = await self._watched(
            grants.redeem_code(
                self.ports.http,
                await self._endpoint(client),
                code=code,
                redirect_uri=redirect_uri,
                code_verifier=code_verifier,
                now_s=self.ports.now(),
            )
        )
        if tokens.id_token is None and self.openid:
            # OpenID Connect Core §3.1.3.3: whoever asks for openid gets an ID token.
            raise IdpRefused(AccessReason.ID_TOKEN_MISSING, "the token endpoint sent no id token")
        identity = await self._verified(
            "authorization_code", client, tokens, nonce=nonce, checks_age=True
        )
        return identity, tokens

    async def refresh(
        self,
        client: Client,
        refresh_token: str,
        *,
        method: str,
        former: Identity | None = None,
    ) -> tuple[Identity, TokenSet]:
        """New tokens for a refresh token, verified; of the same subject as the former ones.

        Raises OidcError.
        """
        tokens = await self._watched(
            grants.refresh(
                self.ports.http,
                await self._endpoint(client),
                refresh_token=refresh_token,
                now_s=self.ports.now(),
            )
        )
        # A session was begun by a login that was young enough; its refresh brings tokens of that
        # same login (OpenID Connect Core §12.2). Whoever comes with a refresh token begins anew.
        identity = await self._verified(
            method, client, tokens, nonce=None, checks_age=former is None
        )
        if former is not None:
            _check_is_same_person(former, identity)
        return identity, tokens

    async def _watched(self, call: Awaitable[TokenSet]) -> TokenSet:
        """The tokens; control hears of a call that was not answered."""
        try:
            return await call
        except IdpUnavailable:
            self.issuer.suspect()
            raise

    async def _verified(
        self,
        method: str,
        client: Client,
        tokens: TokenSet,
        *,
        nonce: str | None,
        checks_age: bool,
    ) -> Identity:
        """`checks_age`: `max_age` counts. The ID token says when the login was, where there is one;
        else the access token must.
        """
        now_s, access_token = self.ports.now(), tokens.access_token
        access = await self.verification.issued_access_token(
            access_token,
            method,
            client,
            self.issuer,
            now_s,
            tells_age=checks_age and tokens.id_token is None,
        )
        identity = Identity(
            method=method,
            client_id=client.id or "",
            access_token=access_token,
            access_claims=access.claims if access else None,
            refresh_token=tokens.refresh_token,
            expires_at_s=_earliest(tokens.expires_at_s, access.expires_at_s if access else None),
        )
        if tokens.id_token is None:
            return identity
        verified = await self.verification.issued_id_token(
            tokens.id_token,
            client,
            self.issuer,
            now_s,
            nonce=nonce,
            access_token=access_token,
            tells_age=checks_age,
        )
        return replace(identity, id_token=tokens.id_token, id_claims=verified.claims)

    async def _endpoint(self, client: Client) -> TokenEndpoint:
        facts = (await self.issuer.known()).facts
        return TokenEndpoint(
            url=facts.require_endpoint("token"),
            client=ClientCredentials.required(client.id, client.secret),
            auth_method=choose_auth_method(
                (self.auth_method, client.authentication), facts.token_endpoint_auth_methods
            ),
            http=self.http,
            headers=self.headers,
            arguments=self.arguments,
        )


def _check_is_same_person(former: Identity, refreshed: Identity) -> None:
    """OpenID Connect Core §12.2, contract §22 point 6. Raises TokenRefused.

    Like is compared with like: some providers give ID and access tokens different subjects. A token
    without its like is compared with the session. Where the access token named somebody, a new one
    must, too. Where it was opaque and a refresh brings no ID token, which it need not, there is
    nothing to compare: the refresh token itself is bound to who logged in (RFC 6749 §6).
    """
    named = [
        _check_token("id token", former.id_claims, refreshed.id_claims, former.session),
        _check_token("access token", former.access_claims, refreshed.access_claims, former.session),
    ]
    if not any(named) and (former.access_claims or {}).get("sub") is not None:
        raise TokenRefused(
            Reason.SUBJECT_CHANGED, "no refreshed token names the subject that the session is of"
        )


def _check_token(
    what: str, former: Claims | None, refreshed: Claims | None, session: Session | None
) -> bool:
    """Whether a refreshed token names the same subject; False when it names none.

    Raises TokenRefused for another subject or issuer.
    """
    if refreshed is None:
        return False
    if former is not None:
        check_same_issuer(former.get("iss"), refreshed, what)
    if refreshed.get("sub") is None:
        return False
    if former is not None and former.get("sub") is not None:
        check_same_subject(former["sub"], refreshed)
    elif session is not None:
        check_same_issuer(session.issuer or None, refreshed, what)
        check_same_subject(session.subject, refreshed)
    return True


def _earliest(*moments_s: float | None) -> float | None:
    known = [moment_s for moment_s in moments_s if moment_s is not None]
    return min(known) if known else None
