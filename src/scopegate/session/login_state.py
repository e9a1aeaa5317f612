"""Pending logins: one bounded cookie per browser, and everything else in `state` itself.

The *browser cookie* holds a sealed random secret and the time it was written. Each login draws a
random id; `state` is a sealed text with that id, with a mark that only this browser's secret makes,
and with what the callback needs. Nonce and PKCE verifier are derived from the secret and the id,
so they are neither in the URL nor stored. However many tabs log in, the browser holds one cookie.

Tabs that start together, before any has the cookie, each get another secret, and the last answer
wins. The others come back with an authentic `state` of another secret: they start again, now with
the cookie that is there, and are through, for the provider knows the person by then.

Plugins that share the cookie's name on a host share the cookie, so they must seal it with the same
ring: the cluster's. `binding` keeps their states apart all the same.
Source: contract openid-connect.md §4 and §22 (11), RFC 6749 §10.12, RFC 7636, OpenID Connect Core
§15.5.2.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field

from scopegate.session.cookies import CookieSettings, expire_cookie, read_cookie, set_cookie
from scopegate.session.sealing import (
    KeyRing,
    Purpose,
    RandomBytes,
    TooLargeToSeal,
    associated,
    encode_base64url,
)

STATE_LIMIT_CHARS = 2048
ATTEMPT_LIMIT = 5
"""Logins in a row for one page: enough for tabs to converge, below a browser's redirect limit."""
LOGIN_LIMIT_S = 3600
"""The time to finish a login where the operator set no limit."""

_FORMAT = 1
_ID_BYTES = 16
_SECRET_BYTES = 32
_TIME_BYTES = 8


class ReturnTargetTooLong(Exception):
    """The path to return to does not fit into `state`, not even without its query."""

    def __init__(self, length_chars: int) -> None:
        super().__init__(f"a path of {length_chars} characters is too long to come back to")
        self.length_chars = length_chars


@dataclass(frozen=True, slots=True)
class LoginStart:
    """What an authorization request needs.

    set_cookie   value of a Set-Cookie header, or None: the browser's cookie is good as it is
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    set_cookie: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Matched:
    """This browser began this login, not too long ago.

    state_id        to claim the state once (single_flight.claim_once), for `claim_ttl_s` seconds
    nonce           what the ID token must carry
    code_verifier   for the token endpoint, with the `redirect_uri` that was sent
    return_to       path and query of the page that was asked for
    """

    state_id: str = field(repr=False)
    claim_ttl_s: int
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    return_to: str
    client_id: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class StartAgain:
    """One of our logins, but not to be finished: begin another one for `return_to`.

    The code must not be redeemed. `attempt` goes into the next `begin`; None: it was tried often
    enough (a browser without cookies), refuse.
    """

    return_to: str
    client_id: str
    attempt: int | None


@dataclass(frozen=True, slots=True)
class NotThisBrowser(StartAgain):
    """Another browser began it, or another tab replaced the cookie."""


@dataclass(frozen=True, slots=True)
class Expired(StartAgain):
    """It took too long."""


@dataclass(frozen=True, slots=True)
class NotOurs:
    """`state` does not open: a bad callback, 4xx."""


LoginFinish = Matched | NotThisBrowser | Expired | NotOurs


@dataclass(frozen=True, slots=True)
class _Browser:
    secret: bytes = field(repr=False)
    written_at_s: int


@dataclass(frozen=True, slots=True)
class _State:
    """`ends_at_s`: as whoever began the login has it. Several configurations may take the state,
    and how long its use is remembered must not rest on which of them it came to."""

    id: str
    browser_mark: str
    ends_at_s: int
    return_to: str
    client_id: str
    redirect_uri: str
    attempt: int


class PendingLogins:
    """Begins and finishes the logins of one cookie name under one binding."""

    def __init__(
        self, *, ring: KeyRing, settings: CookieSettings, timeout_s: int, binding: str
    ) -> None:
        """`timeout_s` to finish a login; 0: LOGIN_LIMIT_S. `binding`: see SessionCookie."""
        self._ring = ring
        self._settings = settings
        self._timeout_s = timeout_s or LOGIN_LIMIT_S
        self._binding = binding

    def begin(
        self,
        cookie_header: str | None,
        *,
        return_to: str,
        client_id: str,
        redirect_uri: str,
        https: bool,
        now_s: int,
        random_bytes: RandomBytes,
        attempt: int = 0,
    ) -> LoginStart:
        """A login for the page `return_to`, its path and (if wanted) query.

        Where that could lead to another site it becomes `/`; where it is too long the query is
        left out. Raises ReturnTargetTooLong and CookieRepeated.
        """
        browser = self._browser(cookie_header, now_s)
        set_cookie_value = None
        # The cookie outlives every login that begins with it: written again, with the same
        # secret, once it is older than the time for one.
        if browser is None or now_s - browser.written_at_s > self._timeout_s:
            secret = browser.secret if browser else random_bytes(_SECRET_BYTES)
            browser = _Browser(secret, now_s)
            set_cookie_value = self._browser_cookie(browser, https, random_bytes)
        state_id = encode_base64url(random_bytes(_ID_BYTES))
        state = _State(
            id=state_id,
            browser_mark=self._derive(browser, "mark", state_id),
            ends_at_s=now_s + self._timeout_s,
            return_to=local_page(return_to),
            client_id=client_id,
            redirect_uri=redirect_uri,
            attempt=attempt,
        )
        return LoginStart(
            state=self._seal_state(state, random_bytes),
            nonce=self._derive(browser, "nonce", state_id),
            code_verifier=self._derive(browser, "code_verifier", state_id),
            set_cookie=set_cookie_value,
        )

    def finish(self, state: str, cookie_header: str | None, *, now_s: int) -> LoginFinish:
        """Whose callback this is. Raises CookieRepeated."""
        opened = self._open_state(state, now_s)
        if opened is None:
            return NotOurs()
        next_attempt = opened.attempt + 1 if opened.attempt < ATTEMPT_LIMIT else None
        left_s = opened.ends_at_s - now_s
        if left_s <= 0:
            return Expired(opened.return_to, opened.client_id, next_attempt)
        browser = self._browser(cookie_header, now_s)
        if browser is None or not hmac.compare_digest(
            self._derive(browser, "mark", opened.id), opened.browser_mark
        ):
            return NotThisBrowser(opened.return_to, opened.client_id, next_attempt)
        return Matched(
            state_id=opened.id,
            claim_ttl_s=left_s + 1,
            nonce=self._derive(browser, "nonce", opened.id),
            code_verifier=self._derive(browser, "code_verifier", opened.id),
            return_to=opened.return_to,
            client_id=opened.client_id,
            redirect_uri=opened.redirect_uri,
        )

    def expire(self, *, https: bool) -> str:
        """A Set-Cookie value: the browser forgets its secret, and with it all pending logins."""
        return expire_cookie(self._settings, https=https)

    def _browser(self, cookie_header: str | None, now_s: int) -> _Browser | None:
        sealed = read_cookie(cookie_header, self._settings.name)
        if sealed is None:
            return None
        plaintext = self._ring.unseal(
            sealed, Purpose.BROWSER, associated(self._settings.name), now_s=now_s
        )
        if plaintext is None or len(plaintext) != _TIME_BYTES + _SECRET_BYTES:
            return None
        written_at_s = int.from_bytes(plaintext[:_TIME_BYTES], "big")
        if now_s - written_at_s >= self._browser_life_s:
            return None
        return _Browser(plaintext[_TIME_BYTES:], written_at_s)

    @property
    def _browser_life_s(self) -> int:
        return 2 * self._timeout_s

    def _browser_cookie(self, browser: _Browser, https: bool, random_bytes: RandomBytes) -> str:
        sealed = self._ring.seal(
            browser.written_at_s.to_bytes(_TIME_BYTES, "big") + browser.secret,
            Purpose.BROWSER,
            associated(self._settings.name),
            random_bytes=random_bytes,
        )
        return set_cookie(self._settings, sealed, https=https, max_age_s=self._browser_life_s)

    def _derive(self, browser: _Browser, label: str, state_id: str) -> str:
        """43 characters (32 bytes) that only this browser's secret gives for this state."""
        message = associated(label, self._binding, state_id)
        return encode_base64url(hmac.digest(browser.secret, message, "sha256"))

    def _seal_state(self, state: _State, random_bytes: RandomBytes) -> str:
        path = state.return_to.partition("?")[0]
        for return_to in (state.return_to, path):
            try:
                sealed = self._ring.seal(
                    _encode_state(state, return_to),
                    Purpose.STATE,
                    self._state_data,
                    random_bytes=random_bytes,
                )
            except TooLargeToSeal:
                continue
            if len(sealed) <= STATE_LIMIT_CHARS:
                return sealed
        raise ReturnTargetTooLong(len(path))

    def _open_state(self, sealed: str, now_s: int) -> _State | None:
        if len(sealed) > STATE_LIMIT_CHARS:
            return None
        plaintext = self._ring.unseal(sealed, Purpose.STATE, self._state_data, now_s=now_s)
        return _decode_state(plaintext) if plaintext is not None else None

    @property
    def _state_data(self) -> bytes:
        return associated(self._settings.name, self._binding)


def local_page(return_to: str) -> str:
    """The target if it is a path on this site whatever a browser makes of it, else `/`.

    Browsers drop control characters from a URL and read a backslash as a slash, and `//host` is
    another site (WHATWG URL §4.4).
    """
    is_plain = all("!" <= character <= "~" and character != "\\" for character in return_to)
    return return_to if is_plain and return_to[:1] == "/" and return_to[1:2] != "/" else "/"


def _path_of(url: str) -> str:
    return "/" + url.partition("://")[2].partition("?")[0].partition("/")[2]


def _encode_state(state: _State, return_to: str) -> bytes:
    # The redirect URI is often the page itself: its path is not written twice.
    path, mark, query = return_to.partition("?")
    is_same_path = _path_of(state.redirect_uri) == path
    return json.dumps(
        [
            _FORMAT,
            state.id,
            state.browser_mark,
            state.ends_at_s,
            is_same_path,
            mark + query if is_same_path else return_to,
            state.client_id,
            state.redirect_uri,
            state.attempt,
        ],
        separators=(",", ":"),
    ).encode()


def _decode_state(plaintext: bytes) -> _State | None:
    format_number, *values = json.loads(plaintext)
    if format_number != _FORMAT:
        return None
    id_, mark, ends_at_s, is_same_path, rest, client_id, redirect_uri, attempt = values
    return _State(
        id=id_,
        browser_mark=mark,
        ends_at_s=ends_at_s,
        return_to=_path_of(redirect_uri) + rest if is_same_path else rest,
        client_id=client_id,
        redirect_uri=redirect_uri,
        attempt=attempt,
    )
