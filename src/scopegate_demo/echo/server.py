"""The echo upstream on a port: `EchoUpstream`."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.typedefs import Handler, Middleware

from scopegate_demo.echo.anything import describe, describe_raw, raw_headers
from scopegate_demo.serving import DemoServer

MAX_REQUEST_BYTES = 64 * 1024 * 1024
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_DELAY_S = 60.0
SEEN_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived: target and headers as they came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        """The first value of that header, in any case; None when it did not come."""
        wanted = name.lower()
        return next((value for each, value in self.headers if each.lower() == wanted), None)


class EchoUpstream(DemoServer):
    """Answers with what it was asked; `async with` starts and stops it.

    port    0 takes a free one
    seen    the last thousand requests, oldest first

    Raises PortUnavailable when it starts.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, ssl_context: SSLContext | None = None
    ) -> None:
        self.seen: deque[Seen] = deque(maxlen=SEEN_REQUESTS)
        super().__init__(host, port, ssl_context)

    @property
    def url(self) -> str:
        """Where it listens: scheme, host and port."""
        return self.origin

    def _application(self) -> web.Application:
        application = web.Application(
            middlewares=[self._recorder()], client_max_size=MAX_REQUEST_BYTES
        )
        application.add_routes(
            [
                web.route("*", "/anything{rest:.*}", _anything),
                web.route("*", "/raw{rest:.*}", _raw),
                web.route("*", "/status/{code}", _status),
                web.route("*", "/delay/{seconds}", _delay),
                web.get("/stream", _stream),
                web.get("/ws", _websocket),
            ]
        )
        return application

    def _recorder(self) -> Middleware:
        @web.middleware
        async def record(request: web.Request, handler: Handler) -> web.StreamResponse:
            headers = tuple(raw_headers(request))
            self.seen.append(Seen(request.method, request.raw_path, headers))
            return await handler(request)

        return record


def _pretty(document: Mapping[str, Any], status: int = 200) -> web.Response:
    text = json.dumps(document, indent=2) + "\n"
    return web.Response(text=text, status=status, content_type="application/json")


async def _anything(request: web.Request) -> web.StreamResponse:
    try:
        return _pretty(await describe(request))
    except ValueError as error:
        return _pretty({"message": f"the form cannot be read: {error}"}, status=400)


async def _raw(request: web.Request) -> web.StreamResponse:
    return _pretty(describe_raw(request, await request.read()))


async def _status(request: web.Request) -> web.StreamResponse:
    text = request.match_info["code"]
    if not text.isdecimal() or not 200 <= int(text) <= 599:
        return _pretty({"message": "expected a status from 200 to 599"}, status=400)
    response = web.Response(status=int(text))
    if response.status in (301, 302, 303, 307, 308):
        response.headers["Location"] = "/anything"
    return response


async def _delay(request: web.Request) -> web.StreamResponse:
    seconds = _number(request.match_info["seconds"])
    if seconds is None or seconds > MAX_DELAY_S:
        return _pretty({"message": f"expected seconds from 0 to {MAX_DELAY_S:g}"}, status=400)
    await asyncio.sleep(seconds)
    return await _anything(request)


async def _stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events without end, or `count` of them, every `interval_s` seconds (1)."""
    count = _number(request.query.get("count", "inf"), infinite=True)
    interval_s = _number(request.query.get("interval_s", "1"))
    if count is None or interval_s is None or interval_s > MAX_DELAY_S:
        return _pretty({"message": "count and interval_s have to be numbers from 0"}, status=400)
    response = web.StreamResponse(headers={"Cache-Control": "no-store"})
    response.content_type = "text/event-stream"
    await response.prepare(request)
    sent = 0
    while sent < count:
        if sent:
            await asyncio.sleep(interval_s)
        sent += 1
        await response.write(f"id: {sent}\ndata: {json.dumps({'event': sent})}\n\n".encode())
    await response.write_eof()
    return response


async def _websocket(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(max_msg_size=MAX_MESSAGE_BYTES)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


def _number(text: str, *, infinite: bool = False) -> float | None:
    """A number from 0, or None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    if math.isnan(number) or number < 0 or (math.isinf(number) and not infinite):
        return None
    return number
