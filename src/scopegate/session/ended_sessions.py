"""Sessions that are over although their cookie still opens.

A session in a cookie cannot be taken back, so its end is remembered until it would have expired:
a copied cookie is dead at once, wherever the shared state reaches. Ids are stored as hashes.
Source: contract openid-connect.md §10, §22 (8).
"""

from __future__ import annotations

import hashlib
import math

from scopegate.session.remembered import Remembered
from scopegate.session.revocations import Revocations
from scopegate.session.sealing import associated
from scopegate.session.session import LATE_ANSWER_S, RENEWED_GRACE_S, Session
from scopegate.session.shared_state import SharedState

FOREVER_S = 10 * 365 * 86400
"""How long an end is remembered where no absolute clock was on when the session began."""
SUPERSEDED_LIMIT_S = 31 * 86400
"""How long a superseded generation is remembered at most."""
_MARGIN_S = 60
_KEYS_BYTES = 500
_TAG_BYTES = 200
_TAG_DIGITS = 32


class EndedSessions:
    """Fails closed: every method raises SharedStateUnavailable, and then nothing is allowed.

    How long something is remembered rests on the session alone: another configuration that takes
    the same cookie may have longer clocks than the one that ended it.
    """

    def __init__(
        self, state: SharedState, revocations: Revocations, remembered: Remembered | None = None
    ) -> None:
        self._state = state
        self._revocations = revocations
        self._remembered = remembered

    async def end(self, session: Session, now_s: int) -> None:
        """End the session in every generation, at once."""
        await self._state.put(_end_key(session), b"", ended_ttl_s(session, now_s))
        await self._publish(_tag(_end_key(session)))

    async def supersede(self, session: Session, now_s: int) -> None:
        """End this generation in ten seconds: the next one was issued."""
        # The first renewal counts; a second one must not put the end off.
        await self._state.put_if_absent(
            _generation_key(session),
            str(now_s + RENEWED_GRACE_S).encode(),
            min(ended_ttl_s(session, now_s), SUPERSEDED_LIMIT_S),
        )
        await self._publish(_tag(_generation_key(session)))

    async def _publish(self, tag: str) -> None:
        """Once, when the state knows it: whoever is asked from then on refuses.

        Who uses an old cookie over and over must not fill the file of revocations: a full one
        begins anew, and that empties all caches. What was published stays so: it can be remembered
        (ADR 37).
        """
        if self._remembered is not None and self._remembered.get((self, tag)):
            return
        await self._revocations.publish([tag])
        if self._remembered is not None:
            self._remembered.put((self, tag), True, _TAG_BYTES)

    async def good_until_s(self, session: Session, now_s: int) -> float | None:
        """Until when nothing that is known ends the session; None: it was ended, or this generation
        of it was superseded long enough ago. Without an end: infinite.

        A cookie that was written just before the renewal may have come to the browser after the
        renewed one, in a slow answer, and have taken its place. So it stays good.
        """
        keys = end_key, generation_key = self._keys(session)
        found = await self._state.get_many(keys)
        if end_key in found:
            return None
        superseded = found.get(generation_key)
        if superseded is None:
            return math.inf
        ends_at_s = int(superseded)
        if session.last_used_at_s >= ends_at_s - RENEWED_GRACE_S - LATE_ANSWER_S:
            return math.inf
        return ends_at_s if now_s < ends_at_s else None

    def revocation_tags(self, session: Session) -> tuple[str, str]:
        """What is published when the session ends, and when this generation is superseded."""
        end_key, generation_key = self._keys(session)
        return _tag(end_key), _tag(generation_key)

    def _keys(self, session: Session) -> tuple[str, str]:
        """Under which the ends of the session and of its generation stand."""
        of = (self, session.id, session.generation)
        keys: tuple[str, str] | None = self._remembered.get(of) if self._remembered else None
        if keys is None:
            keys = _end_key(session), _generation_key(session)
            if self._remembered:
                self._remembered.put(of, keys, _KEYS_BYTES)
        return keys


def ended_ttl_s(session: Session, now_s: int) -> float:
    """Seconds until the last cookie of this session would have expired.

    The absolute clock decides where it was on: nothing extends it, no renewal and no later change
    of a configuration.
    """
    if session.ends_at_s is None:
        return FOREVER_S
    return max(session.ends_at_s - now_s, 0) + _MARGIN_S


def _tag(key: str) -> str:
    # Half of what the store knows; two that are alike would only be asked about once more.
    return key.rpartition(":")[2][:_TAG_DIGITS]


def _end_key(session: Session) -> str:
    return "ended:" + _hash(session.id)


def _generation_key(session: Session) -> str:
    return "superseded:" + _hash(session.id, str(session.generation))


def _hash(*parts: str) -> str:
    return hashlib.sha256(associated(*parts)).hexdigest()
