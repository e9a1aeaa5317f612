"""The session cookie: from a Cookie header to a session and back.

Name, audience and binding are associated data of the sealed text, so that a cookie of another one
is simply not a session: it does not open. What `session_bind` names is sealed as a mark before the
session instead: where it differs the session is good for nothing but to be ended.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from scopegate.session.cookies import (
    CookieSettings,
    SessionTooLarge,
    expire_chunked,
    read_chunked,
    set_chunked,
)
from scopegate.session.reasons import SessionReason
from scopegate.session.remembered import Remembered
from scopegate.session.sealing import (
    KeyRing,
    Purpose,
    RandomBytes,
    RingKey,
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
_REMEMBERED_BYTES = 2048
"""What a remembered cookie takes besides itself and its tokens, about."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session whose clocks are good.

    needs_saving   write the cookie again, touched or renewed as `clocks` says; also true when a
                   former key sealed it, so that sessions move to the current one
    is_touched     the use is written down and nothing else: the cookie that was brought stays as
                   good as it was
    good_until_s   when it ends for another reason than its clocks (unix seconds); mostly infinite
    """

    session: Session
    clocks: ClockState
    needs_saving: bool
    is_touched: bool = False
    good_until_s: float = math.inf


@dataclass(frozen=True, slots=True)
class NoSession:
    """The request has no session. `reason` None: it brings no cookie either."""

    reason: SessionReason | None


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a sealed text holds, and the key that opened it.

    mark         of what the cookie is bound to
    is_unbound   that is nothing
    is_current   the ring's current key sealed it
    """

    session: Session
    mark: bytes = field(repr=False)
    is_unbound: bool
    key: RingKey = field(repr=False)
    is_current: bool


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
        remembered: Remembered | None = None,
    ) -> None:
        """`binding` names all that a session rests on besides; a session of another never opens.

        `remembered`: what was opened is not opened again; None: it is.
        """
        self._remembered = remembered
        self._associated_data = associated(settings.name, audience, binding)
        self._ring = ring
        self._settings = settings
        self._timeouts = timeouts
        self._audience = audience

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
        opened = self._opened(sealed, now_s)
        if opened is None:
            return NoSession(SessionReason.SESSION_NOT_AUTHENTIC)
        session = opened.session
        if not _is_bound(opened, bound):
            return NoSession(SessionReason.SESSION_BOUND_ELSEWHERE)
        clocks = check_clocks(session, self._timeouts, now_s)
        if clocks.expired is not None:
            return NoSession(clocks.expired.value)
        return OpenSession(
            session=session,
            clocks=clocks,
            needs_saving=clocks.needs_touch or clocks.needs_renewal or not opened.is_current,
            is_touched=clocks.needs_touch and not clocks.needs_renewal and opened.is_current,
        )

    def authentic(
        self, cookie_header: str | None, *, bound: Mapping[str, str], now_s: int
    ) -> Session | None:
        """The session that the cookie was written for, whatever the clocks say: to end it.

        Where `bound` differs it comes without its tokens: whoever has only the cookie must not get
        them. Raises CookieRepeated.
        """
        sealed = read_chunked(cookie_header, self._settings.name)
        opened = self._opened(sealed, now_s) if sealed is not None else None
        if opened is None:
            return None
        session = opened.session
        return session if _is_bound(opened, bound) else replace(session, tokens=Tokens())

    def _opened(self, sealed: str, now_s: int) -> _Opened | None:
        """What the text holds; opened once in a while (docs/adr/0037)."""
        key = (self, sealed)
        opened: _Opened | None = self._remembered.get(key) if self._remembered else None
        if opened is not None and not opened.key.is_over(now_s):
            return opened
        found = self._ring.unseal_with(sealed, Purpose.SESSION, self._associated_data, now_s=now_s)
        if found is None:
            return None
        plaintext, ring_key = found
        session = decode_session(plaintext[_MARK_BYTES:])
        if session is None:
            return None
        mark = plaintext[:_MARK_BYTES]
        is_unbound = hmac.compare_digest(mark, _mark(session, {}))
        opened = _Opened(session, mark, is_unbound, ring_key, self._ring.is_current(sealed))
        if self._remembered:
            self._remembered.put(key, opened, _REMEMBERED_BYTES + len(sealed) + session.tokens.size)
        return opened

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
        try:
            plaintext = _mark(session, bound) + encode_session(session)
            sealed = self._ring.seal(
                plaintext,
                Purpose.SESSION,
                self._associated_data,
                random_bytes=random_bytes,
            )
        except TooLargeToSeal:
            raise SessionTooLarge(self._settings.name, session.tokens.size) from None
        return set_chunked(self._settings, sealed, cookie_header, https=https)

    def expire(self, cookie_header: str | None, *, https: bool) -> tuple[str, ...]:
        """Set-Cookie values that remove the session from the browser, every chunk of it.

        That alone does not end it: a copy of the cookie still opens. See EndedSessions.
        """
        return expire_chunked(self._settings, cookie_header, https=https)


def _is_bound(opened: _Opened, bound: Mapping[str, str]) -> bool:
    """Whether `bound` is what the cookie was saved with."""
    if not bound:
        return opened.is_unbound
    return hmac.compare_digest(opened.mark, _mark(opened.session, bound))


def _mark(session: Session, bound: Mapping[str, str]) -> bytes:
    """Of the bound names and values, for this session alone."""
    pairs = [text for pair in sorted(bound.items()) for text in pair]
    return hmac.digest(session.id.encode(), associated(*pairs), "sha256")
