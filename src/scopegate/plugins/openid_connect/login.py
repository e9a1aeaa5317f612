"""The authorization code flow: off to the identity provider, and back with a code.

Source: contract openid-connect.md §4, docs/adr/0006-login-state.md, RFC 9700 §2.1 (PKCE, one-time
state, exact redirect URI, `iss`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from scopegate.oidc.authorization import (
    AuthorizationRequest,
    accept_authorization_response,
    authorization_url,
    read_authorization_response,
)
from scopegate.oidc.errors import NotConfigured
from scopegate.oidc.grants import TokenSet
from scopegate.oidc.reasons import Reason
from scopegate.plugins.access import Header, Redirect, Request
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.plugins.openid_connect.clients import Client, Clients
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.issuer import Issuer
from scopegate.plugins.openid_connect.reasons import PassReason
from scopegate.plugins.openid_connect.sessions import cookies_for_upstream, key_ring
from scopegate.plugins.openid_connect.token_calls import TokenCalls
from scopegate.plugins.ports import Ports
from scopegate.session.cookies import CookieSettings
from scopegate.session.login_state import LoginFinish, Matched, PendingLogins, local_page
from scopegate.session.single_flight import claim_once

# What an authorization response adds to the URL; the upstream never sees it.
CALLBACK_ARGUMENTS = frozenset(
    {"code", "state", "iss", "session_state", "error", "error_description", "error_uri"}
)


@dataclass(frozen=True, slots=True)
class Callback:
    """An authorization response that stands in a request, and whose login it is."""

    parameters: Sequence[tuple[str, str]] = field(repr=False)
    finish: LoginFinish


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A finished login: who it is, and the page that was asked for."""

    identity: Identity
    tokens: TokenSet
    return_to: str


class Login:
    """Logins of one configuration."""

    def __init__(
        self,
        step: Mapping[str, Any],
        clients: Clients,
        issuer: Issuer,
        calls: TokenCalls,
        ports: Ports,
    ) -> None:
        config = step["plugin"]
        self.enabled = "authorization_code" in config["auth_methods"]
        self._clients = clients
        uris = [client.redirect_uri for client in clients.all if client.redirect_uri]
        self._callback_paths = {_decoded(urlsplit(uri).path or "/") for uri in uris}
        self._issuer = issuer
        self._calls = calls
        self._ports = ports
        self._scopes = tuple(config["scopes"] or ())
        self._audience = tuple(config["audience"] or ())
        self._max_age = config["max_age"]
        self._form_post = config["response_mode"] == "form_post"
        self._pkce = config["require_proof_key_for_code_exchange"] is not False
        self._keep_query = config["preserve_query_args"]
        self._extra = tuple(
            zip(
                config["authorization_query_args_names"] or (),
                config["authorization_query_args_values"] or (),
                strict=True,
            )
        )
        self._extra_from_client = tuple(config["authorization_query_args_client"] or ())
        self._issuers_allowed = tuple(config["issuers_allowed"] or ())
        same_site, secure = (
            config["authorization_cookie_same_site"],
            config["authorization_cookie_secure"],
        )
        if self._form_post and same_site == "Default":
            # The answer is a form of the provider's site: with `Lax` the cookie would not come
            # along. Browsers take `None` with Secure only (RFC 6265bis §5.7).
            same_site, secure = "None", True
        cookie = CookieSettings(
            name=config["authorization_cookie_name"],
            path=config["authorization_cookie_path"],
            domain=config["authorization_cookie_domain"],
            http_only=config["authorization_cookie_http_only"],
            secure=secure,
            same_site=same_site,
        )
        self.cookie_name = cookie.name
        self._pending = PendingLogins(
            ring=key_ring(step["login_keys"]),
            settings=cookie,
            timeout_s=int(config["authorization_rolling_timeout"]),
            binding=step["login_rules"],
        )

    async def begin(
        self,
        request: Request,
        arguments: Arguments,
        client: Client,
        *,
        return_to: str | None = None,
        attempt: int = 0,
    ) -> Redirect:
        """Off to the identity provider. `return_to` None: the page that was asked for.

        Raises OidcError, CookieRepeated, ReturnTargetTooLong.
        """
        if client.id is None:
            raise NotConfigured(Reason.CLIENT_ID_MISSING, "client_id is not configured")
        endpoint = (await self._issuer.known()).facts.require_endpoint("authorization")
        redirect_uri = client.redirect_uri or f"{request.scheme}://{request.host}{request.path}"
        start = self._pending.begin(
            request.header("cookie"),
            return_to=return_to or self.page(request),
            client_id=client.id,
            redirect_uri=redirect_uri,
            https=request.scheme == "https",
            now_s=int(self._ports.now()),
            random_bytes=self._ports.random_bytes,
            attempt=attempt,
        )
        location = authorization_url(
            endpoint,
            AuthorizationRequest(
                client_id=client.id,
                redirect_uri=redirect_uri,
                scopes=self._scopes,
                state=start.state,
                nonce=start.nonce,
                code_verifier=start.code_verifier if self._pkce else None,
                response_mode="form_post" if self._form_post else None,
                audience=self._audience,
                max_age_s=None if self._max_age is None else int(self._max_age),
            ),
            # Of one name the first counts: what the operator wrote, not what a link says.
            [*self._extra, *self._from_client(arguments)],
        )
        cookies = [("set-cookie", start.set_cookie)] if start.set_cookie else []
        return Redirect(location, PassReason.LOGIN_STARTED, tuple(cookies))

    def page(self, request: Request) -> str:
        """The page that was asked for, on this site: path and, if wanted, query."""
        if self._keep_query and request.query:
            return local_page(f"{request.path}?{request.query}")
        return local_page(request.path)

    def _from_client(self, arguments: Arguments) -> Iterator[tuple[str, str]]:
        for name in self._extra_from_client:
            for value in arguments.query(name)[:1]:
                yield name, value

    def callback(self, request: Request, arguments: Arguments) -> Callback | None:
        """The authorization response in a request, or None. Raises BodyWanted, CookieRepeated.

        Only where one may arrive: at the path of a redirect URI, or anywhere when none is set.
        """
        if not self.enabled or not self._may_arrive_at(request.path):
            return None
        if not self._form_post:
            if not arguments.query("state"):
                return None  # so that not every query is taken apart
            parameters = parse_qsl(request.query, keep_blank_values=True)
        elif request.method == "POST" and arguments.has_form:
            parameters = [
                (name, value) for name in CALLBACK_ARGUMENTS for value in arguments.body(name)
            ]
        else:
            return None
        names = {name for name, _ in parameters}
        if "state" not in names or names.isdisjoint({"code", "error"}):
            return None
        state = next(value for name, value in parameters if name == "state")
        now_s = int(self._ports.now())
        finish = self._pending.finish(state, request.header("cookie"), now_s=now_s)
        return Callback(parameters, finish)

    def _may_arrive_at(self, path: str) -> bool:
        return not self._callback_paths or _decoded(path) in self._callback_paths

    async def is_first_use(self, matched: Matched) -> bool:
        """Whether this state has not been used before. Raises SharedStateUnavailable."""
        return await claim_once(self._ports.shared, matched.state_id, matched.claim_ttl_s)

    async def finish(self, callback: Callback, matched: Matched) -> LoggedIn:
        """Redeem the code. Raises OidcError."""
        known = await self._issuer.known()
        response = read_authorization_response(callback.parameters)
        code = accept_authorization_response(
            response,
            issuers=self._issuers_of_response(known.facts.issuer),
            iss_promised=known.facts.promises_iss_in_response,
        )
        identity, tokens = await self._calls.redeem(
            self._clients.by_id(matched.client_id),
            code=code,
            redirect_uri=matched.redirect_uri,
            code_verifier=matched.code_verifier if self._pkce else None,
            nonce=matched.nonce,
        )
        return LoggedIn(identity, tokens, matched.return_to)

    def _issuers_of_response(self, issuer: str) -> tuple[str, ...]:
        """RFC 9207 §2.4: the one that the browser was sent to, however many others are allowed.

        Where the document's own issuer is not allowed, it goes by one of those that are.
        """
        if not self._issuers_allowed or issuer in self._issuers_allowed:
            return (issuer,)
        return self._issuers_allowed

    def is_pending(self, request: Request) -> bool:
        """Whether the browser brings the cookie of its pending logins."""
        changed, _ = cookies_for_upstream(request, (self.cookie_name,))
        return changed

    def forget(self, request: Request) -> list[Header]:
        """Set-Cookie headers that end all pending logins of the browser."""
        return [("set-cookie", self._pending.expire(https=request.scheme == "https"))]


def _decoded(path: str) -> str:
    """A path to compare: the browser comes back to the redirect URI as it was configured, and the
    proxy writes its path anew (`%7e` arrives as `~`)."""
    return unquote(path, errors="surrogateescape")


def with_tokens_appended(location: str, tokens: Mapping[str, str], mode: str) -> str:
    """The place to go to after a login, with the wanted tokens in fragment or query."""
    if not tokens:
        return location
    if mode == "fragment":
        return f"{location.partition('#')[0]}#{urlencode(tokens)}"
    base, hash_, fragment = location.partition("#")
    separator = "&" if "?" in base else "?"
    return f"{base}{separator}{urlencode(tokens)}{hash_}{fragment}"
