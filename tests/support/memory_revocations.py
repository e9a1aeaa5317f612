"""Revocations that are only listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class MemoryRevocations:
    """`published` has all tags, in order."""

    published: list[str] = field(default_factory=list)

    async def publish(self, tags: Sequence[str]) -> None:
        self.published += tags
