"""What a token is worth: user info, introspection, revocation.

Source: OpenID Connect Core §5.3, RFC 6750, RFC 7662, RFC 7009.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from scopegate_demo.idp.client_authentication import (
    OAuthError,
    authenticate_client,
    json_answer,
    read_form,
)
from scopegate_demo.idp.provider import Claims, Provider
from scopegate_demo.idp.realm import Client

USERINFO_CLAIMS = (
    "sub",
    "email",
    "email_verified",
    "name",
    "groups",
    "preferred_username",
    "given_name",
    "family_name",
)


class TokenStatusEndpoints:
    """`userinfo`, `introspection`, `revocation`."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def userinfo(self, request: web.Request) -> web.Response:
        """GET or POST with the access token as bearer, in the header or the form."""
        try:
            token = await _bearer_token(request)
        except OAuthError as error:
            return _challenge(error.error, 400)
        if token is None:
            return _challenge(None, 401)
        claims = self._provider.read_access_token(token)
        if claims is None:
            return _challenge("invalid_token", 401)
        if "openid" not in str(claims.get("scope", "")).split():
            return _challenge("insufficient_scope", 403)
        known = {name: claims[name] for name in USERINFO_CLAIMS if name in claims}
        return json_answer(self._provider.behaviour.userinfo.apply(known))

    async def introspection(self, request: web.Request) -> web.Response:
        try:
            token, client = await self._asked_about(request)
        except OAuthError as error:
            return error.response()
        answer = self._describe(token, client)
        return json_answer(self._provider.behaviour.introspection.apply(answer))

    async def revocation(self, request: web.Request) -> web.Response:
        """A refresh token ends its session, an access token only itself. Unknown ones: 200, too."""
        try:
            token, client = await self._asked_about(request)
        except OAuthError as error:
            return error.response()
        ledger = self._provider.ledger
        access = self._provider.read_access_token(token)
        if access is not None and access.get("azp") == client.client_id:
            ledger.revoke_access_token(str(access.get("jti")), int(access["exp"]))
        refresh = self._live_refresh_token(token, client)
        if refresh is not None:
            ledger.end_session(refresh["sid"])
        return web.Response(headers={"Cache-Control": "no-store"})

    async def _asked_about(self, request: web.Request) -> tuple[str, Client]:
        """The token in the form, and who asks. Raises OAuthError."""
        form = await read_form(request)
        client = authenticate_client(request, form, self._provider.realm)
        if not form.get("token"):
            raise OAuthError("invalid_request", "token is missing")
        return form["token"], client

    def _describe(self, token: str, client: Client) -> dict[str, Any]:
        claims = self._provider.read_access_token(token)
        if claims is None:
            claims = self._live_refresh_token(token, client)
        if claims is None:
            return {"active": False}
        described = {**claims, "client_id": claims.get("azp"), "token_type": claims["typ"]}
        if "preferred_username" in claims:
            described["username"] = claims["preferred_username"]
        return described | {"active": True}

    def _live_refresh_token(self, token: str, client: Client) -> Claims | None:
        claims = self._provider.read_refresh_token(token)
        if claims is None or self._provider.ledger.refresh_token(claims["jti"], client) is None:
            return None
        return claims


async def _bearer_token(request: web.Request) -> str | None:
    """RFC 6750 §2.1 and §2.2; both at once are an error."""
    form = await read_form(request) if request.method == "POST" else {}
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    header = credential.strip() if scheme.lower() == "bearer" else None
    if header is not None and "access_token" in form:
        raise OAuthError("invalid_request", "two tokens")
    return header or form.get("access_token")


def _challenge(error: str | None, status: int) -> web.Response:
    challenge = 'Bearer realm="kong"' + (f', error="{error}"' if error else "")
    return web.Response(status=status, headers={"WWW-Authenticate": challenge})
