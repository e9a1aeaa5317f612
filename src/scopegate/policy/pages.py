"""What a refused client reads: a plain page for people, Kong's JSON for programs.

Neither echoes anything of the request but the request id, which Envoy made, and the link of a page
that says to sign in and send a form again. With a plugin's `display_errors` both say the refusal's
detail as well, and that can quote the request.
"""

from __future__ import annotations

import json
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from scopegate.plugins.access import Header

_HEADINGS = {
    401: ("Sign-in needed", "We could not sign you in. Please try again."),
    403: ("No access", "You are signed in, but this page is not open to your account."),
    500: ("Something went wrong", "This is our fault, not yours. Please try again later."),
    503: ("Not available right now", "A part that we rely on does not answer. Try again shortly."),
}
_SEND_AGAIN = (
    "Sign in, then send it again",
    "You are not signed in, so what you sent did not reach the application.",
)
_OTHER = ("This did not work", "The request could not be answered.")

PAGE_HEADERS: tuple[Header, ...] = (
    # The page loads nothing and sends nothing; its style is inside.
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
)


def prefers_html(accept: str | None) -> bool:
    """Whether an Accept header likes a page better than JSON. Source: RFC 9110 §12.5.1.

    Kong answers JSON where nothing is said (admin-api.md §3), so `*/*` alone is a program.
    """
    if not accept:
        return False
    html, json_quality = 0.0, 0.0
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = _quality(parameters)
        if media in ("text/html", "application/xhtml+xml"):
            html = max(html, quality)
        elif media == "application/json" or media.endswith("+json"):
            json_quality = max(json_quality, quality)
    return html > 0 and html >= json_quality


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def json_body(message: str, request_id: str, detail: str | None = None) -> bytes:
    """Kong's error body; `detail` only where the operator asked for it."""
    document = {"message": message, "request_id": request_id}
    if detail is not None:
        document["reason"] = detail
    return json.dumps(document).encode()


def page(
    status: int,
    message: str,
    request_id: str,
    detail: str | None = None,
    sign_in: str | None = None,
) -> bytes:
    """The page that a person sees. `sign_in`: see Refusal."""
    heading, explanation = _SEND_AGAIN if sign_in else _HEADINGS.get(status, _OTHER)
    return (
        _templates()
        .get_template("refused.html")
        .render(
            status=status,
            heading=heading,
            explanation=explanation,
            message=message,
            request_id=request_id,
            detail=detail,
            sign_in=sign_in,
        )
        .encode()
    )


@cache
def _templates() -> Environment:
    loader = PackageLoader("scopegate.policy", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
