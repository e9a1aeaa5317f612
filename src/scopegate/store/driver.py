"""The database driver: what its errors mean, and that it is never interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from sqlalchemy import exc

from scopegate.store.protocol import StoreUnavailable

Result = TypeVar("Result")

OUR_MISTAKES = (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.NotSupportedError)


@contextmanager
def database_errors() -> Iterator[None]:
    """StoreUnavailable in place of what the driver says when the database does not answer."""
    try:
        yield
    except exc.TimeoutError as error:
        raise StoreUnavailable("no database connection became free in time") from error
    except exc.DBAPIError as error:
        if isinstance(error, OUR_MISTAKES):
            raise
        raise StoreUnavailable(f"the database does not answer: {error.orig}") from error


async def to_the_end(operation: Coroutine[Any, Any, Result]) -> Result:
    """The result of `operation`; whoever is cancelled meanwhile is so once it has ended.

    A driver that is interrupted in the middle of a statement gives its connection up without
    closing it, and an open transaction with its lock would live on in there.
    """
    task = asyncio.create_task(operation)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at: nobody else will, and asyncio would complain
        raise
