import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.session.cookies import CookieRepeated, CookieSettings
from scopegate.session.login_state import (
    ATTEMPT_LIMIT,
    LOGIN_LIMIT_S,
    STATE_LIMIT_CHARS,
    Expired,
    LoginStart,
    Matched,
    NotOurs,
    NotThisBrowser,
    PendingLogins,
    ReturnTargetTooLong,
)
from scopegate.session.sealing import Purpose, RingKey, associated
from unit.session.examples import NOW_S, OTHER_ROOT, ROOT, Browser, random_source, ring

REDIRECT_URI = "https://api.example.org/callback"
RANDOM_BYTES = random_source(7)


def logins(**changes: Any) -> PendingLogins:
    given: dict[str, Any] = {
        "ring": ring(),
        "settings": CookieSettings("authorization", same_site="Default"),
        "timeout_s": 600,
        "binding": "plugin a",
    }
    return PendingLogins(**{**given, **changes})


def begin(header: str | None = None, by: PendingLogins | None = None, **changes: Any) -> LoginStart:
    given: dict[str, Any] = {
        "return_to": "/page?a=1",
        "client_id": "blog_post",
        "redirect_uri": REDIRECT_URI,
        "https": True,
        "now_s": NOW_S,
        "random_bytes": RANDOM_BYTES,
    }
    return (by or logins()).begin(header, **{**given, **changes})


def browser_with(start: LoginStart) -> Browser:
    browser = Browser()
    browser.take([start.set_cookie])
    return browser


def test_the_browser_that_began_a_login_finishes_it() -> None:
    start = begin()
    finish = logins().finish(start.state, browser_with(start).header, now_s=NOW_S + 599)
    assert isinstance(finish, Matched)
    assert finish.nonce == start.nonce
    assert finish.code_verifier == start.code_verifier
    assert finish.return_to == "/page?a=1"
    assert finish.client_id == "blog_post"
    assert finish.redirect_uri == REDIRECT_URI
    assert finish.claim_ttl_s >= 1


def test_nonce_and_verifier_have_their_sizes_and_are_not_in_what_the_browser_carries() -> None:
    start = begin()
    assert len(start.nonce) == len(start.code_verifier) == 43  # RFC 7636 §4.1: 43 to 128
    assert start.nonce != start.code_verifier
    assert start.set_cookie is not None
    for secret in (start.nonce, start.code_verifier):
        assert secret not in start.state
        assert secret not in start.set_cookie
        assert secret not in repr(start)
    assert start.state not in repr(start)


def test_two_logins_of_a_browser_share_the_cookie_and_nothing_else() -> None:
    first = begin()
    second = begin(browser_with(first).header)
    assert second.set_cookie is None
    assert first.state != second.state
    assert first.nonce != second.nonce
    assert first.code_verifier != second.code_verifier


def test_the_cookie_goes_out_as_the_settings_say_and_lasts_longer_than_any_login() -> None:
    start = begin()
    assert start.set_cookie is not None
    assert start.set_cookie.endswith("; Max-Age=1200; Path=/; Secure; HttpOnly; SameSite=Lax")


def test_a_login_that_begins_late_in_the_life_of_the_cookie_has_its_whole_time() -> None:
    browser = Browser()
    pending: dict[int, LoginStart] = {}
    times_written = 0
    for now_s in range(NOW_S, NOW_S + 5000):
        if now_s % 100 == 0:
            start = begin(browser.header, now_s=now_s)
            times_written += start.set_cookie is not None
            browser.take([start.set_cookie])
            pending[now_s] = start
        if now_s - 599 in pending:
            begun = pending.pop(now_s - 599)
            assert isinstance(logins().finish(begun.state, browser.header, now_s=now_s), Matched)
    assert times_written == 8  # anew, with the same secret, once it is over ten minutes old


def test_after_an_idle_hour_the_browser_gets_a_new_secret() -> None:
    start = begin(by=logins(timeout_s=10**6))
    browser = browser_with(start)
    assert begin(browser.header, now_s=NOW_S + 600).set_cookie is None
    assert begin(browser.header, now_s=NOW_S + 601).set_cookie is not None
    later = begin(browser.header, now_s=NOW_S + 1200)
    assert later.set_cookie is not None
    browser.take([later.set_cookie])
    finish = logins().finish(start.state, browser.header, now_s=NOW_S + 1200)
    assert isinstance(finish, NotThisBrowser)


@pytest.mark.parametrize("timeout_s", [60, 6000])
def test_how_long_a_login_may_take_is_for_whoever_began_it_to_say(timeout_s: int) -> None:
    start = begin()
    browser = browser_with(start)
    other = logins(timeout_s=timeout_s)
    finish = other.finish(start.state, browser.header, now_s=NOW_S + 100)
    assert isinstance(finish, Matched)
    assert finish.claim_ttl_s == 501
    assert isinstance(other.finish(start.state, browser.header, now_s=NOW_S + 600), Expired)


def test_200_unauthenticated_navigations_leave_one_small_cookie() -> None:
    browser = Browser()
    for number in range(200):
        start = begin(
            browser.header, return_to=f"/page/{number}?" + "q" * 500, now_s=NOW_S + number
        )
        browser.take([start.set_cookie])
    assert list(browser.cookies) == ["authorization"]
    assert browser.header is not None
    assert len(browser.header) < 200


def finish_all(tabs: dict[int, LoginStart], browser: Browser, order: random.Random) -> list[int]:
    """Every tab logs in at the provider and comes back; what fails begins again as told."""
    attempts: list[int] = []
    waiting = list(tabs.items())
    while waiting:
        number, start = waiting.pop(order.randrange(len(waiting)))
        finish = logins().finish(start.state, browser.header, now_s=NOW_S + 5)
        if isinstance(finish, Matched):
            assert finish.return_to == f"/page/{number}"
            assert (finish.nonce, finish.code_verifier) == (start.nonce, start.code_verifier)
            continue
        assert isinstance(finish, NotThisBrowser)
        assert finish.return_to == f"/page/{number}"
        assert finish.attempt is not None
        attempts.append(finish.attempt)
        again = begin(browser.header, return_to=finish.return_to, attempt=finish.attempt)
        browser.take([again.set_cookie])
        waiting.append((number, again))
    return attempts


@pytest.mark.parametrize("seed", range(5))
def test_ten_tabs_that_begin_without_a_cookie_all_arrive_at_their_own_page(seed: int) -> None:
    order = random.Random(seed)
    browser = Browser()
    tabs = {number: begin(None, return_to=f"/page/{number}") for number in range(10)}
    for start in order.sample(list(tabs.values()), 10):
        browser.take([start.set_cookie])
    attempts = finish_all(tabs, browser, order)
    assert attempts == [1] * 9


@pytest.mark.parametrize("seed", range(5))
def test_ten_tabs_of_a_known_browser_finish_in_any_order_at_first_try(seed: int) -> None:
    browser = browser_with(begin())
    tabs = {number: begin(browser.header, return_to=f"/page/{number}") for number in range(10)}
    assert finish_all(tabs, browser, random.Random(seed)) == []


def test_a_state_that_another_browser_began_is_begun_again_not_finished() -> None:
    victim = browser_with(begin())
    attackers = begin(return_to="/attackers/page")
    finish = logins().finish(attackers.state, victim.header, now_s=NOW_S)
    assert finish == NotThisBrowser("/attackers/page", "blog_post", 1)
    assert logins().finish(attackers.state, None, now_s=NOW_S) == finish


def test_a_browser_without_cookies_does_not_go_round_for_ever() -> None:
    attempt: int | None = 0
    rounds = 0
    while attempt is not None:
        start = begin(None, attempt=attempt)
        finish = logins().finish(start.state, None, now_s=NOW_S)
        assert isinstance(finish, NotThisBrowser)
        attempt = finish.attempt
        rounds += 1
    assert rounds == ATTEMPT_LIMIT + 1


@pytest.mark.parametrize(("timeout_s", "life_s"), [(600, 600), (0, LOGIN_LIMIT_S)])
def test_a_login_that_took_too_long_is_begun_again(timeout_s: int, life_s: int) -> None:
    by = logins(timeout_s=timeout_s)
    start = begin(by=by)
    header = browser_with(start).header
    assert isinstance(by.finish(start.state, header, now_s=NOW_S + life_s - 1), Matched)
    assert by.finish(start.state, header, now_s=NOW_S + life_s) == Expired(
        "/page?a=1", "blog_post", 1
    )


def test_every_changed_character_of_the_state_is_not_ours() -> None:
    start = begin()
    header = browser_with(start).header
    for position, character in enumerate(start.state):
        other = "B" if character == "A" else "A"
        changed = start.state[:position] + other + start.state[position + 1 :]
        assert logins().finish(changed, header, now_s=NOW_S) == NotOurs(), position


@given(st.text(max_size=100))
def test_any_state_at_all_is_answered(state: str) -> None:
    assert logins().finish(state, "authorization=x", now_s=NOW_S) == NotOurs()


def test_an_endless_state_is_not_even_looked_at() -> None:
    sealed = ring().seal(
        b"x" * 2000,
        Purpose.STATE,
        associated("authorization", "plugin a"),
        random_bytes=RANDOM_BYTES,
    )
    assert logins().finish(sealed, None, now_s=NOW_S) == NotOurs()


def test_every_changed_character_of_the_browser_cookie_is_not_this_browser() -> None:
    start = begin()
    browser = browser_with(start)
    value = browser.cookies["authorization"]
    for position, character in enumerate(value):
        other = "B" if character == "A" else "A"
        browser.cookies["authorization"] = value[:position] + other + value[position + 1 :]
        assert isinstance(logins().finish(start.state, browser.header, now_s=NOW_S), NotThisBrowser)


def test_a_login_of_another_plugin_is_not_ours_though_the_cookie_is_shared() -> None:
    start = begin()
    browser = browser_with(start)
    other = logins(binding="plugin b")
    assert other.finish(start.state, browser.header, now_s=NOW_S) == NotOurs()
    assert begin(browser.header, by=other).set_cookie is None


def test_a_login_of_another_cookie_name_is_not_ours_and_its_cookie_opens_nothing_here() -> None:
    start, own = begin(), begin()
    other = logins(settings=CookieSettings("login", same_site="Default"))
    browser = browser_with(start)
    browser.cookies["login"] = browser.cookies["authorization"]
    assert other.finish(start.state, browser.header, now_s=NOW_S) == NotOurs()
    assert begin(browser.header, by=other).set_cookie is not None
    assert isinstance(logins().finish(own.state, browser.header, now_s=NOW_S), NotThisBrowser)


def test_a_changed_secret_disturbs_no_login() -> None:
    start = begin()
    rotated = logins(ring=ring(OTHER_ROOT, RingKey(ROOT, NOW_S + 3600)))
    assert isinstance(rotated.finish(start.state, browser_with(start).header, now_s=NOW_S), Matched)


def test_two_browser_cookies_are_refused() -> None:
    start = begin()
    header = browser_with(start).header
    with pytest.raises(CookieRepeated):
        begin(f"{header}; {header}")
    with pytest.raises(CookieRepeated):
        logins().finish(start.state, f"{header}; {header}", now_s=NOW_S)


def returned(return_to: str, redirect_uri: str = REDIRECT_URI) -> str:
    start = begin(return_to=return_to, redirect_uri=redirect_uri)
    assert len(start.state) <= STATE_LIMIT_CHARS
    finish = logins().finish(start.state, browser_with(start).header, now_s=NOW_S)
    assert isinstance(finish, Matched)
    assert finish.redirect_uri == redirect_uri
    return finish.return_to


@pytest.mark.parametrize(
    "target", ["/", "/a/b", "/a?b=c&d=%20", "/a?", "/a??b", "/?x", "/a/b?next=https://x/y"]
)
def test_the_page_that_was_asked_for_comes_back_unchanged(target: str) -> None:
    assert returned(target) == target
    assert returned(target, "https://api.example.org" + target.partition("?")[0]) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "a",
        "//evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/a b",
        "/a\x00",
        "/\xfc",
    ],
)
def test_a_target_that_could_leave_the_site_becomes_its_front_page(target: str) -> None:
    assert returned(target) == "/"


def test_a_long_query_is_dropped_and_a_long_path_is_refused() -> None:
    assert returned("/page?" + "q" * 3000) == "/page"
    assert returned("/page?" + "q" * 100_000) == "/page"
    assert returned("/" + "p" * 1000) == "/" + "p" * 1000
    for length in (3000, 100_000):
        with pytest.raises(ReturnTargetTooLong) as caught:
            begin(return_to="/" + "p" * length)
        assert caught.value.length_chars == length + 1


def test_a_long_page_that_is_its_own_redirect_uri_fits_once() -> None:
    path = "/" + "p" * 1100
    assert returned(path + "?q=1", "https://api.example.org" + path) == path + "?q=1"


def test_expiring_makes_the_browser_forget_its_secret() -> None:
    browser = browser_with(begin())
    browser.take((logins().expire(https=True),))
    assert browser.cookies == {}
