"""Envoy's question, put to the policy service's ASGI function without Envoy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    service: Callable[[Any, Any, Any], Awaitable[None]], policy_id: str, *headers: tuple[str, str]
) -> Answered:
    """What the service says about `GET /` with these headers; the last of a repeated one."""
    own = {
        "host": "a.example",
        "x-request-id": "0" * 32,
        "x-scopegate-phase": "head",
        "x-scopegate-policy": policy_id,
        "x-scopegate-scheme": "https",
        "x-scopegate-client-ip": "192.0.2.1",
    }
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in [*own.items(), *headers]],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await service(scope, receive, send)
    named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answered(sent[0]["status"], named, sent[1]["body"])
