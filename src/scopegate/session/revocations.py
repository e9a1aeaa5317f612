"""What is over, told to those who remember a yes. The file that does it: revocation_file.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Revocations(Protocol):
    """Where ends are told."""

    async def publish(self, tags: Sequence[str]) -> None:
        """Nothing that was remembered under these tags counts any more, within a second.

        Raises SharedStateUnavailable: then nobody may be told that it is over.
        """
        ...
