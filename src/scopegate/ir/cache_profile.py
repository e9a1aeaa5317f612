"""What a policy reads of a request before it allows it: the part of a decision's cache key that
depends on the policy. Source: docs/check-protocol.md, "Profile"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

_HEADER = re.compile("[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9110 §5.1, lower case
_WORD = re.compile("[!-+\\x2d-~]+")  # a space or a comma would cut a list short
_PLAIN = re.compile("[A-Za-z0-9/._~-]+")
_ODD = re.compile("[^a-z0-9]")
_IN_EVERY_KEY = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class CacheProfile:
    """What of a request a policy looks at. All else may differ.

    key         headers, lower case, whose values are the cache key; `:scheme` stands for the
                scheme. `authorization` and `cookie` are always among them
    strip       headers, lower case, that only the gateway may set; those of `key` are left out
    arguments   query arguments that are looked for; kept in lower case, `_` for all but letters
                and digits
    methods     requests with these are asked about
    media       requests whose Content-Type contains one of these, lower case, are asked about
    suffixes    requests whose path ends with one of these are asked about (`is_plain_suffix`)

    Raises ValueError for what cannot stand in a list; an argument may be anything but empty.
    """

    key: frozenset[str] = frozenset()
    strip: frozenset[str] = frozenset()
    arguments: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        key = self.key | _IN_EVERY_KEY
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "strip", self.strip - key)
        arguments = frozenset(_ODD.sub("_", name.lower()) for name in self.arguments)
        object.__setattr__(self, "arguments", arguments)
        for names in (key - {":scheme"}, self.strip):
            _check(is_header_name, names)
        for words in (arguments, self.methods, self.media, self.suffixes):
            _check(_WORD.fullmatch, words)

    @property
    def headers(self) -> frozenset[str]:
        """Headers that the policy reads or sets."""
        return self.key | self.strip

    def joined(self, other: CacheProfile) -> CacheProfile:
        """What both look at."""
        return CacheProfile(*(getattr(self, part) | getattr(other, part) for part in _PARTS))

    def __str__(self) -> str:
        return " ".join(f"{part}={','.join(sorted(getattr(self, part)))}" for part in _PARTS)

    @classmethod
    def read(cls, text: str) -> CacheProfile:
        """The profile that is written so. Raises ValueError for any other text."""
        parts = [part.partition("=")[2] for part in text.split(" ")[: len(_PARTS)]]
        profile = cls(*(frozenset(words.split(",") if words else ()) for words in parts))
        if str(profile) != text:
            raise ValueError(f"not a cache profile: {text!r}")
        return profile


_PARTS = tuple(field.name for field in fields(CacheProfile))


def is_header_name(text: str) -> bool:
    """Whether it is the name of a header, in lower case. Source: RFC 9110 §5.1."""
    return _HEADER.fullmatch(text) is not None


def _check(is_good: Callable[[str], object], words: Iterable[str]) -> None:
    for word in words:
        if not is_good(word):
            raise ValueError(f"cannot stand in a cache profile: {word!r}")


def is_plain_suffix(text: str) -> bool:
    """Whether the end of a path can stand in a profile: no other spelling of it is the same."""
    return _PLAIN.fullmatch(text) is not None
