"""The ASGI function that the proxy filter asks: `POST /check` for decisions, `POST /hits` with the
uses of cached ones (docs/check-protocol.md).

One plain function, no framework. Every exception and every timeout becomes a refusal with a reason
(fail closed).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.plugins.access import Body, Continue, NeedBody, Outcome, Refusal, Request
from scopegate.policy import check_response
from scopegate.policy.caching import Caching
from scopegate.policy.check_request import MalformedMessage, read_check_request, read_hits
from scopegate.policy.client_answer import render
from scopegate.policy.journal import Journal
from scopegate.policy.library import PolicyLibrary, PolicyUnusable, PreparedStep
from scopegate.policy.merging import merge
from scopegate.policy.reasons import PolicyReason
from scopegate.policy.time_limit import within
from scopegate.session.revocations import collect

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UNEXPECTED = "An unexpected error occurred"
MESSAGE_LIMIT_BYTES = 4 << 20
"""Above what Envoy's limits for headers and our limit for bodies allow together; this one bounds
memory if they ever fail."""

_CONTENT_TYPE = (b"content-type", check_response.CONTENT_TYPE.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by which step, under which cache profile."""

    outcome: Outcome
    step: PreparedStep | None = None
    profile: str | None = None


class PolicyService:
    """An ASGI application. `limit_s`: longest time for one decision."""

    def __init__(
        self,
        library: PolicyLibrary,
        journal: Journal,
        limit_s: float,
        caching: Caching,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._library = library
        self._journal = journal
        self._limit_s = limit_s
        self._caching = caching
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._journal.start()
        status, body = 200, b""
        path = scope["path"] if scope["method"] == "POST" else None
        if path == "/check":
            body = await self._check(started, receive)
        elif path == "/hits":
            status = await self._count(receive)
        else:
            status = 404
        length = (b"content-length", b"%d" % len(body))
        await send(
            {"type": "http.response.start", "status": status, "headers": (_CONTENT_TYPE, length)}
        )
        await send({"type": "http.response.body", "body": body})

    async def _check(self, started: float, receive: Receive) -> bytes:
        """The check response to a check request."""
        policy_id = ""
        request: Request | None = None
        revoked = collect()
        try:
            policy_id, request = read_check_request(await _read_body(receive))
            decision = await within(self._limit_s, self._decide(policy_id, request))
        except PolicyUnusable as problem:
            decision = _unavailable(PolicyReason.POLICY_UNUSABLE, str(problem))
        except TimeoutError:
            detail = f"no decision within {self._limit_s:g} s"
            decision = _unavailable(PolicyReason.POLICY_TIMEOUT, detail)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the request is refused
            self._journal.failed(request, problem)
            decision = _failed(f"{type(problem).__name__} while deciding")
        try:
            response = self._response(decision, request, revoked)
        except ValueError as problem:
            # What was decided cannot be written into a response, so the request is refused.
            self._journal.failed(request, problem)
            decision = _failed("the response cannot be written")
            response = self._response(decision, request, revoked)
        self._journal.decided(started, policy_id, decision.step, request, decision.outcome)
        return response

    async def _decide(self, policy_id: str, request: Request) -> Decision:
        """The first step that does not continue decides; the changes of all others add up."""
        policy = await self._library.get(policy_id)
        allowed: Continue | None = None
        step: PreparedStep | None = None
        for step in policy.steps:
            outcome = await step.step.access(request)
            if isinstance(outcome, NeedBody) and request.body_state is not Body.NOT_READ:
                raise RuntimeError("a step asks for a body that it was given")
            if not isinstance(outcome, Continue):
                return Decision(outcome, step)
            allowed = outcome if allowed is None else merge(allowed, outcome)
        return Decision(allowed or Continue(), step, policy.profile)

    def _response(
        self, decision: Decision, request: Request | None, revoked: Sequence[str]
    ) -> bytes:
        """The message that carries a decision. Raises ValueError."""
        outcome = decision.outcome
        match outcome:
            case Continue():
                profile, step = decision.profile, decision.step
                until_s = None
                if profile is not None and request is not None:
                    until_s = self._caching.until_s(outcome, request)
                return check_response.allow(
                    outcome,
                    revoked,
                    profile=profile,
                    cache_until_s=until_s,
                    plugin_id=step.plugin_id if step else "",
                )
            case NeedBody():
                return check_response.want_body(revoked)
            case _:
                return check_response.answer(render(outcome, request), outcome.reason, revoked)

    async def _count(self, receive: Receive) -> int:
        """Uses of cached decisions are decisions, too. The status of the answer."""
        try:
            hits = read_hits(await _read_body(receive))
        except MalformedMessage:
            return 400
        for count, plugin_id, reason in hits:
            self._journal.cached(count, plugin_id, reason)
        return 200

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _unavailable(reason: PolicyReason, detail: str) -> Decision:
    return Decision(Refusal(503, reason, detail, UNEXPECTED, retry_after_s=1))


def _failed(detail: str) -> Decision:
    return Decision(Refusal(500, PolicyReason.UNEXPECTED_ERROR, detail, UNEXPECTED))


async def _read_body(receive: Receive) -> bytes:
    """Raises MalformedMessage for one over the limit."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MESSAGE_LIMIT_BYTES:
            raise MalformedMessage("the message is over the limit")
        more = message.get("more_body", False)
    return body
