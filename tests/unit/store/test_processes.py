"""Several processes on one file, and what SIGKILL leaves of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from multiprocessing.context import ForkServerContext

import pytest

from support.documents import service
from support.store_processes import count_up, open_once, write_pairs

ROUNDS = 6


@pytest.mark.slow
async def test_a_write_that_was_answered_survives_sigkill_and_a_half_one_does_not(
    path, opened, processes: ForkServerContext
) -> None:
    chance = random.Random(20261123)
    answered: set[str] = set()
    for number in range(ROUNDS):
        receiving, sending = processes.Pipe(duplex=False)
        writer = processes.Process(target=write_pairs, args=(path, f"round{number}", sending))
        writer.start()
        sending.close()
        assert receiving.recv() == "open"
        await asyncio.sleep(chance.uniform(0.005, 0.12))
        writer.kill()
        writer.join()
        with suppress(EOFError):
            while True:
                answered.add(receiving.recv())
        async with opened() as store:
            snapshot = await store.snapshot()
            tagged = {id_ async for _, _, id_ in await store.tags()}
        names = {consumer.username for consumer in snapshot.consumers.values()}
        whole = {name[:-2] for name in names}
        assert answered <= whole
        assert names == {f"{name}-{half}" for name in whole for half in "ab"}
        assert tagged == snapshot.consumers.keys()
        assert snapshot.version == len(names)
    assert len(answered) > ROUNDS


async def test_two_processes_never_lose_an_update(
    path, opened, processes: ForkServerContext
) -> None:
    counter = service(retries=0)
    async with opened() as store:
        async with store.write() as transaction:
            await transaction.insert("services", counter)
        start = processes.Barrier(2)
        counters = [
            processes.Process(target=count_up, args=(path, counter["id"], 25, start))
            for _ in range(2)
        ]
        for process in counters:
            process.start()
        for process in counters:
            process.join()
            assert process.exitcode == 0
        assert (await store.snapshot()).services[counter["id"]].retries == 50


def test_processes_that_create_one_database_together_agree(
    path, processes: ForkServerContext
) -> None:
    start = processes.Barrier(4)
    receiving, sending = processes.Pipe(duplex=False)
    openers = [processes.Process(target=open_once, args=(path, start, sending)) for _ in range(4)]
    for process in openers:
        process.start()
    for process in openers:
        process.join()
        assert process.exitcode == 0
    secrets = {receiving.recv() for _ in openers}
    assert len(secrets) == 1
