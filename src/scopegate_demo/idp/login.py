"""The authorization endpoint and the login page. Source: OpenID Connect Core §3.1.2."""

from __future__ import annotations

from urllib.parse import urlencode

from aiohttp import web

from scopegate_demo.idp.authorization_request import (
    AuthorizationRefused,
    AuthorizationRequest,
    NotAnswerable,
    read_authorization_request,
)
from scopegate_demo.idp.ledger import Grant, Session
from scopegate_demo.idp.pages import error_page, page
from scopegate_demo.idp.provider import Provider
from scopegate_demo.idp.realm import User

SESSION_COOKIE = "DEMO_IDP_SESSION"
# Says that the form comes from a page of ours: the browser leaves it out of another site's POST.
# The same for all: were it the browser's own, tabs that open at once would overwrite each other's.
LOGIN_COOKIE = "DEMO_IDP_LOGIN"

WRONG_PASSWORD = "Invalid user name or password."


class LoginEndpoints:
    """`authorization` and `login`. `path` is the path of the issuer, where the cookies live."""

    def __init__(self, provider: Provider, path: str, secure_cookies: bool) -> None:
        self._provider = provider
        self._path = path
        self._secure_cookies = secure_cookies

    async def authorization(self, request: web.Request) -> web.Response:
        """GET or POST: the login page, or at once the answer for the client."""
        parameters = request.query if request.method == "GET" else await request.post()
        pairs = [(name, value) for name, value in parameters.items() if isinstance(value, str)]
        try:
            wanted = read_authorization_request(pairs, self._provider.realm)
            session = self._provider.ledger.session(request.cookies.get(SESSION_COOKIE))
            if session is not None and self._fresh_enough(session, wanted):
                return self._answer_with_code(wanted, session)
            if "none" in wanted.prompt:
                raise AuthorizationRefused(wanted, "login_required", "nobody is logged in")
        except NotAnswerable as error:
            return error_page("This login link is not right", str(error))
        except AuthorizationRefused as error:
            return self._answer_with_error(error)

        attempt = self._provider.ledger.begin_attempt(wanted)
        response = self._login_page(attempt, wanted.client.client_id, wanted.login_hint)
        self._set_cookie(response, LOGIN_COOKIE, "1")
        return response

    async def login(self, request: web.Request) -> web.Response:
        """POST of the login page's form."""
        name = request.query.get("attempt", "")
        attempt = self._provider.ledger.attempt(name)
        if attempt is None or LOGIN_COOKIE not in request.cookies:
            return error_page(
                "This login page has expired",
                "Go back to the application and start again.",
            )
        form = await request.post()
        username, password = str(form.get("username", "")), str(form.get("password", ""))
        user = self._provider.realm.authenticate(username, password)
        if user is None:
            client_id = attempt.request.client.client_id
            return self._login_page(name, client_id, username, error=WRONG_PASSWORD)
        session = self._log_in(user, request.cookies.get(SESSION_COOKIE))
        response = self._answer_with_code(attempt.request, session)
        self._set_cookie(response, SESSION_COOKIE, session.sid)
        return response

    def _fresh_enough(self, session: Session, wanted: AuthorizationRequest) -> bool:
        if {"login", "select_account"} & {*wanted.prompt}:
            return False
        age_s = self._provider.ledger.now() - session.auth_time
        return wanted.max_age_s is None or age_s <= wanted.max_age_s

    def _log_in(self, user: User, former_sid: str | None) -> Session:
        """The browser's session, if it is this person's; a new one otherwise."""
        ledger = self._provider.ledger
        session = ledger.session(former_sid)
        if session is not None and session.user == user:
            session.auth_time = ledger.now()
            return session
        if session is not None:
            ledger.end_session(session.sid)
        return ledger.begin_session(user)

    def _login_page(
        self, attempt: str, client_id: str, username: str, error: str | None = None
    ) -> web.Response:
        return page(
            "login",
            action=f"{self._path}/login-actions/authenticate?{urlencode({'attempt': attempt})}",
            client_id=client_id,
            username=username,
            error=error,
            users=self._provider.realm.users,
        )

    def _answer_with_code(self, wanted: AuthorizationRequest, session: Session) -> web.Response:
        provider = self._provider
        roles = provider.realm.roles_of(session.user)
        scope = provider.realm.scope_for(wanted.client, roles, wanted.scope)
        session.used_at = provider.ledger.now()
        grant = Grant(wanted.client, session.user, scope, session, session.auth_time, wanted.nonce)
        code = provider.ledger.issue_code(grant, wanted.redirect_uri, wanted.code_challenge)
        return self._answer(wanted, {"session_state": session.sid, "code": code})

    def _answer_with_error(self, refused: AuthorizationRefused) -> web.Response:
        return self._answer(
            refused.answer_to,
            {"error": refused.error, "error_description": refused.description},
        )

    def _answer(self, wanted: AuthorizationRequest, parameters: dict[str, str]) -> web.Response:
        """To the client by way of the browser; `iss` after RFC 9207."""
        if wanted.state is not None:
            parameters = {"state": wanted.state} | parameters
        parameters["iss"] = self._provider.issuer
        parameters = self._provider.behaviour.callback.apply(parameters)
        if wanted.response_mode == "form_post":
            return page("form_post", action=wanted.redirect_uri, parameters=parameters)
        separator = "&" if "?" in wanted.redirect_uri else "?"
        location = f"{wanted.redirect_uri}{separator}{urlencode(parameters)}"
        headers = {"Location": location, "Cache-Control": "no-store"}
        return web.Response(status=302, headers=headers)

    def _set_cookie(self, response: web.Response, name: str, value: str) -> None:
        # Lax: a POST from another site carries neither cookie, so nobody can be logged in (or
        # out) from there.
        response.set_cookie(
            name,
            value,
            path=f"{self._path}/",
            httponly=True,
            samesite="Lax",
            secure=self._secure_cookies,
        )
