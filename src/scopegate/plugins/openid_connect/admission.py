"""From an accepted credential to what the upstream sees: requirements, consumer, session, headers.

The session is saved only after everything else said yes: a refused user leaves without one.
Source: contract openid-connect.md §1 (steps 8 to 11), §4 (login actions), §6 to §8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from scopegate.oidc.errors import TokenRefused
from scopegate.oidc.jws import parse_jws
from scopegate.oidc.tokens import signing_key
from scopegate.plugins.access import (
    Cacheable,
    Continue,
    Header,
    LogLine,
    Outcome,
    Redirect,
    Refusal,
    Request,
    Respond,
)
from scopegate.plugins.consumers import ConsumerIndex, ConsumerRecord
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.plugins.openid_connect.bearer import Place
from scopegate.plugins.openid_connect.cacheable import CacheLimits
from scopegate.plugins.openid_connect.clients import Client, Clients
from scopegate.plugins.openid_connect.consumer_mapping import (
    AnonymousInstead,
    AnonymousMissing,
    ConsumerMapping,
    ConsumerRefused,
    consumer_headers,
)
from scopegate.plugins.openid_connect.headers import (
    IDENTITY_HEADERS,
    FindKey,
    HeaderRules,
    sendable,
)
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.issuer import Issuer
from scopegate.plugins.openid_connect.login import (
    CALLBACK_ARGUMENTS,
    LoggedIn,
    Login,
    with_tokens_appended,
)
from scopegate.plugins.openid_connect.login_action import Entry, LoginAction
from scopegate.plugins.openid_connect.reasons import AccessReason, PassReason
from scopegate.plugins.openid_connect.refusals import Refusals
from scopegate.plugins.openid_connect.requirements import Requirements
from scopegate.plugins.openid_connect.sessions import Sessions
from scopegate.plugins.openid_connect.stripping import Stripping
from scopegate.reason_code import ReasonCode

# Where only a program or the browser's own cookie jar puts a credential. A link or a form of
# another site fills in a query or a body, and would log its author in (login CSRF, ADR 0004).
_SESSION_PLACES = frozenset({"header", "cookie"})


class Admission:
    """Lets accepted credentials in, or says what they lack."""

    def __init__(
        self,
        config: Mapping[str, Any],
        clients: Clients,
        consumers: ConsumerIndex,
        issuer: Issuer,
        sessions: Sessions,
        login: Login,
        refusals: Refusals,
        places: Sequence[Place],
    ) -> None:
        """`places`: where a request may hold a token."""
        self._clients = clients
        self._consumers = consumers
        self._issuer = issuer
        self._sessions = sessions
        self._login = login
        self._refusals = refusals
        self._requirements = Requirements.from_config(config)
        self._mapping = ConsumerMapping.from_config(config)
        self._up = HeaderRules.from_config(config, "upstream")
        self._down = HeaderRules.from_config(config, "downstream")
        self._stripping = Stripping(
            ours=self._up.names | IDENTITY_HEADERS | sessions.upstream_names,
            cookies=(*sessions.cookie_names, login.cookie_name),
            places=(*places, *clients.places()),
        )
        self._cache_limits = CacheLimits(config, sessions)
        self._login_action = LoginAction.from_config(config)
        self._hide = config["hide_credentials"]
        self._forbidden_ends_session = config["forbidden_destroy_session"]

    async def admit(self, request: Request, arguments: Arguments, entry: Entry) -> Outcome:
        """Steps 8 to 11 of the contract. Raises SharedStateUnavailable, SessionTooLarge."""
        identity = entry.identity
        client = self._clients.by_id(identity.client_id)
        unmet = self._requirements.unmet(identity.access_claims)
        if unmet is not None:
            return await self._forbid(
                request, entry, client, unmet.reason, unmet.detail, unmet.scope, unmet.required
            )
        try:
            consumer = self._mapping.consumer(identity, self._consumers)
        except ConsumerRefused as problem:
            return await self._forbid(request, entry, client, problem.reason, problem.detail)
        except AnonymousInstead:
            return await self._as_nobody(request, arguments, entry)
        # First what can fail: a session that was saved has replaced the one in the browser.
        find_key = await self._key_finder()
        identity, cookies = await self._save(request, entry)
        if identity is not entry.identity:
            entry = replace(entry, identity=identity)
        return await self._act(request, arguments, entry, consumer, cookies, find_key)

    async def _as_nobody(self, request: Request, arguments: Arguments, entry: Entry) -> Outcome:
        """Known to the provider, but no consumer: on like any other anonymous request.

        No session is begun; one that led here stays, with the tokens that were just refreshed;
        one that a login was to replace is over.
        """
        outcome = self._anonymous(request, arguments)
        if isinstance(outcome, Refusal):
            return outcome
        cookies: list[Header] = []
        if entry.open_session is not None:
            _, cookies = await self._sessions.keep(entry.open_session, request)
        if entry.former_session is not None:
            await self._sessions.end(entry.former_session)
            cookies = self._sessions.expire(request)
        if entry.logged_in is not None:
            outcome = self._without_callback(outcome, request, entry.logged_in)
        return replace(outcome, response_headers=tuple(cookies))

    async def _forbid(
        self,
        request: Request,
        entry: Entry,
        client: Client,
        reason: ReasonCode,
        detail: str,
        scope: str | None = None,
        required: tuple[str, ...] = (),
    ) -> Refusal:
        """403; the session that led here ends with it if so configured."""
        headers: list[Header] = []
        session = entry.open_session.session if entry.open_session else entry.former_session
        if session is not None and (
            self._forbidden_ends_session or session.subject != entry.identity.subject
        ):
            await self._sessions.end(session)
            headers = self._sessions.expire(request)
        elif entry.open_session is not None and entry.open_session.needs_saving:
            # Tokens may just have been refreshed: the former ones are spent.
            _, headers = await self._sessions.keep(entry.open_session, request)
        return self._refusals.forbidden(
            client,
            reason,
            detail,
            scope=scope,
            required=required,
            headers=headers,
            subject=entry.identity.subject,
        )

    async def _save(self, request: Request, entry: Entry) -> tuple[Identity, list[Header]]:
        identity = entry.identity
        if entry.open_session is not None:
            session, cookies = await self._sessions.keep(entry.open_session, request)
            if session is not identity.session:
                identity = replace(identity, session=session)
            return identity, cookies
        if entry.former_session is not None:
            # A second login never goes on with the session that was there (contract §22 point 6).
            await self._sessions.end(entry.former_session)
        if entry.credential is not None and entry.credential.place not in _SESSION_PLACES:
            return identity, []
        begun = self._sessions.begin(identity, self._issuer_of(identity))
        if begun is None:
            return identity, []
        return replace(identity, session=begun), self._sessions.save(begun, request)

    @staticmethod
    def _issuer_of(identity: Identity) -> str:
        iss = (identity.id_claims or identity.access_claims or {}).get("iss")
        return iss if isinstance(iss, str) else ""

    async def _act(
        self,
        request: Request,
        arguments: Arguments,
        entry: Entry,
        consumer: ConsumerRecord | None,
        cookies: list[Header],
        find_key: FindKey,
    ) -> Outcome:
        """The login action, or on to the upstream."""
        identity, action = entry.identity, self._login_action
        # A session remembers the method that began it; using it is no login with that method.
        method = "session" if entry.open_session else identity.method
        down, dropped = self._downstream(identity, find_key)
        answer_headers = (*cookies, *down)
        if method in action.methods:
            if action.action == "response":
                body = action.answer(entry)
                return Respond(
                    200,
                    "application/json",
                    body,
                    PassReason.LOGIN_RESPONSE,
                    answer_headers,
                    identity.subject,
                    dropped,
                )
            target = self._clients.by_id(identity.client_id).login_redirect_uri
            if target is None and entry.logged_in is not None and identity.session is not None:
                # Without a session the page would only send the browser to the login again.
                target = entry.logged_in.return_to
            if action.action == "redirect" and target is not None:
                location = with_tokens_appended(
                    target, action.wanted_tokens(entry), action.redirect_mode
                )
                return Redirect(
                    location, PassReason.LOGIN_REDIRECT, answer_headers, identity.subject, dropped
                )
        credential_headers, dropped_groups = self._mapping.credential_headers(identity, consumer)
        up, dropped_up = self._up.build(identity, find_key)
        others, dropped_others = sendable(
            [*credential_headers, *self._sessions.upstream_headers(identity.session)]
        )
        set_headers = [*up, *others]
        return self._forward(
            request,
            arguments,
            entry,
            set_headers,
            response_headers=answer_headers,
            subject=identity.subject,
            consumer_id=consumer.id if consumer else None,
            cacheable=self._cacheable(entry),
            log=(*dropped, *dropped_groups, *dropped_up, *dropped_others),
        )

    def _cacheable(self, entry: Entry) -> Cacheable | None:
        """A login and a refresh happen once; a session or a token that was sent can come again.

        `entry.open_session` is the one that the cookie opened, before this use was written down.
        """
        if entry.open_session is not None:
            return self._cache_limits.of_session(entry.open_session)
        if entry.logged_in is None and entry.tokens is None:
            return self._cache_limits.of_token(entry.identity)
        return None

    def _downstream(
        self, identity: Identity, find_key: FindKey
    ) -> tuple[list[Header], tuple[LogLine, ...]]:
        headers, dropped = self._down.build(identity, find_key)
        others, dropped_others = sendable(self._sessions.downstream_headers(identity.session))
        return [*headers, *others], (*dropped, *dropped_others)

    async def _key_finder(self) -> FindKey:
        """Finds the public key that verifies a token, for the `*_jwk` headers.

        A token whose signature was not checked (`verify_signature=false`, `ignore_signature`) gets
        no key's word: the upstream would take it for checked.
        """
        if not (self._up.wants_keys or self._down.wants_keys):
            return lambda _: None
        keys = (await self._issuer.known()).keys

        @cache
        def find(token: str) -> Mapping[str, Any] | None:
            try:
                return signing_key(parse_jws(token), keys)
            except TokenRefused:
                return None

        return find

    def _forward(
        self,
        request: Request,
        arguments: Arguments,
        entry: Entry,
        set_headers: list[Header],
        **said: Any,
    ) -> Continue:
        """The request as the upstream gets it: without credentials and gateway cookies.

        `said`: what else the outcome says, its fields by name.
        """
        credential = entry.credential
        shown = (credential.place, credential.name) if credential and not self._hide else None
        allowed = self._stripping.applied(request, arguments, set_headers, shown=shown, **said)
        if entry.logged_in is not None:
            return self._without_callback(allowed, request, entry.logged_in)
        return allowed

    def _without_callback(
        self, allowed: Continue, request: Request, logged_in: LoggedIn
    ) -> Continue:
        """The callback as the upstream gets it: without the code, with the original query."""
        _, _, query = logged_in.return_to.partition("?")
        return replace(_as_get(allowed, request), query=self._stripping.query(query))

    def preflight(self, request: Request, arguments: Arguments) -> Continue:
        """`run_on_preflight=false`: on without a question, and without anything that is ours."""
        return replace(self._stripping.applied(request, arguments, ()), reason=PassReason.PREFLIGHT)

    def anonymous(
        self, request: Request, arguments: Arguments, *, is_callback: bool = False
    ) -> Outcome | None:
        """On as the anonymous consumer where one is configured (contract §7).

        `is_callback`: it is the end of a login of ours, which came to nothing.
        """
        if self._mapping.anonymous is None:
            return None
        outcome = self._anonymous(request, arguments)
        if is_callback and isinstance(outcome, Continue):
            return _as_get(outcome, request)
        return outcome

    def _anonymous(self, request: Request, arguments: Arguments) -> Continue | Refusal:
        try:
            consumer = self._mapping.anonymous_consumer(self._consumers)
        except AnonymousMissing:
            return self._anonymous_missing(self._clients.all[0])
        headers = [*consumer_headers(consumer), ("x-anonymous-consumer", "true")]
        hidden_query = {"access_token"}
        if arguments.query("state") and (arguments.query("code") or arguments.query("error")):
            # A callback that came to nothing; alone these names are the application's.
            hidden_query |= CALLBACK_ARGUMENTS
        allowed = self._stripping.applied(request, arguments, headers, hidden_query=hidden_query)
        return replace(allowed, reason=PassReason.ANONYMOUS, consumer_id=consumer.id)

    def _anonymous_missing(self, client: Client) -> Refusal:
        detail = f"the anonymous consumer {self._mapping.anonymous} does not exist"
        return self._refusals.unexpected(client, AccessReason.ANONYMOUS_MISSING, detail)


def _as_get(allowed: Continue, request: Request) -> Continue:
    """A callback that goes on, without its body, which nobody has looked into: the page that was
    asked for had none."""
    method = None if request.method in ("GET", "HEAD") else "GET"
    return replace(allowed, method=method, drop_body=True, body_cuts=())
