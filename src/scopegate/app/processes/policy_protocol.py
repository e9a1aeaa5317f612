"""The HTTP that Envoy and a policy worker speak over our own Unix socket.

uvicorn's, without what costs a sixth of a decision there and guards nothing: the answer goes out
in one write, values that were looked through once are not searched again letter by letter, and
no timer is set for idle connections: Envoy closes them, after an hour, and if we did, a question
could meet a closing one.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from urllib.parse import unquote

import httptools
from httptools import HttpParserCallbackError, HttpParserError
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from scopegate.envoy.reasons import EnvoyReason
from scopegate.ir import policy_dialogue as dialogue
from scopegate.telemetry.logging import logger

_UNREADABLE_ANSWER = (
    f"HTTP/1.1 {dialogue.UNREADABLE} \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
).encode("ascii")
_WHY_LIMIT = 100
# RFC 9110 §5.5; the tab may stand in a value.
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])


class PolicyProtocol(HttpToolsProtocol):
    """One of Envoy's connections."""

    def send_400_response(self, msg: str) -> None:
        """Of uvicorn, while it handles what its parser raised."""
        fault = sys.exception()
        is_callbacks = isinstance(fault, HttpParserCallbackError)
        cause = fault.__context__ if is_callbacks and fault else fault
        told = self._request_id() if is_callbacks else {}  # else no head was read
        if isinstance(cause, HttpParserError | UnicodeDecodeError):
            told |= {"reason": EnvoyReason.REQUEST_UNREADABLE, "why": str(cause)[:_WHY_LIMIT]}
            logger().warning("a request cannot be read", **told)
            self.transport.write(_UNREADABLE_ANSWER)
        else:
            # A fault of ours: without an answer Envoy refuses with `policy_unavailable`.
            logger().error("a question cannot be taken", exc_info=cause, **told)
        self.transport.close()

    def _request_id(self) -> dict[str, str]:
        id_ = dict(self.headers).get(dialogue.REQUEST_ID.encode("ascii"))
        return {"request_id": id_.decode("latin-1")} if id_ else {}

    def on_headers_complete(self) -> None:
        url = httptools.parse_url(self.url)
        path: bytes = url.path
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["http_version"] = self.parser.get_http_version()
        scope["raw_path"] = path
        scope["path"] = unquote(path.decode("ascii"))
        scope["query_string"] = url.query or b""
        former = self.cycle
        self.cycle = _Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if former is None or former.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())


class _Exchange(RequestResponseCycle):
    """One question and its answer: a head, then a body that is whole."""

    _head: bytes = b""

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            self.response_started = True
            self._head = self._head_of(message["status"], message["headers"])
            return
        if self.response_complete or message.get("more_body"):
            raise RuntimeError("an answer has one body, and it is whole")
        body = b"" if self.scope["method"] == "HEAD" else message.get("body", b"")
        self.response_complete = True
        self.message_event.set()
        self.transport.write(self._head + body)
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _head_of(self, status: int, headers: Any) -> bytes:
        """Raises RuntimeError for what would begin another header; the length is among them."""
        parts = [STATUS_LINE[status]]
        for name, value in headers:
            if HEADER_RE.search(name) or len(value.translate(None, _CONTROLS)) != len(value):
                raise RuntimeError("a header that cannot be sent")
            parts += (name, b": ", value, b"\r\n")
            if name == b"connection":
                self.keep_alive = False
        if not self.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)
