"""How a path is joined to the service's: Kong's table for v0 in Envoy's terms.

A plain prefix is replaced by a text, everything else by a regular expression: those are dear to
Envoy when it takes the table, and at every request. Source: contract admin-api.md §3 (upstream
path).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from scopegate.ir.gateway import RESERVED, Forward, PathMatch
from scopegate.ir.matching import prefix_pattern

# Characters by the hexadecimal digits of their codes, percent-encoded once or more.
_SPACES = "(?:%(?:25)*20)*"
_DOT = r"(?:\.|%(?:25)*2[eE])"
_SEPARATOR = "(?:/|%(?:25)*(?:2[fF]|5[cC]))"
# `;`, or what somebody may take for the beginning of parameters, a query or a fragment.
_PARAMETERS = "(?:;|%(?:25)*(?:3[bBfF]|23))"
_DOTS = f"{_SPACES}{_DOT}{_SPACES}(?:{_DOT}{_SPACES})?"
# What must not begin the rest of a path whose prefix is stripped: it would become a dot segment
# (`/route../x` without `/route`). Kong drops `./` and `../` there; so do we, however written.
_REST_DOTS = f"(?:{_DOTS}(?:{_PARAMETERS}[^/]*)?(?:{_SEPARATOR}|$))"
# A pattern that finds less than it could (an escaped `?` behind a repetition looks like one, too).
_LAZY = re.compile(r"[*+?}]\?|\(\?[a-zA-Z-]*U")
# A regex that looks at no second segment: no slash but the first, and nothing that could be one.
_ONE_SEGMENT = re.compile(r"/(?:[A-Za-z0-9_~()|?*+{},$-]|\[[A-Za-z0-9_-]+\]|\\[dw.])*")


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace what `pattern` (RE2, anchored at the start) finds in the path by `substitution`."""

    pattern: str
    substitution: str


@dataclass(frozen=True, slots=True)
class Joining:
    """How some of a route's requests are rewritten.

    paths    all      that the route takes and none before it has
             whole    of which nothing is left when the prefix is stripped
             segment  whose prefix ends where a segment ends
             slash    in which a slash follows the prefix; dot, dots: in which `./`, `../` does
             root     `/` alone
    rewrite  a text in place of the prefix (and of the slash behind it); None: the path stays
    ends     of `whole`: RE2 that these paths must match beside the route's own pattern; "": no more
    """

    paths: Literal["all", "whole", "segment", "slash", "dot", "dots", "root"]
    rewrite: str | Rewrite | None = None
    ends: str = ""


def joining(path: PathMatch | None, forward: Forward, *, dots_arrive: bool) -> tuple[Joining, ...]:
    """The rewrites that join a request's path to the service's base path, tried in order.

    dots_arrive   whether a segment may end in dots and more follow; the filter may refuse that
    """
    if not forward.strip_path or path is None or path == PathMatch("prefix", "/"):
        return tuple(_put_before(path, forward.base_path))
    if is_plain(path) and not path.value.endswith("."):
        stem = forward.base_path.removesuffix("/")
        return tuple(_in_place_of(path.value, stem, dots_arrive=dots_arrive))
    return tuple(_in_place_of_match(path, forward.base_path))


def _put_before(path: PathMatch | None, base: str) -> list[Joining]:
    """Nothing is stripped: `/` alone becomes the base path, anything else is put behind it."""
    if base == "/":
        return [Joining("all")]
    if path is None or path == PathMatch("prefix", "/"):
        if base.endswith("/"):
            return [Joining("all", base)]
        return [Joining("root", base), Joining("all", f"{base}/")]
    if is_plain(path):
        return [Joining("all", base.removesuffix("/") + path.value)]
    return [Joining("all", _rewrite("^/" if base.endswith("/") else "^(?:/$)?", base))]


def _in_place_of(prefix: str, stem: str, *, dots_arrive: bool) -> Iterator[Joining]:
    """Kong drops a dot segment at the beginning of the rest (`/route../x` without `/route`). In
    other spellings (`..;`, `..` at the end) the filter refuses what would leave one.
    """
    if not prefix.endswith("/"):
        if dots_arrive:
            yield Joining("dot", f"{stem}/")
            yield Joining("dots", f"{stem}/")
        yield Joining("segment", stem) if stem else Joining("slash", "/")
    yield Joining("all", f"{stem}/")


def _in_place_of_match(path: PathMatch, base: str) -> list[Joining]:
    stem, start = base.removesuffix("/"), anchored(path)
    usual = Joining("all", _rewrite(f"^{start}{_REST_DOTS}?/?", f"{stem}/"))
    if not stem or (path.kind == "prefix" and path.value.endswith("/")):
        return [usual]
    if path.kind == "regex" and _LAZY.search(path.value):
        return [usual]  # that all of the path could be found does not say that it is
    # Nothing left: the base path, with a slash at its end only when the request had one. With `$`,
    # since of alternatives (`de|de-at`) the first is found, and the rest would run into the base.
    ends = "[^?]*[^/?]" if base.endswith("/") else "/|[^?]*[^/?]"
    exact = _rewrite(f"^{start}$", stem)
    return [Joining("whole", exact, ends if path.kind == "regex" else ""), usual]


def anchored(path: PathMatch) -> str:
    """RE2 for what the route's path matches, as one unit without anchor."""
    return f"(?:{path.value})" if path.kind == "regex" else prefix_pattern(path.value)


def is_plain(path: PathMatch) -> bool:
    """Whether a path begins with the text of this one and nothing else, so that no regex is needed.

    Not so where a character has more than one spelling.
    """
    return path.kind == "prefix" and not any(letter in path.value for letter in f"%?#{RESERVED}")


def names_encoded(path: PathMatch, characters: str) -> bool:
    """Whether the path itself names one of these characters so that it may arrive encoded.

    What a range of a regex takes besides is not named.
    """
    if is_plain(path):
        return False
    pattern = anchored(path)
    return any(f"(?i:%{ord(character):02X})" in pattern for character in characters)


def goes_deeper(path: PathMatch | None) -> bool:
    """Whether more than the first segment counts; else it does not matter how that one ends."""
    if path is None:
        return False
    if path.kind == "regex":
        return _ONE_SEGMENT.fullmatch(path.value) is None
    return re.search("/|%2F|%5C", path.value[1:]) is not None


def stripped_prefix(path: PathMatch | None, forward: Forward) -> str | None:
    """The text for X-Forwarded-Prefix, when a fixed text other than `/` is stripped."""
    if not forward.strip_path or path is None or path.kind == "regex" or path.value == "/":
        return None
    return path.value


def _rewrite(pattern: str, substitution: str) -> Rewrite:
    return Rewrite(pattern, substitution.replace("\\", "\\\\"))
