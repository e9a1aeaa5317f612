"""Why Scopegate does not start, in words for the operator."""

from __future__ import annotations


class CannotStart(Exception):
    """Something outside the code stops the start.

    lines   one line each: what is wrong and what to do about it
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class SettingsError(CannotStart):
    """A setting is unknown, not supported yet, or has a wrong value."""
