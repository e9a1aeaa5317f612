"""Claims: looking one up by its path, reading it as words, comparing with what is required.

Source: contract openid-connect.md §5 and §6; OpenID Connect Core 1.0 §5.3.2 (a claim with the value
null is the same as an absent one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# RFC 6749 §3.3 separates scope words by a blank. Other ASCII white space is taken the same way;
# Unicode's is not: a word may not fall apart at a character that nobody can see.
_WHITE_SPACE = re.compile(r"[ \t\r\n\f\v]+")


def find_claim(claims: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The value at `path`, or None when a step of it is missing.

    Only objects are walked, names match exactly, a dot is part of a name. A null counts as absent;
    an empty path finds nothing.
    """
    value: Any = claims if path else None
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def words(value: Any) -> list[str]:
    """A claim's value as a list of words, in the token's own order.

    A string is split at white space, an array gives its elements as they are (a group called
    "Domain Admins" stays one word), a number or boolean its JSON text. Objects and null give no
    word, nor do objects, arrays and nulls inside an array.
    """
    if isinstance(value, str):
        return [word for word in _WHITE_SPACE.split(value) if word]
    if isinstance(value, list | tuple):
        return [text for text in map(_text, value) if text]
    text = _text(value)
    return [text] if text else []


def satisfies(required: Iterable[str], found: Iterable[str]) -> bool:
    """Whether `found` meets one entry of `required`.

    Entries are alternatives; the blank-separated words of an entry must all be found, each exactly.
    An entry without words is met by nothing, and neither is an empty `required`: whoever has no
    requirement does not ask.
    """
    present = frozenset(found)
    return any(present.issuperset(entry) for entry in alternatives_of(required))


def alternatives_of(required: Iterable[str]) -> tuple[frozenset[str], ...]:
    """The entries of `required`, each as its words; those without words are left out."""
    return tuple(frozenset(entry) for entry in map(words, required) if entry)


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return None
