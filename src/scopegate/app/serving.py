"""uvicorn as our processes use it: no signals, log lines, headers or proxies of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn


class Server(uvicorn.Server):
    """A server that its process ends: uvicorn's own signals would end the process before us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def end(self) -> None:
        """Finish what is under way, then leave `serve`."""
        self.should_exit = True


def server_of(app: Any, *, grace_s: int, **options: Any) -> Server:
    """A server for `app`; `grace_s`: how long requests under way may take once it is to end."""
    return Server(
        uvicorn.Config(
            app,
            http="httptools",
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
