"""All that the provider remembers, in memory and for a limited time. Times in unix seconds."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from scopegate_demo.idp.authorization_request import AuthorizationRequest
from scopegate_demo.idp.realm import Client, User


@dataclass(slots=True)
class Lifetimes:
    """In seconds, as in a fresh Keycloak realm.

    session_idle_s    since a token was last got for it
    session_max_s     since the login
    """

    access_token_s: int = 300
    id_token_s: int = 300
    refresh_token_s: int = 1800
    code_s: int = 60
    login_s: int = 600
    session_idle_s: int = 1800
    session_max_s: int = 36000


@dataclass(slots=True)
class Session:
    """A person who is logged in."""

    sid: str
    user: User
    started_at: int
    auth_time: int
    used_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What tokens are made from.

    user        None: the client acts for itself (`client_credentials`)
    session     None exactly when there is no user
    auth_time   None where nobody logged in at a page (`password`, `client_credentials`)
    """

    client: Client
    user: User | None
    scope: tuple[str, ...]
    session: Session | None
    auth_time: int | None = None
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login page that was shown."""

    request: AuthorizationRequest
    expires_at: int


@dataclass(slots=True)
class Code:
    """An authorization code, good once."""

    grant: Grant
    redirect_uri: str
    code_challenge: str | None
    expires_at: int
    spent: bool = False


@dataclass(slots=True)
class RefreshToken:
    """A refresh token by its `jti`, good once."""

    grant: Grant
    expires_at: int
    spent: bool = False


class Ledger:
    """Attempts, sessions, codes, refresh tokens and revoked access tokens."""

    def __init__(self, clock: Callable[[], float], lifetimes: Lifetimes) -> None:
        self._clock = clock
        self._lifetimes = lifetimes
        self._attempts: dict[str, Attempt] = {}
        self._sessions: dict[str, Session] = {}
        self._codes: dict[str, Code] = {}
        self._refresh_tokens: dict[str, RefreshToken] = {}
        self._revoked: dict[str, int] = {}

    def now(self) -> int:
        return int(self._clock())

    def begin_attempt(self, request: AuthorizationRequest) -> str:
        """The name of a new attempt."""
        self._forget_expired()
        name = secrets.token_urlsafe(24)
        self._attempts[name] = Attempt(request, self.now() + self._lifetimes.login_s)
        return name

    def attempt(self, name: str) -> Attempt | None:
        """The attempt of that name while it is open."""
        attempt = self._attempts.get(name)
        return attempt if attempt is not None and attempt.expires_at > self.now() else None

    def begin_session(self, user: User) -> Session:
        self._forget_expired()
        now = self.now()
        session = Session(str(uuid.uuid4()), user, now, now, now)
        self._sessions[session.sid] = session
        return session

    def session(self, sid: str | None) -> Session | None:
        """The session of that name while it lives."""
        session = self._sessions.get(sid or "")
        return session if session is not None and not self._session_over(session) else None

    def end_session(self, sid: str) -> None:
        self._sessions.pop(sid, None)

    def end_sessions_of(self, user: User) -> None:
        self._sessions = {k: v for k, v in self._sessions.items() if v.user != user}

    def issue_code(self, grant: Grant, redirect_uri: str, code_challenge: str | None) -> str:
        self._forget_expired()
        code = secrets.token_urlsafe(32)
        expires_at = self.now() + self._lifetimes.code_s
        self._codes[code] = Code(grant, redirect_uri, code_challenge, expires_at)
        return code

    def spend_code(self, code: str) -> Code | None:
        """The code, once. A second use ends the session. Source: RFC 6749 §4.1.2."""
        found = self._codes.get(code)
        if found is None or found.expires_at <= self.now():
            return None
        if found.spent:
            self._end_session_of(found.grant)
            return None
        found.spent = True
        return found

    def issue_refresh_token(self, grant: Grant) -> tuple[str, int]:
        """Its `jti` and its `exp`, which is never past the session's end."""
        self._forget_expired()
        jti = str(uuid.uuid4())
        expires_at = self.now() + self._lifetimes.refresh_token_s
        if grant.session is not None:
            grant.session.used_at = self.now()
            expires_at = min(expires_at, grant.session.started_at + self._lifetimes.session_max_s)
        self._refresh_tokens[jti] = RefreshToken(grant, expires_at)
        return jti, expires_at

    def refresh_token(self, jti: str, client: Client) -> RefreshToken | None:
        """The client's refresh token while it is good, without spending it."""
        found = self._refresh_tokens.get(jti)
        if found is None or found.spent or found.expires_at <= self.now():
            return None
        if found.grant.client != client:
            return None
        session = found.grant.session
        return found if session is None or self.session(session.sid) is not None else None

    def spend_refresh_token(self, jti: str, client: Client) -> Grant | None:
        """The grant, once. A second use ends the session. Source: RFC 9700 §4.14.2."""
        found = self._refresh_tokens.get(jti)
        if found is not None and found.spent and found.grant.client == client:
            self._end_session_of(found.grant)
        good = self.refresh_token(jti, client)
        if good is None:
            return None
        good.spent = True
        return good.grant

    def revoke_access_token(self, jti: str, expires_at: int) -> None:
        self._revoked[jti] = expires_at

    def is_revoked(self, jti: str) -> bool:
        return jti in self._revoked

    def _end_session_of(self, grant: Grant) -> None:
        if grant.session is not None:
            self.end_session(grant.session.sid)

    def _session_over(self, session: Session) -> bool:
        now = self.now()
        return (
            now >= session.used_at + self._lifetimes.session_idle_s
            or now >= session.started_at + self._lifetimes.session_max_s
        )

    def _forget_expired(self) -> None:
        now = self.now()
        self._attempts = {k: v for k, v in self._attempts.items() if v.expires_at > now}
        self._codes = {k: v for k, v in self._codes.items() if v.expires_at > now}
        self._refresh_tokens = {k: v for k, v in self._refresh_tokens.items() if v.expires_at > now}
        self._sessions = {k: v for k, v in self._sessions.items() if not self._session_over(v)}
        self._revoked = {k: v for k, v in self._revoked.items() if v > now}
