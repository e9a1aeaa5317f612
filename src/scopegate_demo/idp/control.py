"""The control interface, there only with `--misbehave`: tests in other processes use it.

GET     /misbehave              behaviour and calls
PUT     /misbehave              a behaviour, see `behaviour.py`; what it does not name is well
DELETE  /misbehave              well again, counters at zero
POST    /misbehave/rotate-keys  {"overlap": true}
POST    /misbehave/down         {"seconds": 3}: refuse connections for so long
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from scopegate_demo.idp.behaviour import Behaviour, BehaviourInvalid
from scopegate_demo.idp.provider import Provider

MAX_DOWN_S = 600


class ControlEndpoints:
    """`down_for` takes the server down for so many seconds."""

    def __init__(
        self,
        provider: Provider,
        calls: Counter[str],
        down_for: Callable[[float], Awaitable[None]],
    ) -> None:
        self._provider = provider
        self._calls = calls
        self._down_for = down_for
        self._tasks: set[asyncio.Future[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/misbehave", self.show, allow_head=False),
            web.put("/misbehave", self.misbehave),
            web.delete("/misbehave", self.behave),
            web.post("/misbehave/rotate-keys", self.rotate_keys),
            web.post("/misbehave/down", self.down),
        ]

    async def show(self, _: web.Request) -> web.Response:
        behaviour = asdict(self._provider.behaviour)
        return web.json_response({"behaviour": behaviour, "calls": dict(self._calls)})

    async def misbehave(self, request: web.Request) -> web.Response:
        try:
            self._provider.behaviour = Behaviour.from_json(await _json(request))
        except BehaviourInvalid as error:
            return web.json_response({"message": str(error)}, status=400)
        return await self.show(request)

    async def behave(self, request: web.Request) -> web.Response:
        self._provider.behaviour = Behaviour()
        self._calls.clear()
        return await self.show(request)

    async def rotate_keys(self, request: web.Request) -> web.Response:
        try:
            overlap = (await _json(request)).get("overlap", True)
            if not isinstance(overlap, bool):
                raise BehaviourInvalid("overlap: expected true or false")
        except BehaviourInvalid as error:
            return web.json_response({"message": str(error)}, status=400)
        self._provider.keys.rotate(overlap=overlap)
        return web.json_response({"kid": self._provider.keys.active.kid})

    async def down(self, request: web.Request) -> web.Response:
        try:
            seconds = (await _json(request)).get("seconds", 0)
            number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
            if not number or not 0 < seconds <= MAX_DOWN_S:
                raise BehaviourInvalid(f"seconds: expected a number up to {MAX_DOWN_S}")
        except BehaviourInvalid as error:
            return web.json_response({"message": str(error)}, status=400)
        task = asyncio.ensure_future(self._down_for(seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return web.json_response({"seconds": seconds})


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.text() or "{}")
    except ValueError:
        raise BehaviourInvalid("the body is not JSON") from None
    if not isinstance(document, dict):
        raise BehaviourInvalid("the body has to be a JSON object")
    return document
