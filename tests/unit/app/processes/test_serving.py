"""What clients that say little, or too much, cost a server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from scopegate.app.processes import serving
from scopegate.app.processes.serving import server_of

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def connection(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Streams]:
    monkeypatch.setattr(serving, "HEAD_LIMIT_S", 0.1)
    server = server_of(app, grace_s=1, lifespan="off")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*address)
        yield reader, writer
        writer.close()
        server.end()
        await task


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes the connection."""
    async with asyncio.timeout(2):
        return await reader.read()


async def answered(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(2):
        return (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_who_does_not_say_what_he_wants_is_hung_up_on(
    connection: Streams, said: bytes
) -> None:
    reader, writer = connection
    writer.write(said)
    assert await ended(reader) == b""


async def test_so_is_who_stalls_in_a_second_request(connection: Streams) -> None:
    reader, writer = connection
    writer.write(REQUEST)
    assert await answered(reader)
    writer.write(b"GET ")
    assert await ended(reader) == b""


async def test_a_head_without_end_is_refused(connection: Streams) -> None:
    reader, writer = connection
    writer.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
    assert b"The head of the request is too large." in await ended(reader)


async def test_one_connection_too_many_is_hung_up_on_and_the_others_go_on(
    connection: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = connection
    monkeypatch.setattr(serving, "CONNECTIONS_LIMIT", 1)
    writer.write(REQUEST)
    assert await answered(reader)
    other, other_writer = await asyncio.open_connection(*writer.get_extra_info("peername"))
    other_writer.write(REQUEST)
    said = b""
    with contextlib.suppress(ConnectionError):
        said = await ended(other)
    assert said == b""
    other_writer.close()
    writer.write(REQUEST)
    assert await answered(reader)


async def test_a_large_body_and_a_pause_after_the_head_are_no_head(connection: Streams) -> None:
    reader, writer = connection
    for _ in range(2):
        writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(b"x" * 200_000)
        assert await answered(reader)


async def test_connections_between_our_own_processes_may_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(serving, "HEAD_LIMIT_S", 0.1)
    path = str(tmp_path / "socket")
    server = server_of(app, grace_s=1, lifespan="off")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        task = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_unix_connection(path)
        await asyncio.sleep(0.3)
        writer.write(REQUEST)
        assert await answered(reader)
        writer.close()
        server.end()
        await task
