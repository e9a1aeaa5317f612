"""Counting, recording and spoiling requests, in front of every endpoint."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from scopegate_demo.idp.behaviour import ENDPOINTS, Behaviour, Fault
from scopegate_demo.idp.provider import Provider

PADDING = b" " * 65536
RECORDED_REQUESTS = 1000


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request as it came; header names in lower case; the form only of urlencoded bodies."""

    endpoint: str
    method: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)


class Gatekeeper:
    """Sees every request first.

    calls      requests by endpoint (also `token.<grant type>`, which the token endpoint counts)
    requests   the last thousand of them, oldest first, when `recording`
    """

    def __init__(self, provider: Provider, calls: Counter[str], recording: bool) -> None:
        self._provider = provider
        self._recording = recording
        self.calls = calls
        self.requests: deque[Recorded] = deque(maxlen=RECORDED_REQUESTS)

    def middleware(self) -> Middleware:
        @web.middleware
        async def pass_or_spoil(request: web.Request, handler: Handler) -> web.StreamResponse:
            endpoint = request.match_info.route.name
            if endpoint not in ENDPOINTS:
                return await handler(request)
            self.calls[endpoint] += 1
            if self._recording:
                self.requests.append(await _record(endpoint, request))
            fault = take_fault(self._provider.behaviour, endpoint)
            if fault is None:
                return await handler(request)
            return await _spoil(fault, request, handler)

        return pass_or_spoil


def take_fault(behaviour: Behaviour, endpoint: str) -> Fault | None:
    """The endpoint's fault, if it has one left."""
    fault = behaviour.faults.get(endpoint)
    if fault is None or fault.times is None:
        return fault
    fault.times -= 1
    if fault.times <= 0:
        del behaviour.faults[endpoint]
    return fault if fault.times >= 0 else None


async def _spoil(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    if fault.hang:
        await asyncio.Event().wait()
    await asyncio.sleep(fault.delay_s)
    if fault.disconnect:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if fault.status is None and fault.body is None:
        answer = await handler(request)
    else:
        body = fault.body or ""
        answer = web.Response(
            text=body, status=fault.status or 200, content_type=fault.content_type
        )
    if fault.padding_bytes and isinstance(answer, web.Response):
        return await _pad(answer, fault.padding_bytes, request)
    return answer


async def _pad(
    answer: web.Response, padding_bytes: int, request: web.Request
) -> web.StreamResponse:
    """The answer in chunks, with blanks after it: JSON stays JSON, only huge."""
    stream = web.StreamResponse(status=answer.status)
    stream.content_type = answer.content_type
    await stream.prepare(request)
    if isinstance(answer.body, bytes):
        await stream.write(answer.body)
    left = padding_bytes
    while left > 0:
        await stream.write(PADDING[:left])
        left -= len(PADDING)
    await stream.write_eof()
    return stream


async def _record(endpoint: str, request: web.Request) -> Recorded:
    form = await request.post() if request.method == "POST" else {}
    return Recorded(
        endpoint,
        request.method,
        headers={name.lower(): value for name, value in request.headers.items()},
        query=dict(request.query),
        form={name: value for name, value in form.items() if isinstance(value, str)},
    )
