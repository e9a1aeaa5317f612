"""The end of a session, asked for by a client. Source: OpenID Connect RP-Initiated Logout 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from scopegate_demo.idp.login import SESSION_COOKIE
from scopegate_demo.idp.pages import error_page, page
from scopegate_demo.idp.provider import Provider
from scopegate_demo.idp.realm import Client
from scopegate_demo.idp.redirects import redirect_allowed


class LogoutRefused(Exception):
    """The request is wrong; the text is for the person."""


@dataclass(frozen=True, slots=True)
class LogoutRequest:
    """`sid` is the session that a good `id_token_hint` names; `location` is where to go after."""

    sid: str | None
    location: str | None


class LogoutEndpoint:
    """`end_session`. `path` is the path of the issuer."""

    def __init__(self, provider: Provider, path: str) -> None:
        self._provider = provider
        self._path = path

    async def end_session(self, request: web.Request) -> web.Response:
        """GET or POST. Without a good `id_token_hint` the person is asked first."""
        parameters = request.query if request.method == "GET" else await request.post()
        values = {name: value for name, value in parameters.items() if isinstance(value, str)}
        try:
            wanted = self._read(values)
        except LogoutRefused as error:
            return error_page("This logout link is not right", str(error))
        current = self._provider.ledger.session(request.cookies.get(SESSION_COOKIE))
        confirmed = request.method == "POST" and values.get("confirm") == "yes"
        if wanted.sid is None and current is not None and not confirmed:
            return self._ask(values, current.user.name)
        ended = wanted.sid or (current.sid if current else None)
        if ended is not None:
            self._provider.ledger.end_session(ended)
        response = self._answer(wanted)
        if current is None or current.sid == ended:
            response.del_cookie(SESSION_COOKIE, path=f"{self._path}/")
        return response

    def _read(self, values: Mapping[str, str]) -> LogoutRequest:
        claims = None
        if values.get("id_token_hint"):
            claims = self._provider.read_id_token_hint(values["id_token_hint"])
            if claims is None:
                raise LogoutRefused("The id_token_hint is not one of this provider's ID tokens.")
        named = claims.get("azp") if claims else values.get("client_id")
        if claims and values.get("client_id", named) != named:
            raise LogoutRefused("The id_token_hint was made for another client.")
        client = self._provider.realm.client(str(named))
        location = self._location(values, client)
        return LogoutRequest(claims.get("sid") if claims else None, location)

    def _location(self, values: Mapping[str, str], client: Client | None) -> str | None:
        wanted = values.get("post_logout_redirect_uri")
        if not wanted:
            return None
        if client is None or not redirect_allowed(wanted, client.redirect_uris):
            raise LogoutRefused(
                "The application asked to continue at an address that is not its own."
            )
        if "state" not in values:
            return wanted
        separator = "&" if "?" in wanted else "?"
        return f"{wanted}{separator}{urlencode({'state': values['state']})}"

    def _ask(self, values: Mapping[str, str], name: str) -> web.Response:
        return page(
            "logout",
            action=f"{self._path}/protocol/openid-connect/logout",
            parameters={key: value for key, value in values.items() if key != "confirm"},
            name=name,
        )

    def _answer(self, wanted: LogoutRequest) -> web.Response:
        if wanted.location is not None:
            headers = {"Location": wanted.location, "Cache-Control": "no-store"}
            return web.Response(status=302, headers=headers)
        return page(
            "message",
            title="You are logged out",
            message="You may close this page.",
            alert=False,
        )
