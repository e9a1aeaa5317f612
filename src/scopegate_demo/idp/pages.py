"""Pages for people. Everything that is put into one is escaped by default."""

from __future__ import annotations

import secrets
from typing import Any

import jinja2
from aiohttp import web

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("scopegate_demo.idp"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
)

# No form-action: browsers apply it to the redirect after the login, too, which leads elsewhere.
_POLICY = "default-src 'none'; style-src 'nonce-{0}'; script-src 'nonce-{0}'; img-src data:; base-uri 'none'; frame-ancestors 'none'"  # noqa: E501


def page(template: str, *, status: int = 200, **values: Any) -> web.Response:
    """The page, not to be stored, framed or referred from."""
    nonce = secrets.token_urlsafe(16)
    text = _TEMPLATES.get_template(f"{template}.html").render(nonce=nonce, **values)
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY.format(nonce),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def error_page(title: str, message: str, *, status: int = 400) -> web.Response:
    return page("message", status=status, title=title, message=message, alert=True)
