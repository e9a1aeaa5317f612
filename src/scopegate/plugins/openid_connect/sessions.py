"""Sessions of this plugin: opened, checked, saved, renewed, ended.

Source: contract openid-connect.md §10; what a session rests on: docs/adr/0004.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scopegate.plugins.access import Header, Request
from scopegate.plugins.openid_connect.headers import session_header
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.plugins.ports import Ports
from scopegate.reason_code import ReasonCode
from scopegate.session.cookies import CookieSettings, chunk_names, without_cookies
from scopegate.session.ended_sessions import EndedSessions
from scopegate.session.reasons import SessionReason
from scopegate.session.sealing import KeyRing, RingKey
from scopegate.session.session import (
    Clock,
    Session,
    Timeouts,
    Tokens,
    begin_session,
    clocks_left_s,
)
from scopegate.session.session_cookie import NoSession, OpenSession, SessionCookie

_CLOCK_HEADERS = {
    Clock.ABSOLUTE: "absolute-timeout",
    Clock.ROLLING: "rolling-timeout",
    Clock.IDLING: "idling-timeout",
}

_DETAILS = {
    SessionReason.SESSION_NOT_AUTHENTIC: (
        "the session cookie does not open: it was changed, or sealed with another secret or for "
        "another plugin"
    ),
    SessionReason.SESSION_BOUND_ELSEWHERE: (
        "the session cookie is of another browser: what session_bind names differs"
    ),
    SessionReason.SESSION_ABSOLUTE_TIMEOUT: "the session is over: session_absolute_timeout",
    SessionReason.SESSION_ROLLING_TIMEOUT: "the session is over: session_rolling_timeout",
    SessionReason.SESSION_IDLING_TIMEOUT: "the session is over: session_idling_timeout",
}


@dataclass(frozen=True, slots=True)
class Absent:
    """No session. `reason` and `detail` say why the request's cookie opens none.

    `reason` None: it brings no cookie.
    """

    reason: ReasonCode | None
    detail: str = ""


def key_ring(keys: Sequence[Mapping[str, Any]]) -> KeyRing:
    """The ring that `lower` wrote into the policy, newest first."""
    return KeyRing([RingKey(bytes.fromhex(key["root"]), key["not_after_s"]) for key in keys])


class Sessions:
    """Reads and writes the sessions of one policy. Without the method `session`: neither."""

    def __init__(self, step: Mapping[str, Any], ports: Ports) -> None:
        config = step["plugin"]
        self.enabled = "session" in config["auth_methods"]
        self._disabled_for = frozenset(config["disable_session"] or ())
        self._methods = frozenset(config["auth_methods"]) - {"session"}
        self._audience = config["session_audience"]
        self._bind = tuple(config["session_bind"] or ())
        self._ports = ports
        self.ring = key_ring(step["session_keys"])
        self._settings = CookieSettings(
            name=config["session_cookie_name"],
            path=config["session_cookie_path"],
            domain=config["session_cookie_domain"],
            http_only=config["session_cookie_http_only"],
            secure=config["session_cookie_secure"],
            same_site=config["session_cookie_same_site"],
        )
        self.timeouts = Timeouts(
            idling_s=config["session_idling_timeout"],
            rolling_s=config["session_rolling_timeout"],
            absolute_s=config["session_absolute_timeout"],
        )
        self._cookie = SessionCookie(
            ring=self.ring,
            settings=self._settings,
            timeouts=self.timeouts,
            audience=self._audience,
            binding=step["login_rules"],
            remembered=ports.remembered,
        )
        self._ended = EndedSessions(ports.shared, ports.revocations, ports.remembered)
        self._request_headers = tuple(config["session_request_headers"] or ())
        self._response_headers = tuple(config["session_response_headers"] or ())

    @property
    def upstream_names(self) -> frozenset[str]:
        """The headers that `upstream_headers` may give."""
        return frozenset(session_header(item) for item in self._request_headers)

    def brought_by(self, request: Request) -> bool:
        """Whether the request brings a session cookie or a chunk of one."""
        changed, _ = cookies_for_upstream(request, self.cookie_names)
        return changed

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names of the session cookie and its chunks."""
        return chunk_names(self._settings.name)

    async def open(self, request: Request) -> OpenSession | Absent:
        """The live session of a request. Raises CookieRepeated, SharedStateUnavailable."""
        if not self.enabled:
            return Absent(None)
        now_s = int(self._ports.now())
        found = self._cookie.open(request.header("cookie"), bound=self._bound(request), now_s=now_s)
        if isinstance(found, NoSession):
            return Absent(found.reason, _DETAILS[found.reason] if found.reason else "")
        # A session that a bearer token began (of whatever client) must not open a configuration
        # that wants a login of its own; one that knows nothing but sessions takes any.
        method = found.session.method
        if method in self._disabled_for or (self._methods and method not in self._methods):
            detail = f"the session was begun by {method}, which begins none here"
            return Absent(AccessReason.SESSION_METHOD_NOT_ENABLED, detail)
        good_until_s = await self._ended.good_until_s(found.session, now_s)
        if good_until_s is None:
            return Absent(AccessReason.SESSION_ENDED, "the session was ended before")
        return found if good_until_s == math.inf else replace(found, good_until_s=good_until_s)

    def brought(self, request: Request) -> Session | None:
        """The session whose cookie the request brings, alive or not. Raises CookieRepeated.

        Only to end it: a copy may have been renewed while this cookie ran out, and whoever logs
        out means the session and not the cookie. He may have moved since (`session_bind`).
        """
        if not self.enabled:
            return None
        return self._cookie.authentic(
            request.header("cookie"), bound=self._bound(request), now_s=int(self._ports.now())
        )

    def begin(self, identity: Identity, issuer: str) -> Session | None:
        """A session for a fresh identity, or None where this method starts none."""
        if not self.enabled or identity.method in self._disabled_for or not identity.subject:
            return None
        sid = (identity.id_claims or identity.access_claims or {}).get("sid")
        return begin_session(
            subject=identity.subject,
            issuer=issuer,
            client_id=identity.client_id,
            method=identity.method,
            sid=sid if isinstance(sid, str) else None,
            audience=self._audience,
            tokens=Tokens(
                access=identity.access_token,
                access_expires_at_s=_whole(identity.expires_at_s),
                id=identity.id_token,
                refresh=identity.refresh_token,
            ),
            absolute_s=self.timeouts.absolute_s,
            now_s=int(self._ports.now()),
            random_bytes=self._ports.random_bytes,
        )

    def save(self, session: Session, request: Request) -> list[Header]:
        """Set-Cookie headers. Raises SessionTooLarge."""
        values = self._cookie.save(
            session,
            request.header("cookie"),
            bound=self._bound(request),
            https=request.scheme == "https",
            random_bytes=self._ports.random_bytes,
        )
        return [("set-cookie", value) for value in values]

    async def keep(self, found: OpenSession, request: Request) -> tuple[Session, list[Header]]:
        """The session after this use, and its cookies where they need writing."""
        session, clocks, now_s = found.session, found.clocks, int(self._ports.now())
        if not found.needs_saving:
            return session, []
        if clocks.needs_renewal:
            await self._ended.supersede(session, now_s)
            session = session.renewed(now_s)
        else:
            session = session.touched(now_s)
        return session, self.save(session, request)

    def revocation_tags(self, session: Session) -> tuple[str, str]:
        """What is published when this session, or this generation of it, is over."""
        return self._ended.revocation_tags(session)

    async def end(self, session: Session) -> None:
        """Dead from now on, in every copy. Raises SharedStateUnavailable."""
        await self._ended.end(session, int(self._ports.now()))

    def expire(self, request: Request) -> list[Header]:
        """Set-Cookie headers that remove the session's cookies from the browser."""
        if not self.enabled:
            return []
        https = request.scheme == "https"
        values = self._cookie.expire(request.header("cookie"), https=https)
        return [("set-cookie", value) for value in values]

    def upstream_headers(self, session: Session | None) -> list[Header]:
        """`session_request_headers`."""
        return self._headers(session, self._request_headers)

    def downstream_headers(self, session: Session | None) -> list[Header]:
        """`session_response_headers`."""
        return self._headers(session, self._response_headers)

    def _headers(self, session: Session | None, items: Sequence[str]) -> list[Header]:
        if session is None or not items:
            return []
        now_s = int(self._ports.now())
        clocks = clocks_left_s(session, self.timeouts, now_s)
        left_s = {_CLOCK_HEADERS[clock]: int(max(left, 0)) for clock, left in clocks.items()}
        values: dict[str, str] = {
            "id": session.id,
            "audience": session.audience,
            "subject": session.subject,
            **{name: str(seconds) for name, seconds in left_s.items()},
        }
        if left_s:
            values["timeout"] = str(min(left_s.values()))
        return [(session_header(item), values[item]) for item in items if item in values]

    def _bound(self, request: Request) -> Mapping[str, str]:
        if not self._bind:
            return {}
        values = {
            "ip": request.client_ip,
            "scheme": request.scheme,
            "user-agent": request.header("user-agent") or "",
        }
        return {name: values[name] for name in self._bind}


def cookies_for_upstream(request: Request, names: Collection[str]) -> tuple[bool, str | None]:
    """(whether the Cookie header changes, what is left of it without those cookies)."""
    header = request.header("cookie")
    left = without_cookies(header, names)
    return left != header, left


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
