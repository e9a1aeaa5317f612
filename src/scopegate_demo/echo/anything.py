"""What arrived, in the shape of httpbin's `/anything`.

One difference on purpose: httpbin leaves out headers that proxies add (X-Forwarded-*, Via,
X-Request-Id …); here all are shown, because what the gateway adds is what one wants to see.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from aiohttp.web_request import FileField

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


async def describe(request: web.Request) -> dict[str, Any]:
    """args, data, files, form, headers, json, method, origin, url; members in httpbin's order."""
    is_form = request.content_type in FORM_TYPES
    body = b"" if is_form else await request.read()
    form = list((await request.post()).items()) if is_form else []
    return {
        "args": _fold(request.query.items()),
        "data": _text(body),
        "files": _fold(
            (name, _text(value.file.read())) for name, value in form if isinstance(value, FileField)
        ),
        "form": _fold(
            (name, value if isinstance(value, str) else _text(bytes(value)))
            for name, value in form
            if not isinstance(value, FileField)
        ),
        "headers": _headers(request),
        "json": _json(body),
        "method": request.method,
        "origin": request.headers.get("X-Forwarded-For") or request.remote or "",
        "url": _url(request),
    }


def describe_raw(request: web.Request, body: bytes) -> dict[str, Any]:
    """The request line's target and the headers, as they came: order, case, repetitions."""
    return {
        "method": request.method,
        "target": request.raw_path,
        "headers": raw_headers(request),
        "body_base64": base64.b64encode(body).decode(),
    }


def raw_headers(request: web.Request) -> list[tuple[str, str]]:
    """Names and values as they came; bytes that are not UTF-8 survive as surrogates."""
    return [
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in request.raw_headers
    ]


def _fold(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A name that comes once has a string, one that comes again a list."""
    folded: dict[str, Any] = {}
    for name, value in pairs:
        if name not in folded:
            folded[name] = value
        elif isinstance(folded[name], list):
            folded[name].append(value)
        else:
            folded[name] = [folded[name], value]
    return folded


def _headers(request: web.Request) -> dict[str, str]:
    """Names as `Title-Case`, sorted; values of a repeated header joined with commas."""
    joined: dict[str, str] = {}
    for raw_name, value in request.headers.items():
        name = "-".join(part.capitalize() for part in raw_name.split("-"))
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return dict(sorted(joined.items()))


def _url(request: web.Request) -> str:
    scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
    return f"{scheme}://{request.host}{request.raw_path}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "data:application/octet-stream;base64," + base64.b64encode(content).decode()
