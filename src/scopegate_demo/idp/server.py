"""The provider on a port: `DemoIdp`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from ssl import SSLContext
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from scopegate_demo.idp.behaviour import Behaviour, TokenEdit
from scopegate_demo.idp.control import ControlEndpoints
from scopegate_demo.idp.documents import DocumentEndpoints
from scopegate_demo.idp.faults import Gatekeeper, Recorded
from scopegate_demo.idp.keys import KeyRing
from scopegate_demo.idp.ledger import Grant, Lifetimes
from scopegate_demo.idp.login import LoginEndpoints
from scopegate_demo.idp.logout import LogoutEndpoint
from scopegate_demo.idp.pages import page
from scopegate_demo.idp.provider import Provider
from scopegate_demo.idp.realm import Realm, User, story_realm
from scopegate_demo.idp.signing import Signature, sign
from scopegate_demo.idp.token_endpoint import TokenEndpoint
from scopegate_demo.idp.token_status import TokenStatusEndpoints
from scopegate_demo.serving import DemoServer

MAX_REQUEST_BYTES = 65536

# So that the answer to the order to go down still gets out.
SETTLE_S = 0.05


class DemoIdp(DemoServer):
    """An OpenID provider; `async with` starts and stops it.

    port         0 takes a free one
    issuer       None: `http://<host>:<port>/realms/<realm>`; it is served under the issuer's path
    keys         None makes a new one, which takes some 30 ms
    misbehave    with the control interface (`control.py`), and requests are recorded
    clock        unix seconds

    Raises PortUnavailable when it starts.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        issuer: str | None = None,
        realm: Realm | None = None,
        lifetimes: Lifetimes | None = None,
        keys: KeyRing | None = None,
        misbehave: bool = True,
        clock: Callable[[], float] = time.time,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.provider = Provider(
            realm or story_realm(), lifetimes or Lifetimes(), keys or KeyRing(), clock
        )
        self.provider.issuer = (issuer or "").rstrip("/")
        self.calls: Counter[str] = Counter()
        self._misbehave = misbehave
        self._gatekeeper = Gatekeeper(self.provider, self.calls, recording=misbehave)
        super().__init__(host, port, ssl_context)

    @property
    def issuer(self) -> str:
        return self.provider.issuer

    @property
    def discovery_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    @property
    def realm(self) -> Realm:
        return self.provider.realm

    @property
    def keys(self) -> KeyRing:
        return self.provider.keys

    @property
    def lifetimes(self) -> Lifetimes:
        """May be changed at any time; holds for what is issued afterwards."""
        return self.provider.lifetimes

    @property
    def behaviour(self) -> Behaviour:
        return self.provider.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self.provider.behaviour = behaviour

    @property
    def requests(self) -> deque[Recorded]:
        """The last thousand requests, oldest first; empty unless `misbehave`."""
        return self._gatekeeper.requests

    def rotate_keys(self, *, overlap: bool = True) -> None:
        """Sign with a new key; with `overlap` the former ones stay in the JWKS."""
        self.keys.rotate(overlap=overlap)

    def mint(
        self,
        claims: Mapping[str, Any] | bytes,
        *,
        signature: Signature = Signature.RIGHT,
        set_header: Mapping[str, Any] | None = None,
        without_header: tuple[str, ...] = (),
    ) -> str:
        """A JWT with exactly these claims (or this payload)."""
        return sign(
            claims, self.keys, signature, set_header=set_header, without_header=without_header
        )

    def access_token(self, username: str, edit: TokenEdit | None = None) -> str:
        """An access token as after a login of that user at the first client, less the `edit`.

        It belongs to a session of its own, so it is good at user info and introspection.
        """
        return self.provider.access_token(self._grant(username), edit or TokenEdit())

    def id_token(self, username: str, edit: TokenEdit | None = None) -> str:
        """An ID token of that user for the first client."""
        grant = self._grant(username)
        access_token = self.provider.access_token(grant, TokenEdit())
        return self.provider.id_token(grant, access_token, edit or TokenEdit())

    def log_out(self, username: str) -> None:
        """End all sessions of that user, as an administrator would."""
        self.provider.ledger.end_sessions_of(self._user(username))

    def _user(self, username: str) -> User:
        user = self.realm.user(username)
        if user is None:
            raise LookupError(f"no user {username} in the realm {self.realm.name}")
        return user

    def _grant(self, username: str) -> Grant:
        realm, user = self.realm, self._user(username)
        client = realm.clients[0]
        scope = realm.scope_for(client, realm.roles_of(user), ["openid"])
        session = self.provider.ledger.begin_session(user)
        return Grant(client, user, scope, session, session.auth_time)

    def _application(self) -> web.Application:
        provider = self.provider
        if not provider.issuer:
            provider.issuer = f"{self.origin}/realms/{provider.realm.name}"
        issuer = urlsplit(provider.issuer)
        documents = DocumentEndpoints(provider)
        logins = LoginEndpoints(provider, issuer.path, secure_cookies=issuer.scheme == "https")
        status = TokenStatusEndpoints(provider)
        logout = LogoutEndpoint(provider, issuer.path)
        token = TokenEndpoint(provider, self.calls)
        base = f"{issuer.path}/protocol/openid-connect"

        application = web.Application(
            middlewares=[self._gatekeeper.middleware()], client_max_size=MAX_REQUEST_BYTES
        )
        application.add_routes(
            [
                web.get("/", self._home),
                web.get(
                    f"{issuer.path}/.well-known/openid-configuration",
                    documents.discovery,
                    name="discovery",
                ),
                web.get(f"{base}/certs", documents.jwks, name="jwks"),
                web.post(f"{base}/token", token.token, name="token"),
                web.post(f"{base}/token/introspect", status.introspection, name="introspection"),
                web.post(f"{base}/revoke", status.revocation, name="revocation"),
                web.post(f"{issuer.path}/login-actions/authenticate", logins.login, name="login"),
            ]
        )
        for path, handler, name in (
            (f"{base}/auth", logins.authorization, "authorization"),
            (f"{base}/userinfo", status.userinfo, "userinfo"),
            (f"{base}/logout", logout.end_session, "end_session"),
        ):
            resource = application.router.add_resource(path, name=name)
            resource.add_route("GET", handler)
            resource.add_route("POST", handler)
        if self._misbehave:
            application.add_routes(ControlEndpoints(provider, self.calls, self._down_for).routes())
        return application

    async def _home(self, _: web.Request) -> web.Response:
        return page(
            "home",
            issuer=self.issuer,
            discovery_url=self.discovery_url,
            users=self.realm.users,
        )

    async def _down_for(self, seconds: float) -> None:
        await asyncio.sleep(SETTLE_S)
        await self.down()
        await asyncio.sleep(seconds)
        await self.start()
