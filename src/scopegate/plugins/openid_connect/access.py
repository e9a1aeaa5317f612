"""Request time: one request, in the order of the contract. Source: openid-connect.md §1.

    preflight → client → logout → callback → session → bearer → refresh token → login
              → requirements → consumer → session saved → login action → headers

The first kind of credential that is found decides. If it is bad the request fails; no weaker kind
is tried. Only a session counts as not found when it does not open or is over: a token or a login
comes next. A callback whose state is not ours is decided last, after session and tokens (ADR 0027).
"""

from __future__ import annotations

from scopegate.ir.policy import Step as PolicyStep
from scopegate.oidc.errors import (
    IdpRefused,
    IdpUnavailable,
    NotConfigured,
    TokenRefused,
)
from scopegate.plugins.access import Header, NeedBody, Outcome, Redirect, Request
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.openid_connect.admission import Admission
from scopegate.plugins.openid_connect.arguments import Arguments, BodyWanted, FormEncoded
from scopegate.plugins.openid_connect.bearer import CredentialRepeated
from scopegate.plugins.openid_connect.clients import Client, Clients
from scopegate.plugins.openid_connect.credentials import Credentials, SessionOver
from scopegate.plugins.openid_connect.issuer import Issuer, configured_endpoints
from scopegate.plugins.openid_connect.login import Callback, Login
from scopegate.plugins.openid_connect.login_action import Entry
from scopegate.plugins.openid_connect.logout import Logout
from scopegate.plugins.openid_connect.navigation import is_form, is_navigation, is_preflight
from scopegate.plugins.openid_connect.reasons import AccessReason, PassReason
from scopegate.plugins.openid_connect.refusals import Refusals
from scopegate.plugins.openid_connect.sessions import Absent, Sessions
from scopegate.plugins.openid_connect.token_calls import TokenCalls
from scopegate.plugins.openid_connect.verification import Verification
from scopegate.plugins.ports import Ports
from scopegate.reason_code import ReasonCode
from scopegate.session.cookies import CookieRepeated, SessionTooLarge
from scopegate.session.login_state import Matched, NotOurs, ReturnTargetTooLong, StartAgain
from scopegate.session.session_cookie import OpenSession
from scopegate.session.shared_state import SharedStateUnavailable


class OpenIdConnect:
    """One configured instance, prepared once and asked for every request."""

    def __init__(self, step: PolicyStep, consumers: ConsumerIndex, ports: Ports) -> None:
        config = step.config["plugin"]
        self._run_on_preflight = config["run_on_preflight"]
        self._clients = Clients.from_config(config)
        self._refusals = Refusals.from_config(config)
        self._issuer = Issuer(
            step.config["facts_key"],
            step.facts,
            tuple(config["issuers_allowed"] or ()),
            configured_endpoints(config),
            ports.facts,
        )
        verification = Verification.from_config(config, ports.remembered)
        calls = TokenCalls.from_config(config, verification, self._issuer, ports)
        self._sessions = Sessions(step.config, ports)
        self._login = Login(step.config, self._clients, self._issuer, calls, ports)
        self._logout = Logout.from_config(config)
        self._credentials = Credentials(
            config, self._clients, verification, self._issuer, calls, self._sessions, ports
        )
        self._admission = Admission(
            config,
            self._clients,
            consumers,
            self._issuer,
            self._sessions,
            self._login,
            self._refusals,
            self._credentials.places(),
        )
        self._unauthorized_ends_session = config["unauthorized_destroy_session"]

    async def access(self, request: Request) -> Outcome:
        """Allow, refuse, redirect or answer; every failure is a refusal with its reason."""
        arguments = Arguments(request)
        client = self._clients.all[0]
        try:
            if not self._run_on_preflight and is_preflight(request):
                # So that what stands in a form is cut out; a real preflight has no body.
                self._credentials.is_in_form(arguments)
                return self._admission.preflight(request, arguments)
            client = self._clients.choose(request, arguments)
            return await self._decide(request, arguments, client)
        except BodyWanted:
            return NeedBody()
        except CookieRepeated as problem:
            expire = [*self._sessions.expire(request), *self._login.forget(request)]
            return self._refusals.malformed(
                client, AccessReason.COOKIE_REPEATED, str(problem), expire
            )
        except CredentialRepeated as problem:
            return self._refusals.malformed(client, AccessReason.CREDENTIAL_REPEATED, str(problem))
        except FormEncoded as problem:
            return self._refusals.malformed(client, AccessReason.FORM_ENCODED, str(problem))
        except ReturnTargetTooLong as problem:
            return self._refusals.malformed(
                client, AccessReason.RETURN_TARGET_TOO_LONG, str(problem)
            )
        except IdpUnavailable as problem:
            return self._refusals.unavailable(client, problem.reason, problem.detail)
        except SharedStateUnavailable as problem:
            return self._refusals.unavailable(
                client, AccessReason.SHARED_STATE_UNAVAILABLE, str(problem)
            )
        except NotConfigured as problem:
            return self._refusals.unexpected(client, problem.reason, problem.detail)
        except SessionTooLarge as problem:
            return self._refusals.unexpected(client, AccessReason.SESSION_TOO_LARGE, str(problem))

    async def _decide(self, request: Request, arguments: Arguments, client: Client) -> Outcome:
        if self._logout.is_wanted(request, arguments):
            return await self._end(request, client)
        session = await self._sessions.open(request)
        callback = self._login.callback(request, arguments)
        if callback is not None and not isinstance(callback.finish, NotOurs):
            return await self._finish_login(request, arguments, callback, callback.finish, session)
        had_session = isinstance(session, OpenSession)
        if isinstance(session, OpenSession):
            try:
                entry = await self._credentials.session(request, arguments, session)
            except SessionOver as over:
                # First: asked again with the body, the session would have no reason but its end.
                self._credentials.want_body(arguments)
                await self._sessions.end(session.session)
                session = Absent(over.reason, over.detail)
            else:
                return await self._admission.admit(request, arguments, entry)
        try:
            found = await self._credentials.presented(request, arguments, client)
        except (TokenRefused, IdpRefused) as problem:
            return await self._unauthenticated(
                request, arguments, client, problem.reason, problem.detail, error="invalid_token"
            )
        if found is not None:
            return await self._admission.admit(request, arguments, found)
        if callback is not None and not had_session:
            # Only now: `code` and `state` may be arguments of the application itself.
            detail = "the callback's state is not one of ours"
            return await self._unauthenticated(
                request, arguments, client, AccessReason.CALLBACK_STATE_INVALID, detail
            )
        if session.reason is not None:
            return await self._nobody(request, arguments, client, session.reason, session.detail)
        reason, detail = AccessReason.NO_CREDENTIAL, self._credentials.nothing_found(request)
        if self._credentials.could_be_in(arguments):
            reason = AccessReason.BODY_TOO_LARGE
            detail += "; the body is too large to be looked into"
        return await self._nobody(request, arguments, client, reason, detail)

    async def _nobody(
        self,
        request: Request,
        arguments: Arguments,
        client: Client,
        reason: ReasonCode,
        detail: str,
    ) -> Outcome:
        """Nothing that says who it is: to the login, or 401 (docs/adr/0003)."""
        anonymous = self._admission.anonymous(request, arguments)
        if anonymous is not None:
            return anonymous
        if self._login.enabled and is_navigation(request):
            return await self._login.begin(request, arguments, client)
        sign_in = None
        if self._login.enabled and is_form(request):
            sign_in = self._login.page(request)
            detail += "; only GET and HEAD are sent to the login"
        return self._refusals.unauthenticated(
            client, reason, detail, headers=self._expired_cookies(request), sign_in=sign_in
        )

    async def _unauthenticated(
        self,
        request: Request,
        arguments: Arguments,
        client: Client,
        reason: ReasonCode,
        detail: str,
        *,
        error: str | None = None,
        headers: list[Header] | None = None,
        is_callback: bool = False,
    ) -> Outcome:
        """A credential that is bad: 401, or the anonymous consumer."""
        anonymous = self._admission.anonymous(request, arguments, is_callback=is_callback)
        if anonymous is not None:
            return anonymous
        cookies = [*self._expired_cookies(request), *(headers or [])]
        return self._refusals.unauthenticated(client, reason, detail, error=error, headers=cookies)

    def _expired_cookies(self, request: Request) -> list[Header]:
        """What `unauthorized_destroy_session` takes from the browser: only what it brought."""
        if not self._unauthorized_ends_session or not self._sessions.brought_by(request):
            return []
        return self._sessions.expire(request)

    async def _end(self, request: Request, client: Client) -> Outcome:
        """Logout. It needs no session; one that is there is over before anything else."""
        ended = self._sessions.brought(request)
        if ended is not None:
            await self._sessions.end(ended)
            client = self._clients.by_id(ended.client_id)
        # Only what the browser brought: a form of another site comes without the cookie
        # (SameSite), and must not take it away either.
        cookies = self._sessions.expire(request) if self._sessions.brought_by(request) else []
        if self._login.is_pending(request):
            cookies += self._login.forget(request)
        return await self._logout.leave(client, ended, self._issuer, cookies)

    async def _finish_login(
        self,
        request: Request,
        arguments: Arguments,
        callback: Callback,
        finish: Matched | StartAgain,
        session: OpenSession | Absent,
    ) -> Outcome:
        """A callback. A login that cannot be finished is begun again, or goes back into the site.

        The code of such a callback is never redeemed: it may be somebody else's.
        """
        client = self._clients.by_id(finish.client_id)
        former = self._sessions.brought(request)
        if isinstance(finish, Matched) and await self._login.is_first_use(finish):
            try:
                logged_in = await self._login.finish(callback, finish)
            except (TokenRefused, IdpRefused) as problem:
                if former is not None and self._unauthorized_ends_session:
                    # The browser loses its cookies below; a copy of them must not live on.
                    await self._sessions.end(former)
                return await self._unauthenticated(
                    request,
                    arguments,
                    client,
                    problem.reason,
                    problem.detail,
                    headers=self._login.forget(request),
                    is_callback=True,
                )
            entry = Entry(logged_in.identity, logged_in=logged_in, former_session=former)
            return await self._admission.admit(request, arguments, entry)
        if isinstance(session, OpenSession):
            return Redirect(
                finish.return_to, PassReason.LOGIN_REPEATED, subject=session.session.subject
            )
        attempt = finish.attempt if isinstance(finish, StartAgain) else 1
        if attempt is None:
            detail = "the browser does not keep the login cookie"
            return self._refusals.unauthenticated(
                client, AccessReason.LOGIN_ATTEMPTS_EXHAUSTED, detail
            )
        return await self._login.begin(
            request, arguments, client, return_to=finish.return_to, attempt=attempt
        )
