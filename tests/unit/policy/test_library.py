"""Policies in the memory of a worker: which are kept ready, and what they share."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scopegate.ir.policy import Policy, Step, content_id
from scopegate.plugins.access import Continue, Outcome, Request
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.policy.library import PolicyLibrary, PolicyUnusable

READ_LIMIT_S = 0.3


class Prepared:
    def __init__(self, step: Step, consumers: ConsumerIndex) -> None:
        self.version: Any = step.config["version"]
        self.consumers = consumers

    async def access(self, request: Request) -> Outcome:
        return Continue()


class Shelf:
    """The folder that control writes, and how often a step was prepared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepared: list[tuple[str, Any]] = []
        self.library = PolicyLibrary(folder, self._prepare, read_limit_s=READ_LIMIT_S)

    def _prepare(self, step: Step, consumers: ConsumerIndex) -> Prepared:
        self.prepared.append((step.plugin_id, step.config["version"]))
        return Prepared(step, consumers)

    def write(self, version: int, plugin_id: str = "one", consumers: str | None = None) -> str:
        config: Mapping[str, Any] = {"version": version}
        policy = Policy((Step("openid-connect", plugin_id, config),), consumers=consumers)
        (self.folder / f"policy-{policy.id}.json").write_bytes(policy.to_json())
        return policy.id

    def write_consumers(self, *names: str) -> str:
        records = [{"id": name, "username": name, "custom_id": None} for name in names]
        content = json.dumps(records).encode()
        (self.folder / f"consumers-{content_id(content)}.json").write_bytes(content)
        return content_id(content)

    async def step(self, policy_id: str) -> Prepared:
        [prepared] = (await self.library.get(policy_id)).steps
        assert isinstance(prepared.step, Prepared)
        return prepared.step


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    yield made
    made.library.close()


async def test_a_policy_is_prepared_once(shelf: Shelf) -> None:
    policy_id = shelf.write(1)
    assert await shelf.step(policy_id) is await shelf.step(policy_id)
    assert shelf.prepared == [("one", 1)]


async def test_a_policy_that_many_ask_for_at_once_is_prepared_once(shelf: Shelf) -> None:
    policy_id = shelf.write(1)
    first, *others = await asyncio.gather(*(shelf.step(policy_id) for _ in range(20)))
    assert all(other is first for other in others)
    assert shelf.prepared == [("one", 1)]


async def test_of_a_policy_that_changes_again_and_again_two_versions_stay_ready(
    shelf: Shelf,
) -> None:
    """The one that decides now, and the one before for requests that were asked about with it."""
    other = shelf.write(0, "other")
    await shelf.step(other)
    ids = [shelf.write(version) for version in range(50)]
    former = [weakref.ref(await shelf.step(policy_id)) for policy_id in ids]
    gc.collect()
    assert [ref() is not None for ref in former] == [False] * 48 + [True] * 2
    shelf.prepared.clear()
    for policy_id in (other, *ids[-2:]):
        await shelf.step(policy_id)
    assert shelf.prepared == []


async def test_a_former_version_still_decides_for_whoever_names_it(shelf: Shelf) -> None:
    first, *others = (shelf.write(version) for version in range(4))
    under_way = await shelf.step(first)
    for policy_id in others:
        await shelf.step(policy_id)
    assert (await shelf.step(first)).version == 0
    assert under_way.version == 0
    # And does not push out the one that is current.
    shelf.prepared.clear()
    assert (await shelf.step(others[-1])).version == 3
    assert shelf.prepared == []


async def test_policies_share_the_consumers_that_they_look_in(shelf: Shelf) -> None:
    directory = shelf.write_consumers("somebody")
    one, two = [
        await shelf.step(shelf.write(1, plugin_id, consumers=directory))
        for plugin_id in ("one", "two")
    ]
    assert one.consumers is two.consumers
    assert one.consumers.find("somebody", ["username"]) is not None
    later = await shelf.step(shelf.write(1, "one", consumers=shelf.write_consumers("another")))
    assert later.consumers is not one.consumers
    assert later.consumers.find("somebody", ["username"]) is None


async def test_consumers_go_with_the_last_policy_that_looks_in_them(shelf: Shelf) -> None:
    first = weakref.ref(
        (await shelf.step(shelf.write(0, consumers=shelf.write_consumers("first")))).consumers
    )
    for version in range(1, 4):
        await shelf.step(shelf.write(version, consumers=shelf.write_consumers(f"{version}")))
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("policy_id", ["", "../../etc/passwd", "0" * 31, "0" * 32])
async def test_what_is_not_there_is_unusable(shelf: Shelf, policy_id: str) -> None:
    with pytest.raises(PolicyUnusable):
        await shelf.library.get(policy_id)


async def test_a_disk_that_hangs_costs_only_those_who_need_what_is_on_it(shelf: Shelf) -> None:
    ready, waiting, hanging = shelf.write(1), shelf.write(2), "0" * 32
    await shelf.step(ready)
    pipe = shelf.folder / f"policy-{hanging}.json"
    os.mkfifo(pipe)  # to open it waits for somebody who writes
    rescue = threading.Timer(3, lambda: pipe.write_bytes(b""))
    rescue.daemon = True
    rescue.start()
    began_s = time.monotonic()
    asked = asyncio.create_task(shelf.library.get(hanging))
    await asyncio.sleep(0.02)
    await shelf.step(ready)
    assert time.monotonic() - began_s < READ_LIMIT_S, "the event loop must not wait"
    with pytest.raises(PolicyUnusable, match="did not answer"):
        await asked
    with pytest.raises(PolicyUnusable, match="has not answered"):
        await shelf.library.get(waiting)
    rescue.cancel()
    pipe.write_bytes(b"")
    async with asyncio.timeout(5):
        while True:
            try:
                assert (await shelf.step(waiting)).version == 2
            except PolicyUnusable:
                await asyncio.sleep(0.005)
            else:
                return
