"""A policy: what a request must pass, named by the hash of its content.

Policies travel from control to the policy service as canonical JSON. Because the name is the hash,
Envoy and the policy service can never disagree about which version decides.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scopegate.ir.cache_profile import CacheProfile

Json = Any  # JSON-shaped data: None, bool, int, float, str, list, dict


@dataclass(frozen=True, slots=True)
class Step:
    """One plugin's part of a policy.

    plugin      the plugin's name
    plugin_id   the id of the configured instance, for logs and metrics
    config      the instance's configuration as the plugin's `access` wants it
    facts       what the outside told us and this step rests on (discovery, keys), or None
    """

    plugin: str
    plugin_id: str
    config: Mapping[str, Json] = field(repr=False)
    facts: Mapping[str, Json] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Policy:
    """Steps in the order in which they run.

    reads_body          a step may want to see a form or JSON body
    consumers           content id of the consumer directory that a step looks in, or None
    profile             what it reads of a request; None: no decision may be cached
    """

    steps: tuple[Step, ...]
    reads_body: bool = False
    consumers: str | None = None
    profile: CacheProfile | None = None

    def to_json(self) -> bytes:
        """Canonical JSON (sorted keys, no spaces): the same policy, the same bytes."""
        document = {
            "steps": [
                {
                    "plugin": step.plugin,
                    "plugin_id": step.plugin_id,
                    "config": step.config,
                    "facts": step.facts,
                }
                for step in self.steps
            ],
            "reads_body": self.reads_body,
            "consumers": self.consumers,
            "profile": None if self.profile is None else str(self.profile),
        }
        return canonical_json(document)

    @property
    def id(self) -> str:
        """32 hex digits: the first half of the SHA-256 of the canonical JSON."""
        return content_id(self.to_json())

    @classmethod
    def from_json(cls, text: bytes) -> Policy:
        """The policy that `to_json` wrote. Raises ValueError or KeyError on anything else."""
        document = json.loads(text)
        steps = tuple(
            Step(step["plugin"], step["plugin_id"], step["config"], step["facts"])
            for step in document["steps"]
        )
        profile = document["profile"]
        return cls(
            steps,
            document["reads_body"],
            document["consumers"],
            None if profile is None else CacheProfile.read(profile),
        )


def canonical_json(document: Json) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def content_id(content: bytes) -> str:
    """32 hex digits of SHA-256: the name of a piece of content."""
    return hashlib.sha256(content).hexdigest()[:32]
