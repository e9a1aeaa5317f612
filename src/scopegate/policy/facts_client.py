"""Asks control for newer facts than a policy holds, over control's Unix socket.

One question per issuer and known facts at a time, whatever key ids the requests of this worker
present; none while control said to wait. See docs/adr/0002-facts-are-part-of-the-policy.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.reasons import Reason
from scopegate.policy.reasons import PolicyReason
from scopegate.reason_code import ReasonCode, known_reason

ANSWER_LIMIT_S = 4.0
"""Control waits up to three seconds for a fetch of its own; a second more for all else."""
_CONTROL_GONE_RETRY_S = 1.0
_SUSPECT_PAUSE_S = 1.0

_Question = tuple[str, str | None]
"""The key of an issuer's request, and the content id of the facts that are known."""


@dataclass(frozen=True, slots=True)
class _Reply:
    """`one_key_id`: without facts, it says nothing about other key ids."""

    facts: Mapping[str, Any] | None
    problem: ReasonCode | None
    not_before_s: float
    detail: str = ""
    one_key_id: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    key_id: str | None
    task: asyncio.Task[_Reply]


class FactsClient:
    """The worker's end. Implements the plugins' `FactsPort`."""

    def __init__(self, control_socket: Path, now: Callable[[], float]) -> None:
        self._socket = control_socket
        self._now = now
        self._http: aiohttp.ClientSession | None = None
        self._asking: dict[_Question, _Asking] = {}
        self._replies: dict[_Question, _Reply] = {}
        self._replies_for_one: dict[tuple[_Question, str | None], _Reply] = {}
        self._suspected: dict[str, asyncio.Task[None]] = {}

    async def refresh(
        self, key: str, known_id: str | None, key_id: str | None = None
    ) -> Mapping[str, Any] | None:
        """Facts that differ from the known ones, or None.

        None means that what is known is as new as it gets. Raises IdpUnavailable when newer
        facts would be needed and cannot be had: nothing known, control or the issuer gone.
        """
        reply = await self._reply((key, known_id), key_id)
        if reply.facts is None and (known_id is None or reply.problem is not None):
            # A token that cannot be checked now is no bad token: 503, not 401 (contract §9).
            raise IdpUnavailable(
                reply.problem or Reason.IDP_UNREACHABLE,
                reply.detail or "the issuer's metadata and keys cannot be refreshed now",
            )
        return reply.facts

    async def _reply(self, question: _Question, key_id: str | None) -> _Reply:
        while True:
            kept = self._kept(question, key_id)
            if kept is not None:
                return kept
            asking = self._asking.get(question)
            if asking is None:
                asking = self._ask(question, key_id)
            reply = await asyncio.shield(asking.task)
            if asking.key_id == key_id or not reply.one_key_id:
                return reply

    def _kept(self, question: _Question, key_id: str | None) -> _Reply | None:
        """What control answered a moment ago, while it said to wait."""
        for reply in (self._replies.get(question), self._replies_for_one.get((question, key_id))):
            if reply is not None and self._now() < reply.not_before_s:
                return reply
        return None

    def _ask(self, question: _Question, key_id: str | None) -> _Asking:
        asking = _Asking(key_id, asyncio.create_task(self._ask_control(question, key_id)))
        self._asking[question] = asking
        return asking

    async def _ask_control(self, question: _Question, key_id: str | None) -> _Reply:
        try:
            return await self._put(question, key_id)
        finally:
            # Here, and not once the task is done: to wait for one that is done yields to nobody, so
            # whoever found it would go round in `_reply` for ever.
            del self._asking[question]

    async def _put(self, question: _Question, key_id: str | None) -> _Reply:
        key, have = question
        try:
            async with self._session().post(
                f"http://control/facts/{key}", json={"have": have, "key_id": key_id}
            ) as answer:
                answer.raise_for_status()
                document = await answer.json()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            reply = _Reply(
                None,
                PolicyReason.CONTROL_UNREACHABLE,
                self._now() + _CONTROL_GONE_RETRY_S,
                "the issuer's metadata and keys are needed anew, and control does not answer",
            )
        else:
            not_before_s = self._now() + float(document["retry_in_s"])
            reply = _Reply(
                document["facts"],
                _reason(document["problem"]),
                not_before_s,
                document["detail"],
                document["one_key_id"],
            )
        self._keep(question, key_id, reply)
        return reply

    def _keep(self, question: _Question, key_id: str | None, reply: _Reply) -> None:
        """Only that there is nothing: for a policy that knows newer facts than these, facts that
        were kept would bring withdrawn keys back."""
        now_s = self._now()
        self._replies = {q: r for q, r in self._replies.items() if r.not_before_s > now_s}
        self._replies_for_one = {
            q: r for q, r in self._replies_for_one.items() if r.not_before_s > now_s
        }
        if reply.facts is not None:
            return
        if reply.one_key_id:
            self._replies_for_one[question, key_id] = reply
        else:
            self._replies[question] = reply

    def suspect(self, key: str) -> None:
        """Tell control that a call to this issuer's token endpoint failed, once a second at most.

        Nothing is lost with it: control probes by itself.
        """
        if key not in self._suspected:
            task = asyncio.create_task(self._tell(key))
            self._suspected[key] = task
            task.add_done_callback(lambda _: self._suspected.pop(key, None))

    async def _tell(self, key: str) -> None:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session().post(f"http://control/suspects/{key}"):
                pass
        await asyncio.sleep(_SUSPECT_PAUSE_S)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket)),
                timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT_S),
            )
        return self._http

    async def close(self) -> None:
        """Close the connection to control."""
        for task in self._suspected.values():
            task.cancel()
        if self._http is not None:
            await self._http.close()


def _reason(code: str | None) -> ReasonCode | None:
    """What control names; a control of a newer version may know reasons that this worker lacks."""
    return None if code is None else known_reason(code) or Reason.DISCOVERY_FAILED
