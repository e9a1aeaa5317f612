"""What every reason is: a stable code, with what it means and what to do about it.

Each layer that gives reasons has a `reasons.py`; docs/reference/reasons.md has them all.
"""

from __future__ import annotations

from enum import StrEnum


class ReasonCode(StrEnum):
    """A stable code, snake_case: never renamed, never used for something else.

    statuses      HTTP statuses of the answers that carry it; empty where it refuses nothing
    explanation   what it means: one sentence or two, for whoever reads the log
    action        what the operator looks at or changes; "" where there is nothing to do

    A code stands in one class only: the page, and whoever reads a code from a wire, would not know
    which is meant. A second one raises ValueError.
    """

    statuses: tuple[int, ...]
    explanation: str
    action: str

    def __new__(
        cls, code: str, statuses: int | tuple[int, ...], explanation: str, action: str
    ) -> ReasonCode:
        if code in _BY_CODE:
            raise ValueError(f"{code}: there is such a reason already")
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.statuses = statuses if isinstance(statuses, tuple) else (statuses,)
        reason.explanation = explanation
        reason.action = action
        _BY_CODE[code] = reason
        return reason


_BY_CODE: dict[str, ReasonCode] = {}


def known_reason(code: str) -> ReasonCode | None:
    """The reason that another process named; None for one of another version."""
    return _BY_CODE.get(code)
