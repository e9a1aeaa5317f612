import json
import math
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.session.sealing import encode_base64url
from scopegate.session.session import (
    TOUCH_AFTER_S,
    Clock,
    Session,
    Timeouts,
    Tokens,
    begin_session,
    check_clocks,
    clocks_left_s,
    decode_session,
    decode_tokens,
    encode_session,
    encode_tokens,
    unchanged_until_s,
)
from unit.session.examples import NOW_S, TOKENS, a_session, random_source

DEFAULTS = Timeouts()
OFF = Timeouts(0, 0, 0)


def aged(*, created: int = 0, issued: int = 0, used: int = 0) -> Session:
    """Begun with an absolute clock of a day."""
    return a_session(
        created_at_s=NOW_S - created,
        ends_at_s=NOW_S - created + 86400,
        issued_at_s=NOW_S - issued,
        last_used_at_s=NOW_S - used,
    )


@pytest.mark.parametrize(
    ("session", "timeouts", "expired"),
    [
        (aged(), DEFAULTS, None),
        (aged(used=899), DEFAULTS, None),
        (aged(used=900), DEFAULTS, Clock.IDLING),
        (aged(issued=3599), DEFAULTS, None),
        (aged(issued=3600), DEFAULTS, Clock.ROLLING),
        (aged(created=86399), DEFAULTS, None),
        (aged(created=86400), DEFAULTS, Clock.ABSOLUTE),
        (aged(created=86400, issued=3600, used=900), DEFAULTS, Clock.ABSOLUTE),
        (aged(used=10**6), Timeouts(idling_s=0), None),
        (aged(issued=10**6), Timeouts(rolling_s=0), None),
        (aged(created=86399), Timeouts(absolute_s=0), None),
        (aged(created=86400), Timeouts(absolute_s=0), Clock.ABSOLUTE),
        (aged(created=86400), Timeouts(absolute_s=10**6), Clock.ABSOLUTE),
        (aged(created=600), Timeouts(absolute_s=600), Clock.ABSOLUTE),
        (a_session(created_at_s=NOW_S - 10**6, ends_at_s=None), Timeouts(absolute_s=0), None),
        (aged(created=80000, issued=10**8, used=10**8), OFF, None),
        (aged(used=1), Timeouts(idling_s=0.5), Clock.IDLING),
        (aged(created=-5, issued=-5, used=-5), DEFAULTS, None),
    ],
)
def test_a_clock_has_run_out_when_its_time_is_reached(
    session: Session, timeouts: Timeouts, expired: Clock | None
) -> None:
    state = check_clocks(session, timeouts, NOW_S)
    assert state.expired is expired
    if expired:
        assert (state.needs_touch, state.needs_renewal) == (False, False)


@pytest.mark.parametrize(
    ("used", "idling", "needs_touch"),
    [
        (0, 900, False),
        (59, 900, False),
        (60, 900, True),
        (899, 900, True),
        (10**6, 0, False),
        (59, 240, False),
        (29, 120, False),
        (30, 120, True),
        (1, 4, True),
    ],
)
def test_a_use_is_written_down_at_most_once_a_minute(
    used: int, idling: int, needs_touch: bool
) -> None:
    state = check_clocks(aged(used=used), Timeouts(idling_s=idling), NOW_S)
    assert state.needs_touch is needs_touch


@pytest.mark.parametrize(
    ("issued", "rolling", "needs_renewal"),
    [
        (0, 3600, False),
        (2699, 3600, False),
        (2700, 3600, True),
        (3599, 3600, True),
        (10**6, 0, False),
        (7, 10, False),
        (8, 10, True),
    ],
)
def test_the_rolling_clock_asks_for_a_new_cookie_from_three_quarters_on(
    issued: int, rolling: int, needs_renewal: bool
) -> None:
    state = check_clocks(aged(issued=issued), Timeouts(rolling_s=rolling), NOW_S)
    assert state.needs_renewal is needs_renewal


@pytest.mark.parametrize(
    ("session", "timeouts", "left_s"),
    [
        (aged(), DEFAULTS, 900),
        (aged(used=100), DEFAULTS, 800),
        (aged(issued=3500), DEFAULTS, 100),
        (aged(created=86390), DEFAULTS, 10),
        (aged(created=100), Timeouts(0, 0, 1000), 900),
        (aged(), OFF, 86400),
        (aged(created=100), Timeouts(0, 0, 10**6), 86300),
        (a_session(ends_at_s=None), OFF, None),
        (a_session(ends_at_s=None), Timeouts(0, 0, 1000), 1000),
    ],
)
def test_the_clock_that_runs_out_first_says_how_long_a_session_lasts(
    session: Session, timeouts: Timeouts, left_s: int | None
) -> None:
    assert min(clocks_left_s(session, timeouts, NOW_S).values(), default=None) == left_s


def test_touching_and_renewing_move_their_clocks_and_never_the_absolute_one() -> None:
    session = aged(created=80000, issued=3000, used=500)
    touched = session.touched(NOW_S)
    assert touched == replace(session, last_used_at_s=NOW_S)
    renewed = session.renewed(NOW_S)
    assert renewed == replace(
        session, generation=session.generation + 1, issued_at_s=NOW_S, last_used_at_s=NOW_S
    )
    assert renewed.id == session.id
    late = NOW_S + 6400
    assert check_clocks(renewed.renewed(late), DEFAULTS, late).expired is Clock.ABSOLUTE


def test_somebody_who_clicks_every_ten_minutes_stays_in_for_a_day_and_no_longer() -> None:
    session, now_s = a_session(), NOW_S
    while True:
        now_s += 600
        state = check_clocks(session, DEFAULTS, now_s)
        if state.expired:
            break
        session = session.renewed(now_s) if state.needs_renewal else session.touched(now_s)
    assert (state.expired, now_s - NOW_S) == (Clock.ABSOLUTE, 86400)


def test_a_negative_timeout_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="rolling_s"):
        Timeouts(rolling_s=-1)


def test_every_login_gets_an_id_of_its_own_with_enough_randomness() -> None:
    asked: list[int] = []

    def random_bytes(count: int) -> bytes:
        asked.append(count)
        return random_source()(count)

    begin_session(
        subject="s",
        issuer="i",
        client_id="c",
        method="bearer",
        sid=None,
        audience="default",
        tokens=Tokens(),
        absolute_s=0,
        now_s=NOW_S,
        random_bytes=random_bytes,
    )
    assert asked == [24]
    assert a_session(1).id != a_session(2).id


texts = st.text(st.characters(), max_size=20)


def changed(what: bytes, to: bytes) -> bytes:
    """A session as it is written, but for this."""
    data = zlib.decompress(encode_session(a_session(generation=7)))
    assert what in data
    return zlib.compress(data.replace(what, to, 1))


def a_jwt(payload: object, signature: bytes) -> str:
    parts = (b'{"alg":"RS256","kid":"k"}', json.dumps(payload).encode(), signature)
    return ".".join(map(encode_base64url, parts))


parts = st.binary(max_size=20).map(encode_base64url) | st.sampled_from(["", "e30", "e31", "e30="])
tokens = st.lists(texts | parts, max_size=4).map(".".join)


@given(st.none() | tokens, st.none() | tokens, st.none() | tokens)
def test_tokens_come_back_byte_for_byte(
    access: str | None, id_token: str | None, refresh: str | None
) -> None:
    session = a_session(tokens=Tokens(access, 1, id_token, refresh))
    assert decode_session(encode_session(session)) == session


def test_a_session_takes_far_less_than_its_tokens() -> None:
    claims = {
        "iss": "https://idp.example/realms/kong",
        "sub": "a19dd50b-6411-5015-a2f1-eec22dc8dcd2",
        "sid": "8a26466a-5e9f-4a9b-8e0e-b23cf9ba2089",
        "azp": "blog_post",
        "scope": "openid profile email kong_api_access",
        "email": "blog_with_scope@example.com",
        "realm_access": {"roles": ["kong_api_role", "offline_access", "default-roles-kong"]},
    }
    noise = random_source()
    access = a_jwt({"typ": "Bearer", **claims}, noise(256))
    id_token = a_jwt({"typ": "ID", "nonce": noise(16).hex(), **claims}, noise(256))
    session = a_session(tokens=Tokens(access, NOW_S, id_token, None))
    assert len(encode_session(session)) < 0.6 * session.tokens.size


@given(
    texts, st.none() | texts, st.none() | texts, st.none() | st.integers(0, 2**60), st.integers()
)
def test_a_session_comes_back_as_it_was(
    text: str, sid: str | None, token: str | None, expires_at_s: int | None, number: int
) -> None:
    session = a_session(
        subject=text,
        sid=sid,
        generation=number,
        ends_at_s=expires_at_s,
        tokens=Tokens(access=token, access_expires_at_s=expires_at_s, id=sid, refresh=token),
    )
    assert decode_session(encode_session(session)) == session
    assert decode_tokens(encode_tokens(session.tokens)) == session.tokens


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"[]",
        b"[1]",
        b"\xff",
        changed(b"[2,", b"[1,"),
        changed(b'"0b9f"', b"null"),
        changed(b'"0b9f",', b""),
        changed(b",7,", b",true,"),
        changed(b'"the-id-token"', b"5"),
        changed(b'"the-id-token"', b'["a","b",5]'),
        changed(b'"the-id-token"', b'["a","b"]'),
        zlib.decompress(encode_session(a_session())),
        encode_session(a_session())[:-1],
        encode_session(a_session()) + b"x",
        zlib.compress(b"[" + b" " * (1 << 20) + b"]"),
        encode_tokens(TOKENS),
    ],
)
def test_anything_else_is_no_session(data: bytes) -> None:
    assert decode_session(data) is None


def test_no_token_shows_in_a_repr() -> None:
    assert "token" not in repr(a_session()).replace("tokens=Tokens(", "")
    assert a_session().id not in repr(a_session())


def test_a_use_just_before_a_renewal_is_not_written_down() -> None:
    """Its answer might overtake the renewal's."""
    session = a_session(last_used_at_s=NOW_S + 2500)
    for age_s, touched, renewed in ((2639, True, False), (2640, False, False), (2700, True, True)):
        clocks = check_clocks(session, DEFAULTS, NOW_S + age_s)
        assert (clocks.needs_touch, clocks.needs_renewal) == (touched, renewed)


@pytest.mark.parametrize("idling_s", [20, 60, 900])
def test_who_is_at_work_is_never_logged_out_for_idling(idling_s: int) -> None:
    timeouts = Timeouts(idling_s=idling_s, rolling_s=3600, absolute_s=0)
    session = a_session()
    for now_s in range(NOW_S, NOW_S + 8000, idling_s // 4):
        clocks = check_clocks(session, timeouts, now_s)
        assert clocks.expired is None
        if clocks.needs_renewal:
            session = session.renewed(now_s)
        elif clocks.needs_touch:
            session = session.touched(now_s)


@given(
    st.builds(
        Timeouts,
        idling_s=st.sampled_from([0, 2, 40, 900, 100_000]),
        rolling_s=st.sampled_from([0, 3, 60, 3600]),
        absolute_s=st.sampled_from([0, 50, 86400]),
    ),
    st.integers(0, 4000),
    st.integers(0, 4000),
    st.data(),
)
def test_until_it_changes_a_use_writes_nothing_and_every_clock_is_good(
    timeouts: Timeouts, issued: int, used: int, data: st.DataObject
) -> None:
    session = aged(created=5000, issued=max(issued, used), used=min(issued, used))
    until_s = unchanged_until_s(session, timeouts)
    now_s = data.draw(st.integers(NOW_S, NOW_S + 4000))
    clocks = check_clocks(session, timeouts, now_s)
    is_unchanged = clocks.expired is None and not (clocks.needs_touch or clocks.needs_renewal)
    if now_s < until_s:
        assert is_unchanged
    else:
        # Strict, but for the last stretch before a renewal, in which a use is not written down.
        renewal_at_s = session.issued_at_s + timeouts.rolling_s * 3 / 4
        stretch_s = min(TOUCH_AFTER_S, timeouts.idling_s / 4)
        assert not is_unchanged or renewal_at_s - stretch_s <= now_s < renewal_at_s


def test_a_session_without_clocks_never_changes() -> None:
    assert unchanged_until_s(a_session(ends_at_s=None), OFF) == math.inf
