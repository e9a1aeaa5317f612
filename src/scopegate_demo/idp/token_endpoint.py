"""The token endpoint. Source: RFC 6749 §4 to §6, RFC 7636 §4.6, OpenID Connect Core §3.1.3, §12."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from aiohttp import web

from scopegate_demo.idp.client_authentication import (
    OAuthError,
    authenticate_client,
    json_answer,
    read_form,
)
from scopegate_demo.idp.ledger import Grant
from scopegate_demo.idp.provider import Provider
from scopegate_demo.idp.realm import Client, User

Form = Mapping[str, str]

_CODE_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class TokenEndpoint:
    """`token`. Counts `token.<grant type>` in `calls`."""

    def __init__(self, provider: Provider, calls: Counter[str]) -> None:
        self._provider = provider
        self._calls = calls
        self._grants: dict[str, Callable[[Client, Form], dict[str, Any]]] = {
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "client_credentials": self._client_credentials,
            "password": self._password,
        }

    async def token(self, request: web.Request) -> web.Response:
        try:
            form = await read_form(request)
            client = authenticate_client(request, form, self._provider.realm)
            grant_type = form.get("grant_type", "")
            if grant_type not in self._grants:
                raise OAuthError("unsupported_grant_type", "unknown or missing grant_type")
            self._calls[f"token.{grant_type}"] += 1
            return json_answer(self._grants[grant_type](client, form))
        except OAuthError as error:
            return error.response()

    def _authorization_code(self, client: Client, form: Form) -> dict[str, Any]:
        code = self._provider.ledger.spend_code(_required(form, "code"))
        if code is None or code.grant.client != client:
            raise OAuthError("invalid_grant", "the code is not valid")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthError("invalid_grant", "redirect_uri differs from the authorization request")
        _check_code_verifier(form.get("code_verifier"), code.code_challenge)
        session = code.grant.session
        if session is None or self._provider.ledger.session(session.sid) is None:
            raise OAuthError("invalid_grant", "the session is over")
        return self._provider.token_answer(code.grant)

    def _refresh_token(self, client: Client, form: Form) -> dict[str, Any]:
        claims = self._provider.read_refresh_token(_required(form, "refresh_token"))
        if claims is None or self._provider.behaviour.refuse_refresh:
            raise OAuthError("invalid_grant", "the refresh token is not valid")
        grant = self._provider.ledger.spend_refresh_token(str(claims["jti"]), client)
        if grant is None:
            raise OAuthError("invalid_grant", "the refresh token is not valid")
        if "scope" in form:
            wanted = form["scope"].split()
            if not {*wanted} <= {*grant.scope}:
                raise OAuthError("invalid_scope", "scope exceeds what was granted")
            grant = replace(grant, scope=tuple(word for word in grant.scope if word in wanted))
        return self._provider.token_answer(grant, refreshed=True)

    def _client_credentials(self, client: Client, form: Form) -> dict[str, Any]:
        scope = self._scope(client, client.service_account_roles, form)
        return self._provider.token_answer(Grant(client, None, scope, None))

    def _password(self, client: Client, form: Form) -> dict[str, Any]:
        username, password = _required(form, "username"), _required(form, "password")
        user = self._provider.realm.authenticate(username, password)
        if user is None:
            raise OAuthError("invalid_grant", "invalid user credentials")
        return self._provider.token_answer(self.grant_for(client, user, form))

    def grant_for(self, client: Client, user: User, form: Form) -> Grant:
        scope = self._scope(client, self._provider.realm.roles_of(user), form)
        return Grant(client, user, scope, self._provider.ledger.begin_session(user))

    def _scope(self, client: Client, roles: tuple[str, ...], form: Form) -> tuple[str, ...]:
        requested = form.get("scope", "").split()
        realm = self._provider.realm
        if not all(realm.knows_scope(word) for word in requested):
            raise OAuthError("invalid_scope", "scope has an unknown word")
        return realm.scope_for(client, roles, requested)


def _required(form: Form, name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError("invalid_request", f"{name} is missing")
    return value


def _check_code_verifier(verifier: str | None, challenge: str | None) -> None:
    """PKCE, both ways: a verifier without a challenge is a downgrade (RFC 9700 §2.1.1)."""
    if challenge is None:
        if verifier is not None:
            raise OAuthError("invalid_grant", "code_verifier without a code_challenge")
        return
    if verifier is None or not _CODE_VERIFIER.fullmatch(verifier):
        raise OAuthError("invalid_grant", "code_verifier is missing or malformed")
    digest = hashlib.sha256(verifier.encode()).digest()
    if not secrets.compare_digest(urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge):
        raise OAuthError("invalid_grant", "code_verifier does not fit the code_challenge")
