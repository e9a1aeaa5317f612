"""What must happen once, whoever asks: the refresh of a session's tokens, the use of a state.

A flight: the first asker takes a lease in the shared state, asks the identity provider, and leaves
the outcome, sealed, for those who come late. In a process all askers wait for one task; other
processes look for the outcome every few milliseconds. The holder renews its lease while it works,
so that a dead one is noticed soon and a slow one never.

A slow answer may bring a browser back to tokens that a refresh has replaced. So the newest tokens
of a session are kept for as long as such a cookie opens: nobody has to spend a spent token.
Source: contract openid-connect.md §12, §22 (5).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from scopegate.reason_code import ReasonCode, known_reason
from scopegate.session.reasons import SessionReason
from scopegate.session.sealing import (
    KeyRing,
    Purpose,
    RandomBytes,
    TooLargeToSeal,
    associated,
)
from scopegate.session.session import (
    LATE_ANSWER_S,
    Session,
    Timeouts,
    Tokens,
    decode_tokens,
    encode_tokens,
    unused_life_s,
)
from scopegate.session.shared_state import SharedState, SharedStateUnavailable

RefreshWork = Callable[[], Awaitable[Tokens]]
"""Asks the identity provider and checks what it said. Raises RefreshRefused, RefreshUnavailable."""


class RefreshFailed(Exception):
    """No new tokens. `detail`: a sentence for the log, no credential."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class RefreshRefused(RefreshFailed):
    """The provider said no, or what it sent must not be used: these tokens are spent."""


class RefreshUnavailable(RefreshFailed):
    """There was no answer: the same refresh may succeed later. 503, never a login."""


@dataclass(frozen=True, slots=True)
class FlightTimes:
    """How long things take, in seconds.

    work_s          for the work; above all that a slow provider may take
    lease_s         a holder that is silent for so long is dead
    beat_s          how often a holder renews its lease
    poll_s          how often another process looks for the outcome
    keep_s          how long the outcome is kept for requests that bring the former cookie
    unavailable_s   how long a missing answer is passed on before the provider is asked again
    """

    work_s: float = 30.0
    lease_s: float = 5.0
    beat_s: float = 1.0
    poll_s: float = 0.05
    keep_s: float = 60.0
    unavailable_s: float = 2.0

    @property
    def wait_s(self) -> float:
        """A waiter outlasts a holder that dies and the next one at its slowest."""
        return self.work_s + 2 * self.lease_s


class FlightsUnderWay:
    """All refreshes of this process, whoever asked. They outlive their askers and policies."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Tokens]] = {}

    def join(self, key: str, begin: Callable[[], Coroutine[Any, Any, Tokens]]) -> Awaitable[Tokens]:
        """The tokens of the refresh of this key, which `begin` begins if there is none."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(begin())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._land(key, done))
        return asyncio.shield(task)

    async def drain(self, limit_s: float) -> None:
        """Wait for all that are under way: before the process leaves, or new tokens get lost."""
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=limit_s)

    def _land(self, key: str, task: asyncio.Task[Tokens]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen, even if every asker went away


class RefreshFlight:
    """Refreshes a session's tokens once over all workers that share the state."""

    def __init__(
        self,
        *,
        state: SharedState,
        ring: KeyRing,
        random_bytes: RandomBytes,
        timeouts: Timeouts,
        under_way: FlightsUnderWay,
        times: FlightTimes = FlightTimes(),
    ) -> None:
        """`ring` and `timeouts`: those of the sessions; the outcome is sealed with the ring."""
        self._state = state
        self._ring = ring
        self._newest_ttl_s = (unused_life_s(timeouts) or _NEWEST_LIMIT_S) + LATE_ANSWER_S
        self._random_bytes = random_bytes
        self._times = times
        self._under_way = under_way

    async def refresh(self, session: Session, work: RefreshWork, *, now_s: int) -> Tokens:
        """The tokens that replace the session's. `work` runs for one asker only.

        Put them into the asker's own session: the clocks of two askers may differ. The work goes
        on when an asker goes away, since a rotated refresh token must not get lost.
        Raises RefreshRefused, RefreshUnavailable, SharedStateUnavailable.
        """
        key = _flight_key(session)
        newest_key = _newest_key(session)
        return await self._under_way.join(key, lambda: self._fly(key, newest_key, work, now_s))

    async def newer(self, session: Session, *, now_s: int) -> Tokens | None:
        """Tokens that a refresh has put in place of the session's, where its cookie missed that.

        Which are newer is told by when they end: a store that missed a refresh must not bring
        spent tokens back. Raises SharedStateUnavailable.
        """
        key = _newest_key(session)
        sealed = await self._state.get(key)
        if sealed is None:
            return None
        tokens = self._tokens_in(self._unseal(key, sealed, now_s))
        ends_at_s = session.tokens.access_expires_at_s
        if tokens is None or ends_at_s is None:
            return None
        is_newer = tokens.access_expires_at_s is None or tokens.access_expires_at_s > ends_at_s
        return tokens if is_newer else None

    async def _fly(self, key: str, newest_key: str, work: RefreshWork, now_s: int) -> Tokens:
        holder = self._random_bytes(16)
        try:
            async with asyncio.timeout(self._times.wait_s):
                outcome = await self._outcome_or_lease(key, holder)
        except TimeoutError:
            raise RefreshUnavailable(
                SessionReason.REFRESH_WAIT_EXCEEDED,
                f"another worker had no outcome in {self._times.wait_s} s",
            ) from None
        if outcome is not None:
            return self._read_outcome(key, outcome, now_s)
        beat = asyncio.create_task(self._beat(key, holder))
        try:
            return await self._work(key, newest_key, work)
        finally:
            beat.cancel()
            with suppress(SharedStateUnavailable):
                if await self._state.get(_lease_key(key)) == holder:
                    await self._state.delete(_lease_key(key))

    async def _outcome_or_lease(self, key: str, holder: bytes) -> bytes | None:
        """The outcome of somebody's work, or None: the lease is ours and there is none yet."""
        while True:
            outcome = await self._state.get(key)
            if outcome is not None:
                return outcome
            if await self._state.get(_lease_key(key)) is None and await self._state.put_if_absent(
                _lease_key(key), holder, self._times.lease_s
            ):
                # The former holder may have finished between our two looks.
                outcome = await self._state.get(key)
                if outcome is not None:
                    await self._state.delete(_lease_key(key))
                return outcome
            await asyncio.sleep(self._times.poll_s)

    async def _work(self, key: str, newest_key: str, work: RefreshWork) -> Tokens:
        """Do the work and leave its outcome. A failure never overwrites an outcome."""
        try:
            async with asyncio.timeout(self._times.work_s):
                tokens = await work()
        except RefreshFailed as failure:
            await self._leave_failure(key, failure)
            raise
        except TimeoutError:
            too_long = RefreshUnavailable(
                SessionReason.REFRESH_TOOK_TOO_LONG, f"no answer in {self._times.work_s} s"
            )
            await self._leave_failure(key, too_long)
            raise too_long from None
        except Exception:
            await self._leave_failure(
                key,
                RefreshUnavailable(
                    SessionReason.REFRESH_FAILED, "the refresh failed in another worker"
                ),
            )
            raise
        outcome = _TOKENS + encode_tokens(tokens)
        # The former tokens are spent: without the store this worker at least has the new ones.
        # What is too large to seal is too large for a cookie, and refused there.
        with suppress(SharedStateUnavailable, TooLargeToSeal):
            await self._state.put(newest_key, self._seal(newest_key, outcome), self._newest_ttl_s)
            await self._state.put(key, self._seal(key, outcome), self._times.keep_s)
        return tokens

    async def _leave_failure(self, key: str, failure: RefreshFailed) -> None:
        is_final = isinstance(failure, RefreshRefused)
        mark = (_REFUSED if is_final else _UNAVAILABLE) + json.dumps(
            [failure.reason, failure.detail]
        ).encode()
        ttl_s = self._times.keep_s if is_final else self._times.unavailable_s
        with suppress(SharedStateUnavailable):
            await self._state.put_if_absent(key, self._seal(key, mark), ttl_s)

    def _seal(self, key: str, outcome: bytes) -> bytes:
        return self._ring.seal(
            outcome, Purpose.SHARED, associated(key), random_bytes=self._random_bytes
        ).encode()

    def _read_outcome(self, key: str, sealed: bytes, now_s: int) -> Tokens:
        outcome = self._unseal(key, sealed, now_s)
        if outcome is None:
            # A worker with a newer ring; to refresh again would spend a spent token.
            raise RefreshUnavailable(
                SessionReason.REFRESH_OUTCOME_UNREADABLE, "sealed with another ring"
            )
        kind, content = outcome[:1], outcome[1:]
        if kind == _TOKENS:
            tokens = self._tokens_in(outcome)
            if tokens is None:
                raise RefreshUnavailable(
                    SessionReason.REFRESH_OUTCOME_UNREADABLE, "written by another version"
                )
            return tokens
        code, detail = json.loads(content)
        reason = known_reason(code) or SessionReason.REFRESH_FAILED
        raise (RefreshRefused if kind == _REFUSED else RefreshUnavailable)(reason, detail)

    def _unseal(self, key: str, sealed: bytes, now_s: int) -> bytes | None:
        return self._ring.unseal(
            sealed.decode("ascii", "replace"), Purpose.SHARED, associated(key), now_s=now_s
        )

    @staticmethod
    def _tokens_in(outcome: bytes | None) -> Tokens | None:
        return decode_tokens(outcome[1:]) if outcome and outcome[:1] == _TOKENS else None

    async def _beat(self, key: str, holder: bytes) -> None:
        """Renew the lease for as long as it is ours."""
        while True:
            await asyncio.sleep(self._times.beat_s)
            with suppress(SharedStateUnavailable):
                if await self._state.get(_lease_key(key)) != holder:
                    return
                await self._state.put(_lease_key(key), holder, self._times.lease_s)


async def claim_once(state: SharedState, state_id: str, ttl_s: float) -> bool:
    """Whether this is the first use of a login state. Raises SharedStateUnavailable.

    `ttl_s`: for as long as the state would still match (Matched.claim_ttl_s).
    """
    key = "claimed:" + hashlib.sha256(associated(state_id)).hexdigest()
    return await state.put_if_absent(key, b"", ttl_s)


_NEWEST_LIMIT_S = 30 * 86400
"""How long newest tokens are kept where no clock ends a session."""

_TOKENS = b"T"
_REFUSED = b"R"
_UNAVAILABLE = b"U"


def _flight_key(session: Session) -> str:
    """One refresh: the session and the tokens that are to be replaced, hashed.

    With the tokens, or the next refresh of the session would find the outcome of this one.
    """
    tokens = session.tokens
    parts = associated(session.id, tokens.access or "", tokens.refresh or "")
    return "refresh:" + hashlib.sha256(parts).hexdigest()


def _newest_key(session: Session) -> str:
    return "newest:" + hashlib.sha256(associated(session.id)).hexdigest()


def _lease_key(key: str) -> str:
    return "lease:" + key
