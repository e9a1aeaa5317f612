"""Who asks at the token, introspection and revocation endpoints. Source: RFC 6749 §2.3.1."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import web

from scopegate_demo.idp.realm import Client, Realm


class OAuthError(Exception):
    """An error in the shape of RFC 6749 §5.2."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status

    def response(self) -> web.Response:
        body = {"error": self.error, "error_description": self.description}
        response = json_answer(body, status=self.status)
        if self.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="kong"'
        return response


def json_answer(body: Mapping[str, Any], status: int = 200) -> web.Response:
    """JSON that must not be stored. Source: RFC 6749 §5.1."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    return web.json_response(body, status=status, headers=headers)


async def read_form(request: web.Request) -> dict[str, str]:
    """The form; a parameter that comes twice is an error (RFC 6749 §3.2). Raises OAuthError."""
    if request.body_exists and request.content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "expected application/x-www-form-urlencoded")
    form = await request.post()
    values: dict[str, str] = {}
    for name, value in form.items():
        if name in values:
            raise OAuthError("invalid_request", f"{name} is repeated")
        if isinstance(value, str):
            values[name] = value
    return values


def authenticate_client(request: web.Request, form: Mapping[str, str], realm: Realm) -> Client:
    """The client by `client_secret_basic` or `client_secret_post`, not both. Raises OAuthError."""
    authorization = request.headers.get("Authorization")
    if authorization is not None:
        if "client_secret" in form:
            raise OAuthError("invalid_request", "authenticate in one way only")
        client_id, secret = _basic(authorization)
        if form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_request", "two different clients are named")
    else:
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    client = realm.client(client_id)
    if client is None or not client.has_secret(secret):
        raise OAuthError("invalid_client", "unknown client or wrong secret", 401)
    return client


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
        client_id, colon, secret = pair.partition(":")
        if not colon:
            raise ValueError
    except (binascii.Error, ValueError):
        raise OAuthError("invalid_client", "malformed Authorization header", 401) from None
    return unquote_plus(client_id), unquote_plus(secret)
