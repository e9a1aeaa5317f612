"""What a yes of a policy rests on, and how a yes is handed over to be given again.

The policy service alone decides; Envoy remembers (docs/adr/0035). Two texts travel for that, both
read by `envoy/remember.lua`:

A route's `replay` (route metadata): `part=a,b,c` joined by blanks, see `ReplayKey.text`; beside it
its `id`.

A grant (header GRANT of a yes, with GRANTED beside it): `until tags removed`, ` name length value`
for each header, ` .`.

    until     unix second in which it is no longer good
    tags      names of revocations that end it, joined by commas; `-` for none
    removed   headers of the request that do not go on, joined by commas; `-` for none
    name …    a header for the upstream; length of its value in bytes, and the value
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

GRANT = "x-scopegate-grant"
GRANTED = "x-scopegate-granted"
"""`1` beside a grant. Envoy puts it into the answer for the client, where `remember.lua` takes it
out: only answers that have it are looked at on their way back."""

_ODD = re.compile("[^a-z0-9]")
# What may stand in a list: a blank or a comma would cut it short.
_WORD = re.compile("[!-+\\x2d-~]+")
_PLAIN = re.compile("[A-Za-z0-9/._~-]+")
IN_EVERY_KEY = frozenset({"authorization", "cookie"})
NONE = "-"
_ID_DIGITS = 24
_END = "."  # a blank at the end of a header would be lost on the way


@dataclass(frozen=True, slots=True)
class ReplayKey:
    """What of a request a policy looks at before it says yes. All else may differ.

    headers     names, lower case, whose values are part of the key (`:scheme` counts as one), and
                `authorization` and `cookie` always; where one comes twice or empty the request is
                asked about
    stripped    names, lower case, of headers of clients that never go on
    arguments   query arguments that are looked for: a request that may have one is asked about
    methods     requests with these are asked about
    suffixes    requests whose path ends so are asked about; each is plain (`is_plain_suffix`)
    media       requests whose Content-Type holds one of these, lower case, are asked about

    Raises ValueError for a name that is no word (`is_word`), but for an argument's.
    """

    headers: frozenset[str]
    stripped: frozenset[str] = frozenset()
    arguments: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()
    suffixes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for words in (self.headers, self.stripped, self.methods, self.media, self.suffixes):
            if odd := [word for word in words if not is_word(word)]:
                raise ValueError(f"cannot stand in a route's `replay`: {odd[0]!r}")

    @property
    def guarded(self) -> frozenset[str]:
        """Headers that the policy reads or sets."""
        return self.headers | self.stripped

    def joined(self, other: ReplayKey) -> ReplayKey:
        """What both look at."""
        return ReplayKey(
            self.headers | other.headers,
            self.stripped | other.stripped,
            self.arguments | other.arguments,
            self.methods | other.methods,
            self.media | other.media,
            self.suffixes | other.suffixes,
        )

    def text(self, policy_id: str) -> str:
        """For the route's metadata. Names of arguments that nothing distinguishes are one."""
        key = self.headers | IN_EVERY_KEY
        parts = {
            "policy": [policy_id],
            "key": sorted(key),
            "stripped": sorted(self.stripped - key),
            "arguments": sorted({plain_name(name, "_") for name in self.arguments}),
            "methods": sorted(self.methods),
            "media": sorted(self.media),
            "suffixes": sorted(self.suffixes),
        }
        return " ".join(f"{name}={','.join(words)}" for name, words in parts.items())


def is_word(text: str) -> bool:
    """Whether a name can stand in a route's `replay`, which is a list of words."""
    return _WORD.fullmatch(text) is not None


def is_plain_suffix(text: str) -> bool:
    """Whether the end of a path can stand in a route's `replay`."""
    return _PLAIN.fullmatch(text) is not None


def plain_name(name: str, joint: str) -> str:
    """How a lenient server may read a name: lower case, all but letters and digits alike."""
    return _ODD.sub(joint, name.lower())


def text_id(text: str) -> str:
    """A short name for a route's `replay`: its `id`."""
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def grant_text(
    until_s: int,
    tags: Iterable[str],
    removed: Iterable[str],
    headers: Iterable[tuple[str, str]],
) -> str:
    """A grant as it travels."""
    first = [str(until_s), ",".join(tags) or NONE, ",".join(removed) or NONE]
    pairs = (f"{name} {len(value.encode())} {value}" for name, value in headers)
    return " ".join([*first, *pairs, _END])
