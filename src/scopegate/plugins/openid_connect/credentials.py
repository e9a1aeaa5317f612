"""Credentials that a request brings: a session, a bearer token, a refresh token.

Source: contract openid-connect.md §1 (order), §2 (places), §3 (what counts as success), §12.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scopegate.oidc.claim_lookup import find_claim
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, NotJwt, TokenRefused
from scopegate.oidc.jws import parse_jws
from scopegate.plugins.access import Request
from scopegate.plugins.openid_connect.arguments import Arguments, FormEncoded
from scopegate.plugins.openid_connect.bearer import (
    BearerPlaces,
    Credential,
    CredentialRepeated,
    Place,
    credentials,
    header_name,
)
from scopegate.plugins.openid_connect.clients import Client, Clients
from scopegate.plugins.openid_connect.identity import Claims, Identity, text_of
from scopegate.plugins.openid_connect.issuer import Issuer
from scopegate.plugins.openid_connect.login_action import Entry
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.plugins.openid_connect.sessions import Sessions
from scopegate.plugins.openid_connect.token_calls import TokenCalls
from scopegate.plugins.openid_connect.verification import Verification
from scopegate.plugins.ports import Ports
from scopegate.reason_code import ReasonCode
from scopegate.session.cookies import CookieRepeated, read_cookie
from scopegate.session.session import Session, Tokens
from scopegate.session.session_cookie import OpenSession
from scopegate.session.single_flight import RefreshFlight, RefreshRefused, RefreshUnavailable

_BYTES_PER_CHARACTER = 4
"""What remembered claims take, a character of their token."""


class SessionOver(Exception):
    """The session opened, and cannot go on: its token has ended and no new one is to be had."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class RefreshTokenPlaces:
    """Where a refresh token may stand; nowhere while `refresh_token_param_name` is null."""

    name: str | None
    kinds: frozenset[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RefreshTokenPlaces:
        kinds = frozenset(config["refresh_token_param_type"] or ())
        return cls(config["refresh_token_param_name"], kinds)

    def find(self, request: Request, arguments: Arguments) -> Credential | None:
        """The refresh token, or None. Raises CredentialRepeated, BodyWanted."""
        if not self.name:
            return None
        found: list[Credential] = []
        header = header_name(self.name)
        if "header" in self.kinds and (value := request.header(header)):
            if "," in value:
                raise CredentialRepeated.of("refresh", [f"header {header} twice"])
            found.append(Credential(value.strip(), "header", header))
        twins: list[Credential] = []
        if "query" in self.kinds:
            found += credentials(arguments.query(self.name), "query", self.name)
            twins += credentials(arguments.query_twins(self.name), "query", self.name)
        if "body" in self.kinds and (arguments.has_form or not found):
            found += credentials(arguments.body(self.name), "body", self.name)
            twins += credentials(arguments.form_twins(self.name), "body", self.name)
        CredentialRepeated.check("refresh", found, twins)
        return found[0] if found else None

    def places(self) -> list[Place]:
        """Where a request may hold a refresh token."""
        if not self.name:
            return []
        names = {"header": header_name(self.name), "query": self.name, "body": self.name}
        return [(kind, name) for kind, name in names.items() if kind in self.kinds]


class Credentials:
    """The credentials of one configuration, each turned into an identity."""

    def __init__(
        self,
        config: Mapping[str, Any],
        clients: Clients,
        verification: Verification,
        issuer: Issuer,
        calls: TokenCalls,
        sessions: Sessions,
        ports: Ports,
    ) -> None:
        methods = config["auth_methods"]
        self._bearer = BearerPlaces.from_config(config) if "bearer" in methods else None
        self._refresh = (
            RefreshTokenPlaces.from_config(config) if "refresh_token" in methods else None
        )
        self._body_names = tuple(name for place, name in self.places() if place == "body")
        self._sought = "; ".join(self._places_sought(sessions)) or "nothing but logins are enabled"
        self._clients = clients
        self._verification = verification
        self._issuer = issuer
        self._calls = calls
        self._ports = ports
        self._leeway_s = config["leeway"]
        self._refresh_tokens = config["refresh_tokens"]
        self._reverify = config["reverify"]
        self._jwt_session_cookie = config["jwt_session_cookie"]
        self._jwt_session_claim = config["jwt_session_claim"]
        self._flight = RefreshFlight(
            state=ports.shared,
            ring=sessions.ring,
            random_bytes=ports.random_bytes,
            timeouts=sessions.timeouts,
            under_way=ports.refreshes,
        )

    def places(self) -> list[Place]:
        """Where a request may hold a token, whether or not it was looked at."""
        return [
            *(self._bearer.places() if self._bearer else ()),
            *(self._refresh.places() if self._refresh else ()),
        ]

    def _places_sought(self, sessions: Sessions) -> Iterator[str]:
        if sessions.enabled:
            yield f"no session in cookie {sessions.cookie_names[0]}"
        for kind, sought in (("bearer", self._bearer), ("refresh", self._refresh)):
            if sought is not None and (places := sought.places()):
                listed = ", ".join(f"{place} {name}" for place, name in places)
                yield f"no {kind} token as {listed}"

    def nothing_found(self, request: Request) -> str:
        """What the log says of a request without a credential: where one was looked for."""
        detail = f"no credential was found: {self._sought}"
        if ("header", "authorization") in self.places() and request.header("authorization"):
            detail += "; Authorization is there, with another scheme or nothing behind Bearer"
        return detail

    async def session(self, request: Request, arguments: Arguments, found: OpenSession) -> Entry:
        """The identity of a live session, refreshed if its token is about to end.

        Raises SessionOver, IdpUnavailable, SharedStateUnavailable, CredentialRepeated, FormEncoded,
        BodyWanted.
        """
        if self.is_in_form(arguments):
            raise CredentialRepeated(
                "a token in the form beside a session; where the field is the application's, take "
                "body out of bearer_token_param_type"
            )
        session = found.session
        client = self._clients.by_id(session.client_id)
        refreshed = self._is_ending(session.tokens)
        identity = self._identity_of(session)
        if session.method == "bearer":
            try:
                self._check_jwt_session(request, identity.access_claims or {})
            except TokenRefused as problem:
                raise SessionOver(problem.reason, problem.detail) from None
        if refreshed:
            session = replace(session, tokens=await self._refreshed(session, identity, client))
            identity = self._identity_of(session)
        if self._reverify:
            await self._verify_again(identity, client)
        if refreshed:
            found = replace(found, session=session, needs_saving=True, is_touched=False)
        return Entry(identity, open_session=found)

    def is_in_form(self, arguments: Arguments) -> bool:
        """Whether a form holds a token or its twin, whatever else the request brings.

        RFC 6750 §2.2 knows tokens in forms and in no other bodies (ADR 0026). Raises BodyWanted,
        FormEncoded.
        """
        if not (self._body_names and arguments.has_form):
            return False
        if arguments.is_form_encoded:
            raise FormEncoded(
                "a form with a Content-Encoding cannot be looked into for a token; where forms are "
                "the application's, take body out of bearer_token_param_type"
            )
        return any(
            value
            for name in self._body_names
            for value in (*arguments.body(name), *arguments.form_twins(name))
        )

    def want_body(self, arguments: Arguments) -> None:
        """Raises BodyWanted where a body may hold a token and was not read yet."""
        for name in self._body_names:
            arguments.body(name)

    def could_be_in(self, arguments: Arguments) -> bool:
        """Whether a token was looked for in a body that is too large to be looked into."""
        return arguments.is_body_too_large and bool(self._body_names)

    def _is_ending(self, tokens: Tokens) -> bool:
        ends_at_s = tokens.access_expires_at_s
        return ends_at_s is not None and self._ports.now() >= ends_at_s - self._leeway_s

    async def _refreshed(self, session: Session, former: Identity, client: Client) -> Tokens:
        if not self._refresh_tokens:
            raise SessionOver(
                AccessReason.SESSION_TOKEN_EXPIRED,
                "the access token of the session has expired, and refresh_tokens is off",
            )
        newer = await self._flight.newer(session, now_s=int(self._ports.now()))
        if newer is not None and not self._is_ending(newer):
            return newer
        if newer is not None:
            session = replace(session, tokens=newer)
            former = self._identity_of(session)
        refresh_token = session.tokens.refresh
        if refresh_token is None:
            raise SessionOver(
                AccessReason.SESSION_TOKEN_EXPIRED,
                "the access token of the session has expired, and there is no refresh token",
            )

        async def work() -> Tokens:
            try:
                identity, _ = await self._calls.refresh(
                    client, refresh_token, method=session.method, former=former
                )
            except IdpUnavailable as problem:
                raise RefreshUnavailable(problem.reason, problem.detail) from None
            except (IdpRefused, TokenRefused) as problem:
                raise RefreshRefused(problem.reason, problem.detail) from None
            expires_at_s = identity.expires_at_s
            return Tokens(
                access=identity.access_token,
                access_expires_at_s=None if expires_at_s is None else int(expires_at_s),
                # OpenID Connect Core §12.2: a refresh need not bring a new ID token.
                id=identity.id_token or session.tokens.id,
                refresh=identity.refresh_token,
            )

        try:
            return await self._flight.refresh(session, work, now_s=int(self._ports.now()))
        except RefreshRefused as problem:
            raise SessionOver(problem.reason, problem.detail) from None
        except RefreshUnavailable as problem:
            raise IdpUnavailable(problem.reason, problem.detail) from None

    async def _verify_again(self, identity: Identity, client: Client) -> None:
        """`reverify`: the session's tokens once more, as if they came fresh from the issuer."""
        now_s = self._ports.now()
        try:
            if identity.method == "bearer" and identity.access_token is not None:
                await self._verification.presented(
                    identity.access_token, client, self._issuer, now_s
                )
            elif identity.access_token is not None:
                await self._verification.issued_access_token(
                    identity.access_token, "session", client, self._issuer, now_s
                )
            if identity.id_token is not None:
                await self._verification.id_token_of_session(
                    identity.id_token, client, self._issuer, now_s
                )
        except TokenRefused as problem:
            raise SessionOver(problem.reason, problem.detail) from None

    async def presented(
        self, request: Request, arguments: Arguments, client: Client
    ) -> Entry | None:
        """The identity of a token in the request; None when there is none.

        Raises TokenRefused, IdpRefused, IdpUnavailable, NotConfigured, CredentialRepeated,
        FormEncoded, BodyWanted.
        """
        # Whatever else is found: what stands in a form and was not asked for is cut out.
        self.is_in_form(arguments)
        if self._bearer is not None:
            credential = self._bearer.find(request, arguments)
            if credential is not None:
                return await self._bearer_token(request, credential, client)
        if self._refresh is not None:
            credential = self._refresh.find(request, arguments)
            if credential is not None:
                return await self._refresh_token(credential, client)
        return None

    async def _bearer_token(
        self, request: Request, credential: Credential, client: Client
    ) -> Entry:
        try:
            token = await self._verification.presented(
                credential.value, client, self._issuer, self._ports.now()
            )
        except NotJwt as problem:
            # Methods that could know an opaque token (introspection, userinfo) are not built.
            raise TokenRefused(problem.reason, problem.detail) from None
        self._check_jwt_session(request, token.claims)
        identity = Identity(
            method="bearer",
            client_id=client.id or "",
            access_token=credential.value,
            access_claims=token.claims,
            expires_at_s=token.expires_at_s,
        )
        return Entry(identity, credential=credential)

    def _check_jwt_session(self, request: Request, claims: Claims) -> None:
        """`jwt_session_cookie`: the token is good only beside the cookie that it names."""
        if not self._jwt_session_cookie:
            return
        try:
            cookie = read_cookie(request.header("cookie"), self._jwt_session_cookie)
        except CookieRepeated:
            cookie = None
        claim = text_of(find_claim(claims, (self._jwt_session_claim,)))
        if cookie is None or claim is None or cookie != claim:
            raise TokenRefused(
                AccessReason.JWT_SESSION_MISMATCH,
                f"the cookie {self._jwt_session_cookie} is not what the token's claim names",
            )

    async def _refresh_token(self, credential: Credential, client: Client) -> Entry:
        identity, tokens = await self._calls.refresh(
            client, credential.value, method="refresh_token"
        )
        return Entry(identity, credential=credential, tokens=tokens)

    def _identity_of(self, session: Session) -> Identity:
        """Whom a session's tokens name; they were verified when they came."""
        tokens = session.tokens
        return Identity(
            method=session.method,
            client_id=session.client_id,
            access_token=tokens.access,
            access_claims=self._claims_of(tokens.access),
            id_token=tokens.id,
            id_claims=self._claims_of(tokens.id),
            refresh_token=tokens.refresh,
            expires_at_s=tokens.access_expires_at_s,
            session=session,
        )

    def _claims_of(self, token: str | None) -> Claims | None:
        """The claims of a token that was verified when the session was made; None when opaque."""
        if token is None:
            return None
        key = (self, token)
        claims: Claims | None = self._ports.remembered.get(key)
        if claims is None:
            try:
                claims = parse_jws(token).claims
            except TokenRefused:
                return None
            self._ports.remembered.put(key, claims, len(token) * _BYTES_PER_CHARACTER)
        return claims
