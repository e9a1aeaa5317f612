"""An upstream that writes down every request as it came, and does what its path says.

/status/404      that status                 /stream   a chunk each 20 ms, without end
/slow/0.5        answers after so long       /bytes/9  so many bytes
anything else    the request as JSON; with `Upgrade: websocket` an echo of bytes
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.header_lines import HeaderLines, Headers


@dataclass
class Received(HeaderLines):
    """A request as it came."""

    method: str
    target: str
    headers: Headers
    body: bytes = b""


@dataclass
class Upstream:
    port: int = 0
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    response_headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def last(self) -> Received:
        return self.received[-1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = await _read(reader)
                self.received.append(request)
                if request.one("upgrade") == "websocket":
                    await _echo(reader, writer)
                    break
                await self._answer(request, writer)
        writer.close()

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        _, kind, *rest = [*request.target.partition("?")[0].split("/"), ""]
        status, body = 200, None
        if kind == "stream":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"4\r\ntick\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        elif kind == "status":
            status, body = int(rest[0]), b""
        elif kind == "slow":
            await asyncio.sleep(float(rest[0]))
        elif kind == "bytes":
            body = b"x" * int(rest[0])
        if body is None:
            document = {"method": request.method, "target": request.target, "headers": {}}
            body = json.dumps(document).encode()
        head = [f"HTTP/1.1 {status} Because", f"content-length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in self.response_headers]
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n")
        writer.write(b"" if request.method == "HEAD" else body)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Received:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in rest)
    request = Received(method, target, [(name.lower(), value.strip()) for name, _, value in pairs])
    if request.one("transfer-encoding") == "chunked":
        while True:
            size = int((await reader.readuntil(b"\r\n")).strip(), 16)
            chunk = await reader.readexactly(size + 2)
            if not size:
                break
            request.body += chunk[:-2]
    else:
        request.body = await reader.readexactly(int(request.one("content-length") or 0))
    return request


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    )
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def running_upstream(**tls) -> AsyncIterator[Upstream]:
    """An upstream on a free port of 127.0.0.1."""
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=2**20, **tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
