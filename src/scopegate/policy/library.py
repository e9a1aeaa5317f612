"""The policies of this node, loaded from files that are named by the hash of their content.

Control writes a policy file before Envoy hears of its id and never changes it afterwards. So a
policy that was read once is good for ever; one whose content does not match its name is refused.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scopegate.ir import policy as ir
from scopegate.plugins.access import Step
from scopegate.plugins.consumers import ConsumerIndex

_ID = re.compile(r"[0-9a-f]{32}")
_KEPT = 4096

PrepareStep = Callable[[ir.Step, ConsumerIndex], Step]


class PolicyUnusable(Exception):
    """There is no such policy here, or its file is damaged."""


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """A step that is ready to be asked, with the names that logs and metrics want."""

    plugin: str
    plugin_id: str
    step: Step


PreparedPolicy = Sequence[PreparedStep]


class PolicyLibrary:
    """Policies by id; the ones used last are kept ready."""

    def __init__(self, folder: Path, prepare: PrepareStep) -> None:
        self._folder = folder
        self._prepare = prepare
        self._ready: OrderedDict[str, PreparedPolicy] = OrderedDict()

    def get(self, policy_id: str) -> PreparedPolicy:
        """The prepared policy. Raises PolicyUnusable."""
        ready = self._ready.get(policy_id)
        if ready is not None:
            self._ready.move_to_end(policy_id)
            return ready
        policy = self._load(policy_id)
        if not policy.steps:
            raise PolicyUnusable(f"policy {policy_id} has no steps")
        consumers = self._consumers(policy.consumers)
        prepared = tuple(
            PreparedStep(step.plugin, step.plugin_id, self._prepare(step, consumers))
            for step in policy.steps
        )
        self._ready[policy_id] = prepared
        if len(self._ready) > _KEPT:
            self._ready.popitem(last=False)
        return prepared

    def _load(self, policy_id: str) -> ir.Policy:
        content = self._read("policy", policy_id)
        try:
            return ir.Policy.from_json(content)
        except (ValueError, KeyError, TypeError) as problem:
            raise PolicyUnusable(f"policy {policy_id} cannot be read: {problem}") from None

    def _consumers(self, directory_id: str | None) -> ConsumerIndex:
        if directory_id is None:
            return ConsumerIndex(())
        content = self._read("consumers", directory_id)
        return ConsumerIndex.from_documents(json.loads(content))

    def _read(self, kind: str, content_id: str) -> bytes:
        if not _ID.fullmatch(content_id):
            raise PolicyUnusable(f"{kind}: not an id of ours")
        path = self._folder / f"{kind}-{content_id}.json"
        try:
            content = path.read_bytes()
        except OSError as problem:
            raise PolicyUnusable(f"{kind} {content_id}: {problem.strerror}") from None
        if ir.content_id(content) != content_id:
            raise PolicyUnusable(f"{kind} {content_id} is not what its name says")
        return content
