"""What the client gets instead of the upstream's response."""

from __future__ import annotations

from dataclasses import dataclass, field

from scopegate.plugins.access import Header, Redirect, Refusal, Request, Respond
from scopegate.policy import pages


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """An HTTP response."""

    status: int
    headers: tuple[Header, ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def render(outcome: Redirect | Respond | Refusal, request: Request | None) -> ClientAnswer:
    """The answer that says an outcome; it is never stored. `request` is None for one that could not
    be read."""
    headers = (("cache-control", "no-store"), *outcome.response_headers)
    match outcome:
        case Respond():
            content_type = ("content-type", outcome.content_type)
            return ClientAnswer(outcome.status, (*headers, content_type), outcome.body)
        case Redirect() | Refusal(location=str()):
            return ClientAnswer(302, (*headers, ("location", outcome.location or "")))
        case Refusal():
            return _refused(outcome, request, headers)


def _refused(
    refusal: Refusal, request: Request | None, headers: tuple[Header, ...]
) -> ClientAnswer:
    if refusal.challenge is not None:
        headers += (("www-authenticate", refusal.challenge),)
    if refusal.retry_after_s is not None:
        headers += (("retry-after", str(refusal.retry_after_s)),)
    request_id = request.request_id if request is not None else ""
    detail = refusal.detail if refusal.show_detail else None
    if request is not None and pages.prefers_html(request.header("accept")):
        headers += (("content-type", "text/html; charset=utf-8"), *pages.PAGE_HEADERS)
        body = pages.page(refusal.status, refusal.message, request_id, detail, refusal.sign_in)
    else:
        headers += (("content-type", "application/json; charset=utf-8"),)
        body = pages.json_body(refusal.message, request_id, detail)
    return ClientAnswer(refusal.status, headers, body)
