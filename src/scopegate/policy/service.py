"""The ASGI function that Envoy's ext_authz filters ask.

One plain function, no framework: read the question, ask the steps, write the answer. Every
exception and every timeout becomes a refusal with a reason (fail closed).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from scopegate.plugins.access import (
    Body,
    Continue,
    NeedBody,
    Outcome,
    Redirect,
    Refusal,
    Request,
    Respond,
)
from scopegate.policy import exchange, pages
from scopegate.policy.grants import NONE, Grants
from scopegate.policy.journal import Journal
from scopegate.policy.library import PolicyLibrary, PolicyUnusable, PreparedStep
from scopegate.policy.merging import merge
from scopegate.policy.reasons import PolicyReason
from scopegate.policy.time_limit import within

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

UNEXPECTED = "An unexpected error occurred"
_BODY_LIMIT_BYTES = 1 << 20  # Envoy cuts far earlier; this bounds memory if it ever does not


class PolicyService:
    """An ASGI application. `limit_s`: longest time for one decision."""

    def __init__(
        self,
        library: PolicyLibrary,
        journal: Journal,
        limit_s: float,
        grants: Grants,
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self._library = library
        self._journal = journal
        self._limit_s = limit_s
        self._grants = grants
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = self._journal.start()
        answer = await self._answer(started, scope, await _read_body(receive))
        await send(
            {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
        )
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, started: float, scope: Scope, body: bytes | None) -> exchange.Answer:
        policy_id = ""
        request: Request | None = None
        step: PreparedStep | None = None
        try:
            if body is None:
                raise exchange.MalformedQuestion("the body is over the limit")
            question = exchange.read_question(scope, body)
            policy_id, request = question.policy_id, question.request
            step, outcome = await within(self._limit_s, self._decide(policy_id, request))
        except PolicyUnusable as problem:
            outcome = Refusal(
                503, PolicyReason.POLICY_UNUSABLE, str(problem), UNEXPECTED, retry_after_s=1
            )
        except TimeoutError:
            detail = f"no decision within {self._limit_s:g} s"
            outcome = Refusal(503, PolicyReason.POLICY_TIMEOUT, detail, UNEXPECTED, retry_after_s=1)
        except Exception as problem:  # noqa: BLE001 - whatever it is, the answer is no
            self._journal.failed(request, problem)
            detail = f"{type(problem).__name__} while deciding"
            outcome = Refusal(500, PolicyReason.UNEXPECTED_ERROR, detail, UNEXPECTED)
        if isinstance(outcome, NeedBody):
            return exchange.undecided()
        try:
            answer = render(outcome, request, self._grants)
        except ValueError as problem:
            # A value that no header can carry: what was decided cannot be said, so it is a no.
            self._journal.failed(request, problem)
            outcome = Refusal(
                500, PolicyReason.UNEXPECTED_ERROR, "the answer cannot be written", UNEXPECTED
            )
            answer = render(outcome, request, self._grants)
        self._journal.decided(started, policy_id, step, request, outcome)
        return answer

    async def _decide(
        self, policy_id: str, request: Request
    ) -> tuple[PreparedStep | None, Outcome]:
        """The first step that does not continue decides; the changes of all others add up."""
        allowed: Continue | None = None
        step: PreparedStep | None = None
        for step in await self._library.get(policy_id):
            outcome = await step.step.access(request)
            if isinstance(outcome, NeedBody) and request.body_state is not Body.NOT_READ:
                raise RuntimeError("a step asks for a body that it was given")
            if not isinstance(outcome, Continue):
                return step, outcome
            allowed = outcome if allowed is None else merge(allowed, outcome)
        return step, allowed or Continue()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._close()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _read_body(receive: Receive) -> bytes | None:
    """The question's body; None when it is over the limit."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= _BODY_LIMIT_BYTES:
            chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks) if size <= _BODY_LIMIT_BYTES else None


def render(
    outcome: Continue | Refusal | Redirect | Respond, request: Request | None, grants: Grants = NONE
) -> exchange.Answer:
    """The answer that carries an outcome."""
    match outcome:
        case Continue():
            return exchange.let_through(outcome, grants.of(outcome, request))
        case Redirect():
            headers = (("location", outcome.location), *outcome.response_headers)
            return exchange.answer_client(302, "text/plain", b"", headers)
        case Respond():
            return exchange.answer_client(
                outcome.status, outcome.content_type, outcome.body, outcome.response_headers
            )
        case Refusal():
            return _render_refusal(outcome, request)


def _render_refusal(refusal: Refusal, request: Request | None) -> exchange.Answer:
    headers = list(refusal.response_headers)
    if refusal.location is not None:
        return exchange.answer_client(
            302, "text/plain", b"", (("location", refusal.location), *headers)
        )
    if refusal.challenge is not None:
        headers.append(("www-authenticate", refusal.challenge))
    if refusal.retry_after_s is not None:
        headers.append(("retry-after", str(refusal.retry_after_s)))
    request_id = request.request_id if request is not None else ""
    detail = refusal.detail if refusal.show_detail else None
    if request is not None and pages.prefers_html(request.header("accept")):
        body = pages.page(refusal.status, refusal.message, request_id, detail)
        headers += pages.PAGE_HEADERS
        return exchange.answer_client(refusal.status, "text/html; charset=utf-8", body, headers)
    body = pages.json_body(refusal.message, request_id, detail)
    return exchange.answer_client(refusal.status, "application/json; charset=utf-8", body, headers)
