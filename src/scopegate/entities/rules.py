"""Rules for one value, in Kong's words.

A rule says what is wrong with a value of the right type, or None, and describes itself as Kong's
schemas do. Patterns are Python's; Kong's own are Lua's. Source: contract admin-api.md §2 (texts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Rule(Protocol):
    """One thing that a value must fulfil."""

    def fault(self, value: Any) -> str | None:
        """What is wrong, or None."""
        ...

    def describe(self) -> dict[str, Any]:
        """The attributes that this rule adds to the field's description."""
        ...


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The text begins so."""

    prefix: str

    def fault(self, value: Any) -> str | None:
        return None if value.startswith(self.prefix) else f"should start with: {self.prefix}"

    def describe(self) -> dict[str, Any]:
        return {"starts_with": self.prefix}


@dataclass(frozen=True, slots=True)
class Match:
    """The pattern is found."""

    pattern: str

    def fault(self, value: Any) -> str | None:
        return None if re.search(self.pattern, value) else f"invalid value: {value}"

    def describe(self) -> dict[str, Any]:
        return {"match": self.pattern}


@dataclass(frozen=True, slots=True)
class MatchNone:
    """The pattern is not found."""

    pattern: str
    err: str

    def fault(self, value: Any) -> str | None:
        return self.err if re.search(self.pattern, value) else None

    def describe(self) -> dict[str, Any]:
        return {"match_none": [{"pattern": self.pattern, "err": self.err}]}


@dataclass(frozen=True, slots=True)
class MatchAny:
    """One of the patterns is found."""

    patterns: tuple[str, ...]
    err: str

    def fault(self, value: Any) -> str | None:
        return None if any(re.search(pattern, value) for pattern in self.patterns) else self.err

    def describe(self) -> dict[str, Any]:
        return {"match_any": {"patterns": list(self.patterns), "err": self.err}}


@dataclass(frozen=True, slots=True)
class NotEqual:
    """The value is another one."""

    value: Any
    err: str

    def fault(self, value: Any) -> str | None:
        return self.err if value == self.value else None

    def describe(self) -> dict[str, Any]:
        return {"ne": self.value, "err": self.err}


@dataclass(frozen=True, slots=True)
class ExclusiveSubsets:
    """All members come from one of the subsets."""

    subsets: tuple[tuple[str, ...], ...]

    def fault(self, value: Any) -> str | None:
        touched: list[tuple[str, ...]] = []
        for member in value:
            for subset in self.subsets:
                if member in subset and subset not in touched:
                    touched.append(subset)
        if len(touched) < 2:
            return None
        lists = ", ".join(f"({quoted(subset)})" for subset in touched)
        return f"these sets are mutually exclusive: {lists}"

    def describe(self) -> dict[str, Any]:
        return {"mutually_exclusive_subsets": [list(subset) for subset in self.subsets]}


@dataclass(frozen=True, slots=True)
class Must:
    """What no other rule can say: `check` returns what is wrong, or None."""

    check: Callable[[Any], str | None]

    def fault(self, value: Any) -> str | None:
        return self.check(value)

    def describe(self) -> dict[str, Any]:
        return {}


def quoted(words: Sequence[str]) -> str:
    """`'a', 'b'`."""
    return ", ".join(f"'{word}'" for word in words)


def control_character_fault(text: str) -> str | None:
    """Why this text must not stand in a header, a cookie or a URL, or None."""
    if any(character < " " or character == "\x7f" for character in text):
        return "must not contain control characters"
    return None
