"""What plugins need from outside: network, clock, chance, memory shared by the workers, memory of
the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from scopegate.oidc.http import HttpClient
from scopegate.session.remembered import Remembered
from scopegate.session.revocations import Revocations
from scopegate.session.shared_state import SharedState
from scopegate.session.single_flight import FlightsUnderWay


class FactsPort(Protocol):
    """Asks control for newer facts than a policy holds."""

    async def refresh(
        self, key: str, known_id: str | None, key_id: str | None = None
    ) -> Mapping[str, Any] | None:
        """Facts that differ from the known ones; None: the known ones are as new as it gets.

        `known_id`: the content id of the known ones (`ir.policy`); None: nothing is known.
        `key_id`: the `kid` of the token whose key is unknown; None: it has none.
        One question to control per key and known facts at a time; none while control said to wait.
        Raises IdpUnavailable when control or the identity provider does not answer.
        """
        ...

    def suspect(self, key: str) -> None:
        """Tell control that a call to this issuer's token endpoint failed. Never waits."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """One set for a worker, handed to every step of every plugin."""

    http: HttpClient
    shared: SharedState
    revocations: Revocations
    facts: FactsPort
    now: Callable[[], float]
    random_bytes: Callable[[int], bytes]
    refreshes: FlightsUnderWay
    remembered: Remembered = field(default_factory=Remembered)
