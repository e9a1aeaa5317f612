"""Revocations, published to those who cache decisions. What does it: revocation_file.py."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol


class Revocations(Protocol):
    """Where ends are published."""

    async def publish(self, tags: Sequence[str]) -> None:
        """No cached decision with one of these tags is good any more, within a second.

        Raises SharedStateUnavailable: then nobody may be told that it is over.
        """
        ...


_collected: ContextVar[list[str] | None] = ContextVar("collected revocations", default=None)


def collect() -> list[str]:
    """A list that gets the tags that this task, and those that it starts, publish from now on
    through `Collecting`. Each request is decided in a task of its own."""
    tags: list[str] = []
    _collected.set(tags)
    return tags


class Collecting:
    """Publishes, and notes the tags for the check response: with it they are effective at once."""

    def __init__(self, revocations: Revocations) -> None:
        self._revocations = revocations

    async def publish(self, tags: Sequence[str]) -> None:
        tags_of_request = _collected.get()
        if tags_of_request is not None:
            tags_of_request += tags
        await self._revocations.publish(tags)
