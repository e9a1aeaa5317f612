"""A client that calls an ASGI application directly: no socket, no thread."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class AsgiClient:
    """Speaks HTTP/1.1 to `app`; every call is one request."""

    def __init__(self, app: ASGIApp, host: str = "localhost:8001") -> None:
        self._app = app
        self._host = host

    async def request(
        self,
        method: str,
        target: str,
        *,
        json_body: Any = None,
        form: Iterable[tuple[str, str]] | None = None,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        stalls: bool = False,
    ) -> Response:
        """`target` is the raw request target. `json_body` and `form` set Content-Type.

        stalls   the body does not end, and nothing more comes
        """
        sent = [("host", self._host), *headers]
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.append(("content-type", "application/json"))
        if form is not None:
            body = urlencode(list(form)).encode()
            sent.append(("content-type", "application/x-www-form-urlencoded; charset=utf-8"))
        sent.append(("content-length", str(len(body))))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8001),
        }
        messages: list[Message] = []
        inbox: list[Message] = [{"type": "http.request", "body": body, "more_body": stalls}]

        async def receive() -> Message:
            if stalls and not inbox:
                await asyncio.Event().wait()
            return inbox.pop(0) if inbox else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, send)
        start = messages[0]
        answered = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        content = b"".join(message.get("body", b"") for message in messages[1:])
        return Response(start["status"], answered, content)

    async def get(self, target: str, **more: Any) -> Response:
        return await self.request("GET", target, **more)

    async def post(self, target: str, json_body: Any = None, **more: Any) -> Response:
        return await self.request("POST", target, json_body=json_body, **more)

    async def put(self, target: str, json_body: Any = None, **more: Any) -> Response:
        return await self.request("PUT", target, json_body=json_body, **more)

    async def patch(self, target: str, json_body: Any = None, **more: Any) -> Response:
        return await self.request("PATCH", target, json_body=json_body, **more)

    async def delete(self, target: str, **more: Any) -> Response:
        return await self.request("DELETE", target, **more)
