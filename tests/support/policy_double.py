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
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.header_lines import HeaderLines, Headers

CONTENT_TYPE = "application/x-scopegate-check"


@dataclass
class Asked(HeaderLines):
    """A check request. `facts`: its words, `policy`, `route`, `method` …"""

    facts: Mapping[str, str]
    headers: Headers
    body: bytes

    @property
    def target(self) -> str:
        return "?".join(filter(None, (self.facts["path"], self.facts["query"])))

    @property
    def has_body(self) -> bool:
        """Whether the filter asks for the second time."""
        return self.facts["body"] != "not-read"


@dataclass
class Verdict:
    """What goes back: a check response, or anything else that a test wants said."""

    message: bytes
    status: int = 200
    content_type: str = CONTENT_TYPE


def message(*lines: str, body: bytes = b"") -> Verdict:
    """A check response of these lines, right or wrong."""
    return Verdict("\n".join(["scopegate-check 1", *lines, "", ""]).encode() + body)


def allow(
    *set_headers: tuple[str, str],
    remove: Iterable[str] = (),
    query: str | None = None,
    method: str | None = None,
    drop_body: bool = False,
    cuts: Iterable[tuple[int, int]] = (),
    client: Iterable[tuple[str, str]] = (),
    profile: object | None = None,
    cache_s: float | None = None,
    tags: Iterable[str] = (),
    revoke: Iterable[str] = (),
) -> Verdict:
    """The request goes on. `cache_s`: for how long the decision may be cached from now on."""
    lines = ["verdict allow", "reason allowed"]
    lines += [f"set {name}:{value}" for name, value in set_headers]
    lines += [f"remove {name}" for name in remove]
    lines += [] if query is None else [f"query {query}"]
    lines += [] if method is None else [f"method {method}"]
    lines += ["drop-body "] if drop_body else []
    lines += [f"cut {start}-{end}" for start, end in cuts]
    lines += [f"client {name}:{value}" for name, value in client]
    lines += [] if profile is None else [f"profile {profile}"]
    if cache_s is not None:
        lines += [f"cache {int(time.time() + cache_s)}", "count plugin-id allowed"]
    lines += [f"tag {tag}" for tag in tags]
    lines += [f"revoke {tag}" for tag in revoke]
    return message(*lines)


def answer(
    status: int,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    reason: str = "refused",
    revoke: Iterable[str] = (),
) -> Verdict:
    """The client gets this."""
    lines = [f"client {name}:{value}" for name, value in headers]
    lines += [f"revoke {tag}" for tag in revoke]
    return message(f"verdict answer {status}", f"reason {reason}", *lines, body=body)


WANT_BODY = message("verdict body")
Decide = Callable[[Asked], Verdict | Awaitable[Verdict]]


@dataclass
class PolicyDouble:
    """`decide` may be replaced at any time; `asked` has all check requests, `hits` the lines of all
    reports of cached decisions."""

    decide: Decide = lambda asked: allow()
    asked: list[Asked] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                target, body = await _read(reader)
                if target == "/hits":
                    self.hits += body.decode().splitlines()
                    verdict = Verdict(b"")
                else:
                    asked = read_check(body)
                    self.asked.append(asked)
                    decided = self.decide(asked)
                    verdict = await decided if isinstance(decided, Awaitable) else decided
                head = (
                    f"HTTP/1.1 {verdict.status} Because\r\ncontent-type: {verdict.content_type}\r\n"
                    f"content-length: {len(verdict.message)}\r\n\r\n"
                )
                writer.write(head.encode("latin-1") + verdict.message)
                await writer.drain()
        writer.close()


def read_check(text: bytes) -> Asked:
    """Plainly, and whatever is wrong with it fails the test."""
    facts, _, rest = text.partition(b"\n\n")
    version, *lines = facts.decode().split("\n")
    assert version == "scopegate-check 1"
    headers: Headers = []
    while not rest.startswith(b"\n"):
        line, end, rest = rest.partition(b"\n")
        assert end, "the head does not end"
        name, _, value = line.decode("latin-1").partition(":")
        headers.append((name, value))
    said = dict(line.split(" ", 1) for line in lines)
    assert len(said) == len(lines), "a fact stands twice"
    return Asked(said, headers, rest[1:])


async def _read(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Target and body of an HTTP request."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = text.removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    assert method == "POST"
    pairs = (line.partition(":") for line in rest)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return target, await reader.readexactly(int(headers["content-length"]))


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
