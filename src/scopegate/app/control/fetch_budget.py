"""How often unknown key ids may make control fetch an issuer anew.

Contract: openid-connect.md §22 point 4.
"""

from __future__ import annotations

from dataclasses import dataclass

FETCHES = 2
"""Per issuer and `rediscovery_lifetime`, whatever key ids are presented."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long not to ask again. `one_key_id`: holds for the key id that was asked about only."""

    seconds: float
    one_key_id: bool = False


class FetchBudget:
    """Two fetches in any window, the second one for another key id than the first.

    So the key id of a token that nobody can verify, presented over and over, leaves one fetch for
    a key that the issuer has just begun to use.
    """

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._spent: list[tuple[float, str | None]] = []

    def pause(self, key_id: str | None, now_s: float) -> Pause:
        """None to wait (0 seconds): a fetch for this key id is allowed. None: it has no id."""
        spent = [entry for entry in self._spent if 0 <= now_s - entry[0] < self._window_s]
        if len(spent) >= FETCHES:
            return Pause(self._window_s - (now_s - spent[0][0]))
        for at_s, spent_on in spent:
            if spent_on == key_id:
                return Pause(self._window_s - (now_s - at_s), one_key_id=True)
        return Pause(0.0)

    def spend(self, key_id: str | None, now_s: float) -> None:
        """A fetch for this key id begins."""
        self._spent = [*self._spent[1 - FETCHES :], (now_s, key_id)]

    def refund(self) -> None:
        """The fetch that began last has failed: it is tried again, at its own pace."""
        self._spent.pop()
