"""A policy service that answers what a test tells it to, on a Unix socket.

`python -m support.policy_double FD` serves a listening socket that it inherits and allows
everything, naming its process id in `x-worker`: for tests that kill workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scopegate.ir import policy_dialogue as dialogue
from support.header_lines import HeaderLines, Headers

DECIDED = ("x-scopegate-decided", "1")


@dataclass
class Asked(HeaderLines):
    """A question as Envoy put it."""

    method: str
    target: str
    headers: Headers
    body: bytes


@dataclass
class Verdict:
    """What to answer; by default a yes."""

    status: int = 200
    headers: Headers = field(default_factory=lambda: [DECIDED])
    body: bytes = b""


def allow(*headers: tuple[str, str]) -> Verdict:
    changes = any(name in dialogue.APPLIED for name, _ in headers)
    yes = dialogue.YES_CHANGED if changes else dialogue.YES
    return Verdict(headers=[(dialogue.DECIDED, yes), *headers])


UNDECIDED = Verdict(headers=[(dialogue.DECIDED, dialogue.WITH_BODY)])
Decide = Callable[[Asked], Verdict | Awaitable[Verdict]]


@dataclass
class PolicyDouble:
    """`decide` may be replaced at any time; `asked` has all questions."""

    decide: Decide = lambda asked: Verdict()
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await _read(reader)
                self.asked.append(asked)
                verdict = self.decide(asked)
                if isinstance(verdict, Awaitable):
                    verdict = await verdict
                lines = [f"HTTP/1.1 {verdict.status} Because"]
                lines += [f"{name}: {value}" for name, value in verdict.headers]
                lines += [f"content-length: {len(verdict.body)}", "", ""]
                writer.write("\r\n".join(lines).encode("latin-1") + verdict.body)
                await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Asked:
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = (line.partition(":") for line in rest)
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Asked(method, target, headers, await reader.readexactly(length))


@asynccontextmanager
async def running_policy(path: Path) -> AsyncIterator[PolicyDouble]:
    double = PolicyDouble()
    server = await asyncio.start_unix_server(double.serve, path, limit=2**20)
    try:
        yield double
    finally:
        server.close()


async def _work(inherited: int) -> None:
    double = PolicyDouble(decide=lambda asked: allow(("x-worker", str(os.getpid()))))
    listening = socket.socket(fileno=inherited)
    server = await asyncio.start_unix_server(double.serve, sock=listening, limit=2**20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_work(int(sys.argv[1])))
