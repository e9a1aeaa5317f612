from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.session.cookies import (
    COOKIE_LIMIT_BYTES,
    PIECES_LIMIT,
    CookieRepeated,
    CookieSettings,
    SessionTooLarge,
    chunk_names,
    expire_chunked,
    expire_cookie,
    read_chunked,
    read_cookie,
    set_chunked,
    set_cookie,
    without_cookies,
)
from support.cost import growth
from unit.session.examples import Browser

SESSION = CookieSettings("session")
OURS = (*chunk_names("session"), "authorization")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (None, None),
        ("", None),
        ("session=abc", "abc"),
        ("a=1; session=abc; b=2", "abc"),
        ("a=1;session=abc;b=2", "abc"),
        (" session = abc ", "abc"),
        ("session=abc=", "abc="),
        ("a=1, session=abc", "abc"),
        ("session=abc, a=1", "abc"),
        ("session=", ""),
        ("session", ""),
        ("Session=abc", None),
        ("xsession=abc; sessionx=abc; my-session=abc", None),
        ("a=session; b=x session=abc", None),
        (";;,, ;=; session=abc", "abc"),
    ],
)
def test_a_cookie_is_read(header: str | None, value: str | None) -> None:
    assert read_cookie(header, "session") == value


@pytest.mark.parametrize(
    "header",
    [
        "session=a; session=b",
        "session=a;session=a",
        "session=a, session=b",
        "session=a,session=b",
        "a=1,session=a; session=b",
        "session=a;\tsession=b",
        "session=a; session =b",
        "session=a; session",
        "session; session=a",
        "session=a; \xa0session=b",
        'a="x; session=a"; session=b',
    ],
)
def test_a_cookie_that_comes_twice_is_refused_at_every_boundary(header: str) -> None:
    with pytest.raises(CookieRepeated) as caught:
        read_cookie(header, "session")
    assert caught.value.name == "session"


def test_a_chunk_that_comes_twice_is_refused() -> None:
    with pytest.raises(CookieRepeated) as caught:
        read_chunked("session=2a; session2=b, session2=c", "session")
    assert caught.value.name == "session2"


def test_a_cookie_of_somebody_else_may_come_twice() -> None:
    assert read_cookie("a=1; a=2; session=x", "session") == "x"


@given(st.text(max_size=100))
def test_any_header_is_read_without_a_crash(header: str) -> None:
    try:
        read_chunked(header, "session")
    except CookieRepeated:
        assert header.count("session") > 1
    without_cookies(header, chunk_names("session"))


def test_the_default_cookie() -> None:
    assert set_cookie(SESSION, "abc", https=False) == "session=abc; Path=/; HttpOnly; SameSite=Lax"
    assert (
        set_cookie(SESSION, "abc", https=True)
        == "session=abc; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


def test_every_attribute_and_as_few_as_there_can_be() -> None:
    everything = CookieSettings(
        "c", path="/a", domain=".example.org", secure=True, same_site="Strict"
    )
    assert (
        set_cookie(everything, "v", https=False, max_age_s=600)
        == "c=v; Max-Age=600; Path=/a; Domain=.example.org; Secure; HttpOnly; SameSite=Strict"
    )
    # Lax in words: not every browser defaults to it.
    nothing = CookieSettings("c", http_only=False, secure=False, same_site="Default")
    assert set_cookie(nothing, "v", https=True) == "c=v; Path=/; SameSite=Lax"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "a b"}),
        ("name", {"name": "a=b"}),
        ("name", {"name": "a;b"}),
        ("name", {"name": "a,b"}),
        ("name", {"name": "a\r\nSet-Cookie: b"}),
        ("name", {"name": "ü"}),
        ("name", {"name": "a" * 257}),
        ("path", {"path": ""}),
        ("path", {"path": "a"}),
        ("path", {"path": "/; Domain=evil.example"}),
        ("path", {"path": "/\r\n"}),
        ("path", {"path": "/" + "a" * 1024}),
        ("domain", {"domain": ""}),
        ("domain", {"domain": "example.org; Path=/"}),
        ("domain", {"domain": "example.org\n"}),
        ("same_site", {"same_site": "lax"}),
        ("__Host-", {"name": "__Host-session", "path": "/api"}),
        ("__Host-", {"name": "__host-session", "domain": "example.org"}),
        ("__Host-", {"name": "__Host-session", "secure": False}),
        ("__Secure-", {"name": "__Secure-session", "secure": False}),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=field):
        CookieSettings(**{"name": "session", **changes})


@pytest.mark.parametrize("name", ["__Host-session", "__Secure-session", "__host-session"])
def test_a_prefixed_cookie_is_secure_whatever_the_scheme(name: str) -> None:
    assert "; Secure" in set_cookie(CookieSettings(name), "v", https=False)


@pytest.mark.parametrize("value", ["a b", "a;b", "a,b", 'a"b', "a\\b", "a\n", "ü"])
def test_a_value_that_could_break_the_header_is_refused_unseen(value: str) -> None:
    for call in (
        lambda: set_cookie(SESSION, value, https=True),
        lambda: set_chunked(SESSION, value, None, https=True),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert value not in str(caught.value)


def room(settings: CookieSettings) -> int:
    return COOKIE_LIMIT_BYTES - len(set_cookie(settings, "", https=True)) - 1


@pytest.mark.parametrize(
    ("length", "cookies"),
    [
        (0, 1),
        (1, 1),
        (room(SESSION) - 1, 1),
        (room(SESSION), 1),
        (room(SESSION) + 1, 2),
        (2 * room(SESSION), 2),
        (2 * room(SESSION) + 1, 3),
        (9 * room(SESSION), 9),
    ],
)
def test_a_value_takes_as_many_cookies_as_it_needs(length: int, cookies: int) -> None:
    value = ("0123456789abcdef" * 4096)[:length]
    lines = set_chunked(SESSION, value, None, https=True)
    assert [line.partition("=")[0] for line in lines] == list(chunk_names("session"))[:cookies]
    assert all(len(line) <= COOKIE_LIMIT_BYTES for line in lines)
    browser = Browser()
    browser.take(lines)
    assert read_chunked(browser.header, "session") == value


def test_the_first_value_that_does_not_fit_into_nine_cookies_is_an_error() -> None:
    # Each later chunk has one character less for the digit of its name, one more for the count.
    largest = 9 * room(SESSION)
    assert len(set_chunked(SESSION, "x" * largest, None, https=True)) == 9
    with pytest.raises(SessionTooLarge) as caught:
        set_chunked(SESSION, "x" * (largest + 1), None, https=True)
    assert caught.value.length_bytes == largest + 1


def test_the_longest_settings_still_leave_room() -> None:
    settings = CookieSettings("n" * 256, path="/" + "p" * 1023, domain="d" * 1024)
    lines = set_chunked(settings, "x" * 9000, None, https=True)
    assert all(len(line) <= COOKIE_LIMIT_BYTES for line in lines)


def test_chunks_of_a_longer_session_are_expired_in_the_same_answer() -> None:
    browser = Browser()
    browser.take(set_chunked(SESSION, "x" * 12000, None, https=True))
    assert set(browser.cookies) == {"session", "session2", "session3"}
    lines = set_chunked(SESSION, "short", browser.header, https=True)
    pairs = [line.partition(";")[0] for line in lines]
    assert pairs == ["session=1short", "session2=", "session3="]
    browser.take(lines)
    assert browser.cookies == {"session": "1short"}


def test_a_chunk_left_over_by_a_race_is_not_read() -> None:
    assert read_chunked("session=1short; session2=left-over", "session") == "short"


@pytest.mark.parametrize(
    "header",
    [
        "session=2ab",
        "session=2ab; session3=c",
        "session=2ab; session2=",
        "session=0ab",
        "session=ab",
        "session=",
        "session=1",
        "session=²ab",
    ],
)
def test_of_an_incomplete_value_nothing_is_given_out(header: str) -> None:
    assert read_chunked(header, "session") == ""


def test_a_later_chunk_alone_is_no_session() -> None:
    assert read_chunked("session2=abc", "session") is None


def test_removal_expires_every_chunk_that_is_there() -> None:
    settings = CookieSettings("session", path="/a", domain="example.org")
    browser = Browser()
    browser.take(set_chunked(settings, "x" * 30000, None, https=True))
    lines = expire_chunked(settings, browser.header, https=True)
    assert len(lines) == 8
    assert lines[0] == (
        "session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        "; Path=/a; Domain=example.org; Secure; HttpOnly; SameSite=Lax"
    )
    browser.take(lines)
    assert browser.cookies == {}
    assert len(expire_chunked(settings, None, https=True)) == 1


def test_removal_of_a_cookie_without_chunks_is_one_line() -> None:
    assert expire_cookie(CookieSettings("login"), https=False) == (
        "login=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("session=a", None),
        ("session=a; session2=b; session9=c; authorization=d", None),
        ("session=a;", None),
        (" ; session=a , ", None),
        ("a=1", "a=1"),
        ("a=1; session=x; b=2", "a=1; b=2"),
        ("session=x; a=1", "a=1"),
        ("a=1; session=x", "a=1"),
        ("a=1;session=x;b=2", "a=1;b=2"),
        ("a=1; session=x; session2=y; b=2", "a=1; b=2"),
        ("a=1; session=x; session=y", "a=1"),
        ("a=1; session=x, b=2", "a=1; b=2"),
        ("a=1, session=x; b=2", "a=1; b=2"),
        ("session=x, b=2", "b=2"),
        ("a=1,session=x", "a=1"),
        ("a=1; session =x", "a=1"),
        ("a=1;\xa0session=x", "a=1"),
        ("a=1; session", "a=1"),
        ("session10=b; sessions=c; Session=d", "session10=b; sessions=c; Session=d"),
        ("authorization=x; authorization2=b", "authorization2=b"),
        ('weird="a, b"; x=y,z;; c', 'weird="a, b"; x=y,z;; c'),
    ],
)
def test_the_upstream_gets_every_cookie_but_ours(header: str | None, expected: str | None) -> None:
    assert without_cookies(header, OURS) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["session", "session2", "authorization", "a", "b", "sessionx"]),
            st.text("abc=", max_size=5),
            st.sampled_from(["; ", ";", ", ", ",", ";\t"]),
        )
    )
)
def test_no_gateway_cookie_is_left_and_no_other_is_lost(
    pieces: list[tuple[str, str, str]],
) -> None:
    header = "".join(f"{name}={value}{boundary}" for name, value, boundary in pieces)
    left = without_cookies(header, OURS) or ""
    assert [piece.strip() for piece in left.replace(",", ";").split(";") if piece.strip()] == [
        f"{name}={value}" for name, value, _ in pieces if name in ("a", "b", "sessionx")
    ]


def test_of_more_cookies_than_a_browser_sends_none_goes_on_beside_ours() -> None:
    many = "; ".join(f"a{number}=1" for number in range(PIECES_LIMIT + 2))
    assert without_cookies(many, chunk_names("session")) == many
    assert without_cookies(f"{many}; session=1x", chunk_names("session")) is None


@pytest.mark.parametrize(
    ("start", "piece", "pieces"),
    [("", ";", 200_000), ("", "a;", 100_000), ("session=1x;", ",", 200_000)],
)
def test_a_header_made_of_pieces_costs_no_more_than_its_length(
    start: str, piece: str, pieces: int
) -> None:
    def look_up(header: str) -> None:
        read_chunked(header, "session")
        read_cookie(header, "authorization")
        without_cookies(header, OURS)

    short, long = (start + piece * count for count in (pieces // 4, pieces))
    assert growth(look_up, short, long) < 10
