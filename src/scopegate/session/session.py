"""A session: what it holds, how it is written down, and its three clocks.

Source: contract openid-connect.md §10. All times are unix seconds.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, cast

from scopegate.session.packing import pack, put_together, take_apart, unpack
from scopegate.session.reasons import SessionReason
from scopegate.session.sealing import RandomBytes, encode_base64url

TOUCH_AFTER_S = 60
"""`last_used_at_s` is written again at most this often, or once in a quarter of the idling timeout
where that is less (`check_clocks`)."""
RENEWED_GRACE_S = 10
"""How long the generation before stays good, so that requests under way survive."""
LATE_ANSWER_S = 60
"""How long an answer with a cookie may be on its way: the upstream says when it goes out."""

_FORMAT = 2
_ID_BYTES = 24


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the identity provider issued. `access_expires_at_s` None: it did not say."""

    access: str | None = field(default=None, repr=False)
    access_expires_at_s: int | None = None
    id: str | None = field(default=None, repr=False)
    refresh: str | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Characters of all tokens."""
        return sum(len(each or "") for each in (self.access, self.id, self.refresh))


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in. Claims are not stored: they are in the tokens.

    id               one for the whole life of the session, however often it is issued anew
    generation       how often the rolling clock issued it anew
    subject, issuer  who it is: `sub` and `iss` of the token that began it
    client_id        which of our clients logged in
    method           the authentication method that began it (`authorization_code`, `bearer` …)
    sid              the provider's own name of its session, for logout
    audience         whom the session is for (`session_audience`)
    created_at_s     the login: absolute clock
    ends_at_s        when the absolute clock of whoever began it runs out; None: it was off
    issued_at_s      this generation: rolling clock
    last_used_at_s   when a use was last written down, see TOUCH_AFTER_S: idling clock
    """

    id: str = field(repr=False)
    generation: int
    subject: str
    issuer: str
    client_id: str
    method: str
    sid: str | None = field(repr=False)
    audience: str
    created_at_s: int
    ends_at_s: int | None
    issued_at_s: int
    last_used_at_s: int
    tokens: Tokens

    def touched(self, now_s: int) -> Session:
        """The same, used now."""
        return replace(self, last_used_at_s=now_s)

    def renewed(self, now_s: int) -> Session:
        """The next generation, issued and used now. The one before is to be superseded."""
        return replace(
            self, generation=self.generation + 1, issued_at_s=now_s, last_used_at_s=now_s
        )


def begin_session(
    *,
    subject: str,
    issuer: str,
    client_id: str,
    method: str,
    sid: str | None,
    audience: str,
    tokens: Tokens,
    absolute_s: float,
    now_s: int,
    random_bytes: RandomBytes,
) -> Session:
    """A new session with a new id: a login never goes on with the id that was there before.

    `absolute_s`: its absolute timeout; 0: off.
    """
    return Session(
        id=encode_base64url(random_bytes(_ID_BYTES)),
        generation=0,
        subject=subject,
        issuer=issuer,
        client_id=client_id,
        method=method,
        sid=sid,
        audience=audience,
        created_at_s=now_s,
        ends_at_s=int(now_s + absolute_s) if absolute_s else None,
        issued_at_s=now_s,
        last_used_at_s=now_s,
        tokens=tokens,
    )


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The three clocks in seconds; 0 switches one off. Raises ValueError for less."""

    idling_s: float = 900
    rolling_s: float = 3600
    absolute_s: float = 86400

    def __post_init__(self) -> None:
        for clock in fields(self):
            if getattr(self, clock.name) < 0:
                raise ValueError(f"{clock.name}: must be 0 (off) or more seconds")


class Clock(Enum):
    """The clocks of a session; the value is the reason when one has run out."""

    ABSOLUTE = SessionReason.SESSION_ABSOLUTE_TIMEOUT
    ROLLING = SessionReason.SESSION_ROLLING_TIMEOUT
    IDLING = SessionReason.SESSION_IDLING_TIMEOUT


@dataclass(frozen=True, slots=True)
class ClockState:
    """What the clocks say.

    expired         the clock that ran out, or None
    needs_touch     write it again with the time of this use
    needs_renewal   issue the next generation (which touches it as well)
    """

    expired: Clock | None
    needs_touch: bool
    needs_renewal: bool


def check_clocks(session: Session, timeouts: Timeouts, now_s: int) -> ClockState:
    """What the three clocks say of a session that is being used now.

    A clock has run out when its time is reached. A use is written down at most once a minute, or
    once in a quarter of an idling timeout below four minutes: there a minute would log people out
    who are at work. In the last such stretch before a renewal it is not: the answer might overtake
    the renewal's, and bring the generation back that is about to end.
    Source: contract openid-connect.md §10.
    """
    for clock, left_s in _clocks_left_s(session, timeouts, now_s):
        if left_s <= 0:
            return ClockState(expired=clock, needs_touch=False, needs_renewal=False)
    touch_after_s = min(TOUCH_AFTER_S, timeouts.idling_s / 4)
    is_unused = timeouts.idling_s > 0 and now_s - session.last_used_at_s >= touch_after_s
    renewal_in_s = session.issued_at_s + timeouts.rolling_s * 3 / 4 - now_s
    needs_renewal = timeouts.rolling_s > 0 and renewal_in_s <= 0
    renews_soon = timeouts.rolling_s > 0 and 0 < renewal_in_s <= touch_after_s
    return ClockState(
        expired=None,
        needs_touch=is_unused and not renews_soon,
        needs_renewal=needs_renewal,
    )


def clocks_left_s(session: Session, timeouts: Timeouts, now_s: int) -> dict[Clock, float]:
    """Seconds until each clock that is on runs out; 0 or less when it has.

    The absolute clock that was on when the session began stays on: several configurations may take
    one cookie, and how long it can open must not rest on who asks.
    """
    return dict(_clocks_left_s(session, timeouts, now_s))


def _clocks_left_s(session: Session, timeouts: Timeouts, now_s: int) -> list[tuple[Clock, float]]:
    left_s: list[tuple[Clock, float]] = []
    ends_at_s: float | None = session.ends_at_s
    if timeouts.absolute_s:
        absolute_s = session.created_at_s + timeouts.absolute_s
        ends_at_s = absolute_s if ends_at_s is None else min(absolute_s, ends_at_s)
    if ends_at_s is not None:
        left_s.append((Clock.ABSOLUTE, ends_at_s - now_s))
    if timeouts.rolling_s:
        left_s.append((Clock.ROLLING, session.issued_at_s + timeouts.rolling_s - now_s))
    if timeouts.idling_s:
        left_s.append((Clock.IDLING, session.last_used_at_s + timeouts.idling_s - now_s))
    return left_s


def unchanged_until_s(session: Session, timeouts: Timeouts) -> float:
    """Unix seconds until which a use of this session writes nothing and every clock is good.

    The first of: a clock runs out, the renewal is due, the use is to be written down.
    """
    touch_after_s = min(TOUCH_AFTER_S, timeouts.idling_s / 4)
    touch_at_s = session.last_used_at_s + touch_after_s
    renewal_at_s = session.issued_at_s + timeouts.rolling_s * 3 / 4
    renews_soon = timeouts.rolling_s > 0 and touch_at_s >= renewal_at_s - touch_after_s
    if timeouts.idling_s > 0 and not renews_soon:
        return min(good_until_s(session, timeouts), touch_at_s)
    return good_until_s(session, timeouts)


def good_until_s(session: Session, timeouts: Timeouts) -> float:
    """Unix seconds until which every clock is good and no renewal is due."""
    now_s = session.last_used_at_s
    ends_s = [now_s + left_s for _, left_s in _clocks_left_s(session, timeouts, now_s)]
    if timeouts.rolling_s > 0:
        ends_s.append(session.issued_at_s + timeouts.rolling_s * 3 / 4)
    return min(ends_s, default=math.inf)


def unused_life_s(timeouts: Timeouts) -> float | None:
    """How long a cookie opens after it was written, if it is not used; None: for ever."""
    clocks = (timeouts.idling_s, timeouts.rolling_s, timeouts.absolute_s)
    return min((limit_s for limit_s in clocks if limit_s), default=None)


def encode_tokens(tokens: Tokens) -> bytes:
    """Tokens as compact JSON, to be sealed."""
    return _dump(_values(tokens))


def decode_tokens(data: bytes) -> Tokens | None:
    """Tokens that `encode_tokens` wrote, or None for anything else."""
    return _tokens(_load(data))


def encode_session(session: Session) -> bytes:
    """A session as packed JSON: a format number, then its fields in order.

    Raises TooLargeToSeal.
    """
    *plain, tokens = _values(session)
    apart = [take_apart(each) if isinstance(each, str) else each for each in _values(tokens)]
    return pack(_dump([_FORMAT, *plain, apart]))


def decode_session(data: bytes) -> Session | None:
    """A session that `encode_session` wrote, or None for anything else (another format …)."""
    unpacked = unpack(data)
    values = None if unpacked is None else _load(unpacked)
    if not isinstance(values, list) or len(values) != 1 + len(fields(Session)):
        return None
    format_number, *plain, apart = values
    tokens = _tokens([put_together(each) for each in apart] if isinstance(apart, list) else apart)
    if format_number != _FORMAT or tokens is None or not _have_types(plain, _SESSION_TYPES):
        return None
    return Session(*[*plain, tokens])


_Types = tuple[type, ...]
_TEXT: _Types = (str,)
_TEXT_OR_NONE: _Types = (str, type(None))
_NUMBER: _Types = (int,)
_NUMBER_OR_NONE: _Types = (int, type(None))
_TOKEN_TYPES = (_TEXT_OR_NONE, _NUMBER_OR_NONE, _TEXT_OR_NONE, _TEXT_OR_NONE)
_SESSION_TYPES = (
    _TEXT,  # id
    _NUMBER,  # generation
    *(_TEXT,) * 4,  # subject, issuer, client_id, method
    _TEXT_OR_NONE,  # sid
    _TEXT,  # audience
    _NUMBER,  # created
    _NUMBER_OR_NONE,  # ends
    *(_NUMBER,) * 2,  # issued, last used
)


def _values(data: Session | Tokens) -> list[Any]:
    return [getattr(data, each.name) for each in fields(data)]


def _tokens(values: object) -> Tokens | None:
    if isinstance(values, list) and _have_types(values, _TOKEN_TYPES):
        return Tokens(*values)
    return None


def _have_types(values: list[object], types: tuple[_Types, ...]) -> bool:
    return len(values) == len(types) and all(
        type(value) in allowed for value, allowed in zip(values, types, strict=True)
    )


def _dump(values: object) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def _load(data: bytes) -> object:
    try:
        return cast(object, json.loads(data))
    except ValueError:
        return None
