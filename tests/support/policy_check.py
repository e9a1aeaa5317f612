"""Check requests, put to the policy service's ASGI function without a proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

Service = Callable[..., Awaitable[None]]
Headers = list[tuple[str, str]]

FACTS = {
    "policy": "0" * 32,
    "route": "r-1/orders s-1",
    "id": "0" * 32,
    "client": "192.0.2.1",
    "protocol": "HTTP/1.1",
    "method": "GET",
    "scheme": "https",
    "authority": "a.example",
    "path": "/a%20b",
    "query": "q=1",
    "body": "not-read",
}


def check_request(
    policy_id: str = "0" * 32,
    *headers: tuple[str, str | bytes],
    body: bytes = b"",
    without: str = "",
    **facts: str,
) -> bytes:
    """The message about `GET /a%20b?q=1`. `facts` take the place of the usual ones; a `body` that
    is given is whole."""
    state = {"body": "whole"} if body else {}
    said = {**FACTS, "policy": policy_id, **state, **facts}
    said.pop(without, None)
    lines = [b"scopegate-check 1", *(f"{word} {value}".encode() for word, value in said.items())]
    pairs = [
        name.encode() + b":" + (value if isinstance(value, bytes) else value.encode())
        for name, value in headers
    ]
    return b"".join(line + b"\n" for line in (*lines, b"", *pairs, b"")) + body


@dataclass(frozen=True, slots=True)
class Response:
    """A check response, taken apart. `lines` has each word with its values in their order."""

    lines: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""

    @property
    def status(self) -> int | None:
        """Of an answer for the client."""
        verdict, _, status = self.one("verdict").partition(" ")
        return int(status) if verdict == "answer" else None

    @property
    def allows(self) -> bool:
        return self.one("verdict") == "allow"

    def all(self, word: str) -> list[str]:
        return self.lines.get(word, [])

    def one(self, word: str) -> str:
        (value,) = self.lines[word]
        return value

    def headers(self, word: str) -> Headers:
        """Of `client` and `set`."""
        pairs = (value.partition(":") for value in self.all(word))
        return [(name, value) for name, _, value in pairs]


def read_response(message: bytes) -> Response:
    """Plainly, and whatever is wrong with it fails the test."""
    head, end, body = message.partition(b"\n\n")
    assert end, "the head does not end"
    version, verdict, *rest = head.decode().split("\n")
    assert version == "scopegate-check 1"
    assert verdict.startswith("verdict ")
    lines: dict[str, list[str]] = {}
    for line in (verdict, *rest):
        word, space, value = line.partition(" ")
        assert space
        lines.setdefault(word, []).append(value)
    return Response(lines, body)


async def post(
    service: Service, path: str, chunks: Iterable[bytes], method: str = "POST"
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the HTTP response."""
    waiting = list(chunks)
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        chunk = waiting.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await service({"type": "http", "method": method, "path": path}, receive, send)
    start, end = sent
    pairs = start["headers"]
    assert isinstance(pairs, tuple)
    headers = {name.decode(): value.decode() for name, value in pairs}
    assert isinstance(start["status"], int)
    assert isinstance(end["body"], bytes)
    return start["status"], headers, end["body"]


async def ask(service: Service, message: bytes) -> Response:
    """The response to a check request."""
    status, headers, body = await post(service, "/check", [message])
    assert status == 200
    assert headers["content-type"] == "application/x-scopegate-check"
    assert headers["content-length"] == str(len(body))
    return read_response(body)
