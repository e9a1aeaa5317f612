"""Envoy's question, put to the policy service's ASGI function without Envoy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Service = Callable[[Any, Any, Any], Awaitable[None]]
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What the service said, to Envoy."""

    status: int
    headers: Pairs
    body: bytes


def question(
    policy_id: str, *headers: tuple[str, str | bytes], phase: str = "head", without: str = ""
) -> dict[str, Any]:
    """The ASGI scope of `GET /a%20b?q=1` with these headers; of Envoy's own, not `without`."""
    own = {
        "host": "a.example",
        "x-request-id": "0" * 32,
        "x-scopegate-phase": phase,
        "x-scopegate-policy": policy_id,
        "x-scopegate-scheme": "https",
        "x-scopegate-client-ip": "192.0.2.1",
    }
    own.pop(without, None)
    return {
        "type": "http",
        "method": "GET",
        "raw_path": b"/a%20b",
        "query_string": b"q=1",
        "headers": [
            (name.encode(), value if isinstance(value, bytes) else value.encode())
            for name, value in [*own.items(), *headers]
        ],
    }


async def ask(service: Service, scope: dict[str, Any], body: bytes = b"") -> Answered:
    """What the service says to a question."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await service(scope, receive, send)
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return Answered(sent[0]["status"], headers, sent[1]["body"])
