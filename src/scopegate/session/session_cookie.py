"""The session cookie: from a Cookie header to a session and back.

Name, audience and binding go into the authentication code, so that a cookie of another one is
simply not a session: it does not open. What `session_bind` names is sealed as a mark before the
session instead: where it differs the session is good for nothing but to be ended.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from scopegate.session.cookies import (
    CookieSettings,
    SessionTooLarge,
    expire_chunked,
    read_chunked,
    set_chunked,
)
from scopegate.session.reasons import SessionReason
from scopegate.session.sealing import (
    KeyRing,
    Purpose,
    RandomBytes,
    TooLargeToSeal,
    associated,
)
from scopegate.session.session import (
    ClockState,
    Session,
    Timeouts,
    Tokens,
    check_clocks,
    decode_session,
    encode_session,
)

_MARK_BYTES = 32


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session whose clocks are good.

    needs_saving   write the cookie again, touched or renewed as `clocks` says; also true when a
                   former key sealed it, so that sessions move to the current one
    """

    session: Session
    clocks: ClockState
    needs_saving: bool


@dataclass(frozen=True, slots=True)
class NoSession:
    """The request has no session. `reason` None: it brings no cookie either."""

    reason: SessionReason | None


class SessionCookie:
    """Opens and saves the sessions of one audience under one binding."""

    def __init__(
        self,
        *,
        ring: KeyRing,
        settings: CookieSettings,
        timeouts: Timeouts,
        audience: str,
        binding: str,
    ) -> None:
        """`binding` names all that a session rests on besides; a session of another never opens."""
        self._ring = ring
        self._settings = settings
        self._timeouts = timeouts
        self._audience = audience
        self._binding = binding

    def open(
        self, cookie_header: str | None, *, bound: Mapping[str, str], now_s: int
    ) -> OpenSession | NoSession:
        """The session of a request. Raises CookieRepeated.

        `bound` holds what `session_bind` names, as of this request: `ip`, `scheme`, `user-agent`.
        Whether the session was ended meanwhile is not known here: ask EndedSessions.
        """
        sealed = read_chunked(cookie_header, self._settings.name)
        if sealed is None:
            return NoSession(None)
        unsealed = self._unsealed(sealed, bound, now_s)
        if unsealed is None:
            return NoSession(SessionReason.SESSION_NOT_AUTHENTIC)
        session, is_bound_here = unsealed
        if not is_bound_here:
            return NoSession(SessionReason.SESSION_BOUND_ELSEWHERE)
        clocks = check_clocks(session, self._timeouts, now_s)
        if clocks.expired is not None:
            return NoSession(clocks.expired.value)
        return OpenSession(
            session=session,
            clocks=clocks,
            needs_saving=clocks.needs_touch
            or clocks.needs_renewal
            or not self._ring.is_current(sealed),
        )

    def authentic(
        self, cookie_header: str | None, *, bound: Mapping[str, str], now_s: int
    ) -> Session | None:
        """The session that the cookie was written for, whatever the clocks say: to end it.

        Where `bound` differs it comes without its tokens: whoever has only the cookie must not get
        them. Raises CookieRepeated.
        """
        sealed = read_chunked(cookie_header, self._settings.name)
        unsealed = self._unsealed(sealed, bound, now_s) if sealed is not None else None
        if unsealed is None:
            return None
        session, is_bound_here = unsealed
        return session if is_bound_here else replace(session, tokens=Tokens())

    def _unsealed(
        self, sealed: str, bound: Mapping[str, str], now_s: int
    ) -> tuple[Session, bool] | None:
        """The session, and whether `bound` is what it was saved with."""
        plaintext = self._ring.unseal(sealed, Purpose.SESSION, self._associated_data, now_s=now_s)
        if plaintext is None:
            return None
        session = decode_session(plaintext[_MARK_BYTES:])
        if session is None:
            return None
        mark = plaintext[:_MARK_BYTES]
        return session, hmac.compare_digest(mark, _mark(session, bound))

    def save(
        self,
        session: Session,
        cookie_header: str | None,
        *,
        bound: Mapping[str, str],
        https: bool,
        random_bytes: RandomBytes,
    ) -> tuple[str, ...]:
        """Set-Cookie values that hand the session to the browser. Raises SessionTooLarge.

        `cookie_header` is the request's: chunks that it brought and nobody needs are expired.
        """
        if session.audience != self._audience:
            raise ValueError(f"audience: {session.audience!r}; this cookie is {self._audience!r}'s")
        plaintext = _mark(session, bound) + encode_session(session)
        try:
            sealed = self._ring.seal(
                plaintext,
                Purpose.SESSION,
                self._associated_data,
                random_bytes=random_bytes,
            )
        except TooLargeToSeal:
            raise SessionTooLarge(self._settings.name, len(plaintext)) from None
        return set_chunked(self._settings, sealed, cookie_header, https=https)

    def expire(self, cookie_header: str | None, *, https: bool) -> tuple[str, ...]:
        """Set-Cookie values that remove the session from the browser, every chunk of it.

        That alone does not end it: a copy of the cookie still opens. See EndedSessions.
        """
        return expire_chunked(self._settings, cookie_header, https=https)

    @property
    def _associated_data(self) -> bytes:
        return associated(self._settings.name, self._audience, self._binding)


def _mark(session: Session, bound: Mapping[str, str]) -> bytes:
    """Of the bound names and values, for this session alone."""
    pairs = [text for pair in sorted(bound.items()) for text in pair]
    return hmac.digest(session.id.encode(), associated(*pairs), "sha256")
