from dataclasses import replace
from typing import Any

import pytest

from scopegate.session.cookies import CookieRepeated, CookieSettings, SessionTooLarge
from scopegate.session.reasons import SessionReason
from scopegate.session.sealing import Purpose, RingKey, associated
from scopegate.session.session import Clock, Session, Timeouts, Tokens, encode_session
from scopegate.session.session_cookie import NoSession, OpenSession, SessionCookie
from unit.session.examples import (
    NOW_S,
    OTHER_ROOT,
    ROOT,
    TOKENS,
    Browser,
    a_session,
    noise,
    random_source,
    ring,
)

BOUND_ELSEWHERE = NoSession(SessionReason.SESSION_BOUND_ELSEWHERE)
NOT_AUTHENTIC = NoSession(SessionReason.SESSION_NOT_AUTHENTIC)
BOUND = {"ip": "192.0.2.1", "user-agent": "Firefox"}


def a_cookie(**changes: Any) -> SessionCookie:
    given: dict[str, Any] = {
        "ring": ring(),
        "settings": CookieSettings("session"),
        "timeouts": Timeouts(),
        "audience": "default",
        "binding": "issuer and client",
    }
    return SessionCookie(**{**given, **changes})


def saved(
    session: Session | None = None, cookie: SessionCookie | None = None, seed: int = 5
) -> Browser:
    browser = Browser()
    lines = (cookie or a_cookie()).save(
        session or a_session(), None, bound=BOUND, https=True, random_bytes=random_source(seed)
    )
    browser.take(lines)
    return browser


def opened(
    browser: Browser, cookie: SessionCookie | None = None, now_s: int = NOW_S
) -> OpenSession | NoSession:
    return (cookie or a_cookie()).open(browser.header, bound=BOUND, now_s=now_s)


def test_a_saved_session_opens() -> None:
    result = opened(saved())
    assert isinstance(result, OpenSession)
    assert result.session == a_session()
    assert not result.needs_saving


def test_the_cookie_shows_no_token() -> None:
    header = saved().header
    assert header is not None
    assert "token" not in header


def test_no_cookie_is_no_session_and_nothing_to_expire() -> None:
    result = a_cookie().open("other=1", bound=BOUND, now_s=NOW_S)
    assert result == NoSession(None)


def test_every_changed_character_of_the_cookie_is_no_session() -> None:
    browser = saved(a_session(tokens=Tokens()))
    value = browser.cookies["session"]
    for position, character in enumerate(value):
        other = "B" if character == "A" else "A"
        browser.cookies["session"] = value[:position] + other + value[position + 1 :]
        assert opened(browser) == NOT_AUTHENTIC, position


@pytest.mark.parametrize(
    "changes",
    [
        {"audience": "another"},
        {"binding": "another issuer"},
        {"ring": ring(OTHER_ROOT)},
    ],
)
def test_a_session_of_another_plugin_does_not_open(changes: dict[str, Any]) -> None:
    assert opened(saved(), a_cookie(**changes)) == NOT_AUTHENTIC


def test_a_session_under_another_cookie_name_does_not_open() -> None:
    browser = saved()
    browser.cookies["session_b"] = browser.cookies.pop("session")
    assert opened(browser, a_cookie(settings=CookieSettings("session_b"))) == NOT_AUTHENTIC


@pytest.mark.parametrize(
    "bound",
    [
        {**BOUND, "ip": "192.0.2.2"},
        {**BOUND, "user-agent": "curl"},
        {"ip": "192.0.2.1"},
        {**BOUND, "scheme": "https"},
        {},
    ],
)
def test_a_copied_cookie_does_not_open_where_it_is_not_bound(bound: dict[str, str]) -> None:
    header = saved().header
    assert a_cookie().open(header, bound=bound, now_s=NOW_S) == BOUND_ELSEWHERE
    # It can be ended there, and that is all: nothing is to be learned from it.
    ended = a_cookie().authentic(header, bound=bound, now_s=NOW_S)
    assert ended == a_session(tokens=Tokens())


def test_a_cookie_of_the_format_without_a_mark_is_no_session() -> None:
    data = associated("session", "default", "issuer and client")
    sealed = ring().seal(
        encode_session(a_session()), Purpose.SESSION, data, random_bytes=random_source()
    )
    assert a_cookie().open(f"session=1{sealed}", bound={}, now_s=NOW_S) == NOT_AUTHENTIC


def test_the_order_of_the_bound_properties_does_not_matter() -> None:
    bound = dict(reversed(BOUND.items()))
    assert isinstance(a_cookie().open(saved().header, bound=bound, now_s=NOW_S), OpenSession)


def test_two_session_cookies_are_refused() -> None:
    browser = saved()
    with pytest.raises(CookieRepeated):
        a_cookie().open(f"{browser.header}, {browser.header}", bound=BOUND, now_s=NOW_S)


@pytest.mark.parametrize(
    ("age_s", "expired"),
    [(899, None), (900, Clock.IDLING), (3600, Clock.ROLLING), (86400, Clock.ABSOLUTE)],
)
def test_the_clocks_are_asked(age_s: int, expired: Clock | None) -> None:
    result = opened(saved(), now_s=NOW_S + age_s)
    assert isinstance(result, NoSession if expired else OpenSession)
    if isinstance(result, NoSession):
        assert expired is not None
        assert result.reason is expired.value


@pytest.mark.parametrize(("age_s", "needs_saving"), [(59, False), (60, True)])
def test_a_session_is_saved_when_a_clock_says_so(age_s: int, needs_saving: bool) -> None:
    result = opened(saved(), now_s=NOW_S + age_s)
    assert isinstance(result, OpenSession)
    assert result.needs_saving is needs_saving


def test_a_changed_secret_logs_nobody_out_and_the_session_moves_to_the_new_one() -> None:
    browser = saved()
    rotated = a_cookie(ring=ring(OTHER_ROOT, RingKey(ROOT, not_after_s=NOW_S + 86400)))
    result = opened(browser, rotated)
    assert isinstance(result, OpenSession)
    assert result.needs_saving
    moved = opened(saved(result.session, rotated), a_cookie(ring=ring(OTHER_ROOT)))
    assert isinstance(moved, OpenSession)
    assert not moved.needs_saving


def test_a_large_session_is_split_and_shrinks_again() -> None:
    large = a_session(tokens=replace(TOKENS, access=noise(16000)))
    browser = saved(large)
    assert len(browser.cookies) == 5
    result = opened(browser)
    assert isinstance(result, OpenSession)
    assert result.session == large
    browser.take(
        a_cookie().save(
            a_session(), browser.header, bound=BOUND, https=True, random_bytes=random_source()
        )
    )
    assert set(browser.cookies) == {"session"}
    assert isinstance(opened(browser), OpenSession)


def test_chunks_of_two_answers_do_not_make_a_session() -> None:
    large = a_session(tokens=replace(TOKENS, access=noise(9000)))
    browser, other = saved(large, seed=1), saved(large, seed=2)
    assert len(browser.cookies) == 3
    browser.cookies["session2"] = other.cookies["session2"]
    assert opened(browser) == NOT_AUTHENTIC


@pytest.mark.parametrize("length", [40_000, 80_000, 2_000_000])
def test_a_session_that_fits_into_no_nine_cookies_is_an_error(length: int) -> None:
    with pytest.raises(SessionTooLarge):
        saved(a_session(tokens=replace(TOKENS, access=noise(length))))


def test_expiring_removes_every_chunk() -> None:
    browser = saved(a_session(tokens=replace(TOKENS, access=noise(15000))))
    browser.take(a_cookie().expire(browser.header, https=True))
    assert browser.cookies == {}


def test_a_session_of_another_audience_is_not_saved_here() -> None:
    with pytest.raises(ValueError, match="audience"):
        saved(a_session(audience="another"))
