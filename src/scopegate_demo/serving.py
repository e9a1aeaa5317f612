"""A small HTTP server that can be taken down and brought back on the same port."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from ssl import SSLContext
from typing import Self

import typer
from aiohttp import web

# Handlers that hang on purpose must not delay the end. aiohttp takes 0 for "no limit".
SHUTDOWN_TIMEOUT_S = 0.05

# Tokens and cookies in headers get long; what is too long is for the gateway to say.
MAX_HEADER_BYTES = 65536


class PortUnavailable(Exception):
    """The port cannot be listened on; the text says why and what to do."""


class Listening:
    """An aiohttp application on one address.

    make_application   called for each start: an aiohttp application serves once
    port               0 chooses a free one; `self.port` is the real one after `start`
    """

    def __init__(
        self,
        make_application: Callable[[], web.Application],
        host: str,
        port: int,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._make_application = make_application
        self._ssl_context = ssl_context
        self._runner: web.AppRunner | None = None
        self._placeholder: socket.socket | None = None

    @property
    def origin(self) -> str:
        """Scheme, host and port; an IPv6 address stands in brackets."""
        scheme = "http" if self._ssl_context is None else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    def bind(self) -> socket.socket:
        """A socket on the address, not yet listening. Raises PortUnavailable."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self.host, self.port))
        except OSError as error:
            bound.close()
            raise PortUnavailable(_advice(error, self.host, self.port)) from error
        self.port = bound.getsockname()[1]
        return bound

    async def start(self) -> None:
        """Listen. Raises PortUnavailable."""
        bound = self.bind()
        runner = web.AppRunner(
            self._make_application(),
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        await runner.setup()
        try:
            await web.SockSite(runner, bound, ssl_context=self._ssl_context).start()
        except OSError as error:
            await runner.cleanup()
            bound.close()
            raise PortUnavailable(_advice(error, self.host, self.port)) from error
        self._runner = runner
        self._release_placeholder()

    async def down(self) -> None:
        """Cut every connection and refuse new ones; the port stays ours for `start`."""
        await self._close()
        if self._placeholder is None:
            # Bound and not listening: connections are refused, and no other socket gets the port.
            self._placeholder = self.bind()

    async def stop(self) -> None:
        """The end: cut every connection and let go of the port."""
        await self._close()
        self._release_placeholder()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _release_placeholder(self) -> None:
        if self._placeholder is not None:
            self._placeholder.close()
            self._placeholder = None


class DemoServer:
    """What both demo programs are: one application on one address; `async with` runs it.

    Raises PortUnavailable when it starts.
    """

    def __init__(self, host: str, port: int, ssl_context: SSLContext | None) -> None:
        self._listening = Listening(self._application, host, port, ssl_context)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def origin(self) -> str:
        """Where it listens: scheme, host and port."""
        return self._listening.origin

    @property
    def port(self) -> int:
        return self._listening.port

    async def start(self) -> None:
        """Listen. Raises PortUnavailable."""
        await self._listening.start()

    async def down(self) -> None:
        """Cut all connections and refuse new ones until `start`; nothing is forgotten."""
        await self._listening.down()

    async def stop(self) -> None:
        """The end: cut every connection and let go of the port."""
        await self._listening.stop()

    def _application(self) -> web.Application:
        raise NotImplementedError


def serve(server: DemoServer, greeting: Callable[[], str]) -> None:
    """Run until SIGINT or SIGTERM. Leaves with one line and status 1 when it cannot start."""

    async def run() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await server.start()
        try:
            print(greeting(), flush=True)
            await ended.wait()
        finally:
            await server.stop()

    try:
        asyncio.run(run())
    except PortUnavailable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _advice(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken: stop what uses it, or choose another with --port"
    if error.errno == errno.EACCES:
        return f"port {port} needs a permission that this user lacks: choose one from 1024 up"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"
