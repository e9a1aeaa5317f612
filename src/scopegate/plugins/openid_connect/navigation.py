"""What kind of a browser's request it is: a navigation, which a login page can interrupt; a page's
form, which it cannot, since the form would be lost; a CORS preflight, which brings no credentials.

Kong redirects whoever asks. We do not redirect a request that says itself that it is no navigation:
a redirect there only breaks the page and leaves cookies behind. Plain curl (`Accept: */*`, no
`Sec-Fetch-*`) is still redirected. Source: contract openid-connect.md §4, docs/adr/0003.
"""

from __future__ import annotations

from scopegate.plugins.access import Request

_SAFE_METHODS = frozenset({"GET", "HEAD"})
_ACCEPT_LIMIT_CHARS = 4096
"""No browser says so much; to go through it all would be somebody's work for us."""
_PAGES = ("text/html", "application/xhtml+xml", "text/*", "*/*")


def is_navigation(request: Request) -> bool:
    """True where a redirect to a login page can lead anywhere."""
    return request.method in _SAFE_METHODS and _is_answered_with_a_page(request)


def is_form(request: Request) -> bool:
    """True where a page's form may have sent it: whoever sees the answer can send it again."""
    return request.method not in _SAFE_METHODS and _is_answered_with_a_page(request)


def _is_answered_with_a_page(request: Request) -> bool:
    """Unless the request says itself that no page is shown."""
    if request.header("sec-fetch-mode") not in (None, "navigate"):
        return False
    if (request.header("x-requested-with") or "").lower() == "xmlhttprequest":
        return False
    if (request.header("upgrade") or "").lower() == "websocket":
        return False
    if (request.header("content-type") or "").lower().startswith("application/grpc"):
        return False
    accept = request.header("accept") or ""
    return len(accept) <= _ACCEPT_LIMIT_CHARS and not _wants_only_json(accept)


def is_preflight(request: Request) -> bool:
    """True for a CORS preflight (contract §1). Source: Fetch standard, CORS-preflight request."""
    wanted = ("origin", "access-control-request-method")
    return request.method == "OPTIONS" and all(request.header(name) for name in wanted)


def _wants_only_json(accept: str) -> bool:
    """Whether Accept takes JSON and no page (RFC 9110 §12.5.1)."""
    media = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    takes_json = any(kind == "application/json" or kind.endswith("+json") for kind in media)
    return takes_json and not any(kind in _PAGES for kind in media)
