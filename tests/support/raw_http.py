"""HTTP/1.1 byte by byte: sends what no proper client would, reads what comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from support.header_lines import HeaderLines, Headers


@dataclass
class Reply(HeaderLines):
    """An answer as it came."""

    status: int
    headers: Headers
    body: bytes


class RawConnection:
    """One connection, kept open between requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, **tls) -> RawConnection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, **tls))

    async def send(
        self,
        target: str | bytes,
        *,
        method: str = "GET",
        host: str | None = "localhost",
        headers: Headers | None = None,
        body: bytes | None = None,
        version: str = "HTTP/1.1",
    ) -> None:
        target = target if isinstance(target, bytes) else target.encode("latin-1")
        lines = [method.encode() + b" " + target + b" " + version.encode()]
        if host is not None:
            lines.append(b"Host: " + host.encode())
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers or []]
        if body is not None:
            lines.append(b"Content-Length: " + str(len(body)).encode())
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""))
        await self.writer.drain()

    async def head(self) -> Reply:
        """Status and headers of the next answer."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = text.removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in rest)
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        return Reply(int(first.split(" ")[1]), headers, b"")

    async def reply(self, *, bodiless: bool = False) -> Reply:
        """The next answer, whole."""
        reply = await self.head()
        if bodiless or reply.status in (204, 304):
            return reply
        if reply.one("transfer-encoding") == "chunked":
            reply.body = b"".join([chunk async for chunk in self.chunks()])
        elif reply.one("content-length") is not None:
            reply.body = await self.reader.readexactly(int(reply.one("content-length") or 0))
        else:
            reply.body = await self.reader.read()
        return reply

    async def chunks(self):
        while True:
            size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
            data = await self.reader.readexactly(size + 2)
            if not size:
                return
            yield data[:-2]

    async def ask(self, target: str | bytes, **more) -> Reply:
        await self.send(target, **more)
        return await self.reply(bodiless=more.get("method") == "HEAD")

    def close(self) -> None:
        self.writer.close()


async def ask(port: int, target: str | bytes, **more) -> Reply:
    """One request on a connection of its own."""
    connection = await RawConnection.open(port)
    try:
        async with asyncio.timeout(20):
            return await connection.ask(target, **more)
    finally:
        connection.close()
