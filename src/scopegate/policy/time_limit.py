"""A time limit that costs nothing where nothing is waited for.

Most decisions are made without a single wait. A timer for each of them would cost more than what it
guards: what does not wait, no timer could interrupt either.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def within(limit_s: float, work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` gives or raises. Raises TimeoutError when it waits for longer than that."""
    try:
        waited_for = work.send(None)
    except StopIteration as done:
        result: _Result = done.value
        return result
    async with asyncio.timeout(limit_s):
        return await _rest(work, waited_for)


@types.coroutine
def _rest(work: Coroutine[Any, Any, _Result], waited_for: Any) -> Generator[Any, Any, _Result]:
    """`work` from its first wait on, as `await` would have gone on with it."""
    try:
        while True:
            try:
                sent = yield waited_for
            except BaseException as problem:  # noqa: BLE001 - it is for whoever waits
                waited_for = work.throw(problem)
            else:
                waited_for = work.send(sent)
    except StopIteration as done:
        result: _Result = done.value
        return result
    finally:
        work.close()
