"""Asks control for newer facts than a policy holds, over control's Unix socket.

One question per key and known facts at a time, shared by all requests of this worker; none while
control said to wait. See docs/adr/0002-facts-are-part-of-the-policy.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
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

_Question = tuple[str, str | None]
"""The key of an issuer's request, and the content id of the facts that are known."""


@dataclass(frozen=True, slots=True)
class _Reply:
    facts: Mapping[str, Any] | None
    problem: ReasonCode | None
    not_before_s: float
    detail: str = ""


class FactsClient:
    """The worker's end. Implements the plugins' `FactsPort`."""

    def __init__(self, control_socket: Path, now: Callable[[], float]) -> None:
        self._socket = control_socket
        self._now = now
        self._http: aiohttp.ClientSession | None = None
        self._asking: dict[_Question, asyncio.Task[_Reply]] = {}
        self._replies: dict[_Question, _Reply] = {}

    async def refresh(self, key: str, known_id: str | None) -> Mapping[str, Any] | None:
        """Facts that differ from the known ones, or None.

        None means that what is known is as new as it gets. Raises IdpUnavailable when newer
        facts would be needed and cannot be had: nothing known, control or the issuer gone.
        """
        question = (key, known_id)
        reply = self._replies.get(question)
        if reply is None or self._now() >= reply.not_before_s:
            reply = await self._ask(question)
        if reply.facts is None and (known_id is None or reply.problem is not None):
            # A token that cannot be checked now is no bad token: 503, not 401 (contract §9).
            raise IdpUnavailable(
                reply.problem or Reason.IDP_UNREACHABLE,
                reply.detail or "the issuer's metadata and keys cannot be refreshed now",
            )
        return reply.facts

    async def _ask(self, question: _Question) -> _Reply:
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._put(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        return await asyncio.shield(task)

    async def _put(self, question: _Question) -> _Reply:
        key, have = question
        try:
            async with self._session().post(
                f"http://control/facts/{key}", json={"have": have}
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
            )
        now_s = self._now()
        self._replies = {q: r for q, r in self._replies.items() if r.not_before_s > now_s}
        if reply.facts is None:
            # Facts are not remembered: for a policy that knows newer ones they would bring
            # withdrawn keys back.
            self._replies[question] = reply
        return reply

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._socket)),
                timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT_S),
            )
        return self._http

    async def close(self) -> None:
        """Close the connection to control."""
        if self._http is not None:
            await self._http.close()


def _reason(code: str | None) -> ReasonCode | None:
    """What control names; a control of a newer version may know reasons that this worker lacks."""
    return None if code is None else known_reason(code) or Reason.DISCOVERY_FAILED
