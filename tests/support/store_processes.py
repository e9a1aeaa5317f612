"""What tests run in processes of their own, beside or until SIGKILL."""

from __future__ import annotations

import asyncio
import secrets
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

from scopegate.store.protocol import Store
from scopegate.store.sqlite import open_sqlite
from support.documents import consumer


async def _open(path: Path) -> Store:
    return await open_sqlite(path, random_bytes=secrets.token_bytes, now_s=time.time)


def write_pairs(path: Path, prefix: str, answers: Connection) -> None:
    """Write pairs of consumers for ever; send each pair's name once its write was answered."""

    async def write() -> None:
        store = await _open(path)
        answers.send("open")
        number = 0
        while True:
            number += 1
            name = f"{prefix}-{number}"
            async with store.write() as transaction:
                await transaction.insert("consumers", consumer(username=f"{name}-a", tags=["x"]))
                await transaction.insert("consumers", consumer(username=f"{name}-b", tags=["x"]))
            answers.send(name)

    asyncio.run(write())


def count_up(path: Path, service_id: str, times: int, start: Barrier) -> None:
    """Add one to the retries of a service, so many times, reading and writing each time."""

    async def count() -> None:
        start.wait()
        store = await _open(path)
        for _ in range(times):
            async with store.write() as transaction:
                document = await transaction.get("services", {"id": service_id})
                assert document is not None
                document["retries"] += 1
                await transaction.replace("services", document)
        await store.close()

    asyncio.run(count())


def open_once(path: Path, start: Barrier, answers: Connection) -> None:
    """Open a store at the same moment as others do; send the cluster's secret."""

    async def open_and_tell() -> None:
        start.wait()
        store = await _open(path)
        answers.send((await store.snapshot()).cluster_secret)
        await store.close()

    asyncio.run(open_and_tell())
