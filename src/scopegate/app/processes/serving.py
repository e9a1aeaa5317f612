"""uvicorn as our processes use it: no signals, log lines, headers or proxies of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT_S = 10.0
HEAD_LIMIT_BYTES = 64 * 1024
CONNECTIONS_LIMIT = 400
"""Of one server; far from the 1,024 files that a process often may open."""


class Server(uvicorn.Server):
    """A server that its process ends: uvicorn's own signals would end the process before us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Finish what is under way, then leave `serve`."""
        self.should_exit = True


class Protocol(HttpToolsProtocol):
    """uvicorn's would take every connection, wait for the head of a request for ever, and keep as
    much of it as comes.

    Whoever opens connections and says little could so take all files that the process may open, and
    with them the database and the proxy's line to us. Only over TCP: on our own Unix sockets
    connections wait for work.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        if self.client is not None and len(self.connections) > CONNECTIONS_LIMIT:
            transport.abort()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEAD_LIMIT_BYTES:
            self._end_head()
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        self._head_bytes = 0
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._end_head()
        if self.client is not None:  # None: a Unix socket
            self._head_timer = self.loop.call_later(HEAD_LIMIT_S, self.transport.close)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def server_of(app: Any, *, grace_s: int, **options: Any) -> Server:
    """A server for `app`; `grace_s`: how long requests under way may take once it is to end."""
    return Server(
        uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=grace_s,
            **options,
        )
    )
