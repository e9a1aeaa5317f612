"""A small HTTP/2 client on h2: prior knowledge in plain text, or over TLS."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events


@dataclass
class H2Reply:
    headers: dict[str, str] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_over: bool = False

    @property
    def status(self) -> int:
        return int(self.headers[":status"])


class H2Connection:
    """One connection; streams by number. `pump` must run for anything to arrive."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.replies: dict[int, H2Reply] = {}
        self.is_closed = False
        self.changed = asyncio.Condition()
        self.pumping: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, port: int, **tls) -> H2Connection:
        connection = cls(*await asyncio.open_connection("127.0.0.1", port, **tls))
        connection.h2.initiate_connection()
        await connection.flush()
        connection.pumping = asyncio.create_task(connection.pump())
        return connection

    async def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()

    async def send(
        self, path: str, *, headers=(), body: bytes | None = None, trailers=(), **pseudo
    ) -> int:
        stream = self.h2.get_next_available_stream_id()
        fields = {"method": "GET", "scheme": "http", "authority": "localhost"} | pseudo
        head = [(f":{name}", value) for name, value in fields.items()] + [(":path", path)]
        self.replies[stream] = H2Reply()
        self.h2.send_headers(stream, [*head, *headers], end_stream=body is None)
        if body is not None:
            self.h2.send_data(stream, body, end_stream=not trailers)
        if trailers:
            self.h2.send_headers(stream, trailers, end_stream=True)
        await self.flush()
        return stream

    async def pump(self) -> None:
        while data := await self.reader.read(65536):
            for event in self.h2.receive_data(data):
                reply = self.replies.get(getattr(event, "stream_id", None) or 0)
                match event:
                    case h2.events.ResponseReceived():
                        reply.headers, reply.lines = dict(event.headers), list(event.headers)
                    case h2.events.TrailersReceived():
                        reply.trailers = dict(event.headers)
                    case h2.events.DataReceived():
                        reply.body += event.data
                        self.h2.acknowledge_received_data(
                            event.flow_controlled_length, event.stream_id
                        )
                    case h2.events.StreamEnded() | h2.events.StreamReset():
                        reply.is_over = True
                    case h2.events.ConnectionTerminated():
                        self.is_closed = True
            await self.flush()
            async with self.changed:
                self.changed.notify_all()
        self.is_closed = True

    async def reply(self, stream: int) -> H2Reply:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: self.replies[stream].is_over)
        return self.replies[stream]

    async def ask(self, path: str, **more) -> H2Reply:
        return await self.reply(await self.send(path, **more))

    def close(self) -> None:
        if self.pumping is not None:
            self.pumping.cancel()
        self.writer.close()
