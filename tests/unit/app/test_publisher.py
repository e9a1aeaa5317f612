"""Writes that wait for the proxy, and control that ends meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

from scopegate.app.publisher import Publisher


class SilentStore:
    """Never hands out a snapshot: a round without end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def snapshot(self) -> None:
        self.asked.set()
        await asyncio.Event().wait()


def publisher_of(store: SilentStore) -> Publisher:
    unused = cast(Any, SimpleNamespace())
    return Publisher(
        store=cast(Any, store),
        issuers=unused,
        compile_=unused,
        files=unused,
        last_good=unused,
        ads=unused,
        envoy=unused,
        metrics=unused,
    )


async def test_writes_under_way_are_answered_when_control_ends() -> None:
    store = SilentStore()
    publisher = publisher_of(store)
    running = asyncio.create_task(publisher.run())
    in_the_round = asyncio.create_task(publisher.publish())
    await store.asked.wait()
    for_the_next = asyncio.create_task(publisher.publish())
    await asyncio.sleep(0)
    assert not in_the_round.done()
    publisher.end()
    async with asyncio.timeout(1):
        results = [await in_the_round, await for_the_next, await publisher.publish()]
    assert {result.state for result in results} == {"pending"}
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
