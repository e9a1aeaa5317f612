"""An HTTP/2 upstream that answers gRPC-like: a body, then trailers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events


@dataclass
class H2Upstream:
    port: int = 0
    received: list[dict[str, str]] = field(default_factory=list)
    trailers: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self.received.append(dict(event.headers))
                elif isinstance(event, h2.events.TrailersReceived):
                    self.trailers.append(dict(event.headers))
                elif isinstance(event, h2.events.StreamEnded):
                    head = [(":status", "200"), ("content-type", "application/grpc")]
                    connection.send_headers(event.stream_id, head)
                    connection.send_data(event.stream_id, b"\0\0\0\0\2ok")
                    connection.send_headers(
                        event.stream_id, [("grpc-status", "0")], end_stream=True
                    )
            writer.write(connection.data_to_send())
            await writer.drain()
        writer.close()


@asynccontextmanager
async def running_h2_upstream(**tls) -> AsyncIterator[H2Upstream]:
    upstream = H2Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, **tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
