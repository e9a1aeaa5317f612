"""Bodies: how large, of which type, and what they say.

Source: contract admin-api.md §2 (request parsing).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from scopegate.admin.arguments import ARGUMENT_LIMIT, nest, parse_arguments
from scopegate.admin.errors import AdminError, refusal
from scopegate.admin.json_text import read_json

BODY_LIMIT_S = 30
BODY_LIMIT_BYTES = 1024 * 1024
"""A document has some kilobytes. What takes long to check holds up the whole control process."""

Kind = Literal["json", "form", "multipart"]
_KINDS: dict[str, Kind] = {
    "application/json": "json",
    "application/x-www-form-urlencoded": "form",
    "multipart/form-data": "multipart",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What a body says. `typed` False: all values are texts whose types must be inferred."""

    arguments: dict[str, Any]
    typed: bool = True


async def read_sent(request: Request) -> Sent:
    """The arguments in the body of a POST, PUT or PATCH. Raises AdminError (400, 408, 413, 415)."""
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            body = await _read_limited(request)
    except TimeoutError:
        raise refusal(408, f"the body did not arrive within {BODY_LIMIT_S} seconds") from None
    kind = _kind_of(request.headers, body)
    match kind:
        case None:
            return Sent({})
        case "json":
            return Sent(parse_json(body))
        case "form":
            return Sent(parse_arguments(_utf8(body)), typed=False)
        case "multipart":
            return Sent(await _parse_multipart(request.headers, body), typed=False)


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises AdminError (400)."""
    try:
        document = read_json(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise refusal(400, "Cannot parse JSON body")
    return document


async def _read_limited(request: Request) -> bytes:
    too_large = refusal(413, f"the body is larger than {BODY_LIMIT_BYTES} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:12]) > BODY_LIMIT_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            raise too_large
    return bytes(body)


def _kind_of(headers: Headers, body: bytes) -> Kind | None:
    types = headers.getlist("content-type")
    if len(types) > 1:
        raise refusal(400, "Multiple Content-Type headers not allowed")
    if not types:
        if body:
            raise AdminError(415, None)
        return None
    kind = _KINDS.get(types[0].partition(";")[0].strip().lower())
    if kind is None:
        raise AdminError(415, None)
    return kind


async def _parse_multipart(headers: Headers, body: bytes) -> dict[str, Any]:
    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(
        headers,
        stream(),  # type: ignore[arg-type]
        max_files=ARGUMENT_LIMIT,
        max_fields=ARGUMENT_LIMIT,
        max_part_size=BODY_LIMIT_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        too_many = error.message.startswith("Too many")
        raise refusal(400, "Too many arguments" if too_many else error.message) from None
    except (KeyError, UnicodeDecodeError, LookupError):
        raise refusal(400, "Cannot parse multipart body") from None
    pairs: list[tuple[str, str]] = []
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                pairs.append((name, _utf8(await value.read())))
            else:
                pairs.append((name, value))
    finally:
        await form.close()
    if len(pairs) > ARGUMENT_LIMIT:
        raise refusal(400, "Too many arguments")
    return nest(pairs)


def _utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise refusal(400, "arguments must be UTF-8") from None
