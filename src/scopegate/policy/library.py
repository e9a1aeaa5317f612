"""The policies of this node, loaded from files that are named by the hash of their content.

Control writes a policy file before Envoy hears of its id and never changes it afterwards. So a
policy that was read once is good for ever; one whose content does not match its name is refused.

A file is read in a thread: a disk that hangs costs the requests that need the file, and no others.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from scopegate.ir import policy as ir
from scopegate.plugins.access import Step
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.session.disk_thread import DiskHangs, DiskThread

_ID = re.compile(r"[0-9a-f]{32}")
_VERSIONS_READY = 2
"""Of one chain of plugins: the version that decides now, and the one before, by which Envoy's
workers may still ask. What was taken out of memory is read again if somebody names it."""
_CHAINS_READY = 4096
"""A bound on what deleted plugins leave behind, above the routes that one worker serves well."""
READ_LIMIT_S = 2.0

PrepareStep = Callable[[ir.Step, ConsumerIndex], Step]


class PolicyUnusable(Exception):
    """There is no such policy here, its file is damaged, or the disk does not answer."""


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step that is ready to be asked, with the names that logs and metrics want."""

    plugin: str
    plugin_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class PreparedPolicy:
    """Steps in their order, and the text of the cache profile."""

    steps: Sequence[PreparedStep]
    profile: str | None


_Chain = tuple[str, ...]
"""The ids of a policy's plugins, in order: what its versions have in common."""


class PolicyLibrary:
    """Policies by id; of each chain of plugins the newest are kept ready."""

    def __init__(
        self, folder: Path, prepare: PrepareStep, *, read_limit_s: float = READ_LIMIT_S
    ) -> None:
        self._folder = folder
        self._disk = DiskThread(read_limit_s)
        self._loading = asyncio.Lock()
        self._prepare = prepare
        self._ready: dict[str, PreparedPolicy] = {}
        self._versions: OrderedDict[_Chain, list[str]] = OrderedDict()
        self._directories: WeakValueDictionary[str, ConsumerIndex] = WeakValueDictionary()

    async def get(self, policy_id: str) -> PreparedPolicy:
        """The prepared policy. Raises PolicyUnusable."""
        ready = self._ready.get(policy_id)
        if ready is not None:
            return ready
        async with self._loading:  # whoever asked meanwhile finds it ready
            return self._ready.get(policy_id) or await self._prepared(policy_id)

    def close(self) -> None:
        """Nothing more is read."""
        self._disk.leave()

    async def _prepared(self, policy_id: str) -> PreparedPolicy:
        policy = await self._load(policy_id)
        if not policy.steps:
            raise PolicyUnusable(f"policy {policy_id} has no steps")
        consumers = await self._consumers(policy.consumers)
        steps = tuple(
            PreparedStep(step.plugin, step.plugin_id, self._prepare(step, consumers))
            for step in policy.steps
        )
        prepared = PreparedPolicy(steps, None if policy.profile is None else str(policy.profile))
        self._keep(policy_id, prepared)
        return prepared

    def _keep(self, policy_id: str, prepared: PreparedPolicy) -> None:
        """Ready from now on; requests under way hold what they were given."""
        self._ready[policy_id] = prepared
        chain = tuple(step.plugin_id for step in prepared.steps)
        versions = self._versions.setdefault(chain, [])
        versions.append(policy_id)
        self._versions.move_to_end(chain)
        gone = [versions.pop(0)] if len(versions) > _VERSIONS_READY else []
        if len(self._versions) > _CHAINS_READY:
            gone += self._versions.popitem(last=False)[1]
        for former in gone:
            del self._ready[former]

    async def _load(self, policy_id: str) -> ir.Policy:
        content = await self._read("policy", policy_id)
        try:
            return ir.Policy.from_json(content)
        except (ValueError, KeyError, TypeError) as problem:
            raise PolicyUnusable(f"policy {policy_id} cannot be read: {problem}") from None

    async def _consumers(self, directory_id: str | None) -> ConsumerIndex:
        if directory_id is None:
            return ConsumerIndex(())
        index = self._directories.get(directory_id)
        if index is None:
            content = await self._read("consumers", directory_id)
            index = ConsumerIndex.from_documents(json.loads(content))
            self._directories[directory_id] = index
        return index

    async def _read(self, kind: str, content_id: str) -> bytes:
        if not _ID.fullmatch(content_id):
            raise PolicyUnusable(f"{kind}: not an id of ours")
        path = self._folder / f"{kind}-{content_id}.json"
        try:
            content = await self._disk.run(path.read_bytes)
        except DiskHangs as problem:
            raise PolicyUnusable(f"{kind} {content_id}: {problem}") from None
        except OSError as problem:
            raise PolicyUnusable(f"{kind} {content_id}: {problem.strerror}") from None
        if ir.content_id(content) != content_id:
            raise PolicyUnusable(f"{kind} {content_id} is not what its name says")
        return content
