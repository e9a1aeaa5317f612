"""How a path is joined to the service's: Kong's table for v0 in terms of Envoy's regex rewrite.

Source: contract admin-api.md §3 (upstream path).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scopegate.envoy.ambiguous_paths import REST_DOTS
from scopegate.ir.gateway import RESERVED, Forward, PathMatch

_RESERVED_BY_CODE = {f"%{ord(character):02X}": character for character in RESERVED}


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Replace what `pattern` (RE2, anchored at the start) finds in the path by `substitution`."""

    pattern: str
    substitution: str


@dataclass(frozen=True, slots=True)
class Joining:
    """How a route's requests are rewritten.

    usual      for all but those below; None: the path stays
    exact      for paths of which nothing is left when the prefix is stripped; None: as usual
    exact_end  RE2 that these paths must match beside the route's own pattern; "": no more
    """

    usual: Rewrite | None
    exact: Rewrite | None = None
    exact_end: str = ""


def joining(path: PathMatch | None, forward: Forward) -> Joining:
    """The rewrites that join a request's path to the service's base path."""
    base = forward.base_path
    stem = base.removesuffix("/")
    if not forward.strip_path or path is None or path == PathMatch("prefix", "/"):
        if base == "/":
            return Joining(None)
        # `/` alone becomes the base path, anything else is put behind it
        pattern = "^/" if base.endswith("/") else "^(?:/$)?"
        return Joining(_rewrite(pattern, base))
    start = anchored(path)
    usual = _rewrite(f"^{start}{REST_DOTS}?/?", f"{stem}/")
    if not stem:
        return Joining(usual)
    # Nothing left: the base path, with a slash at its end only when the request had one.
    exact = _rewrite(f"^{start}", stem)
    if path.kind == "prefix":
        return Joining(usual) if path.value.endswith("/") else Joining(usual, exact)
    return Joining(usual, exact, "[^?]*[^/?]" if base.endswith("/") else "/|[^?]*[^/?]")


def anchored(path: PathMatch) -> str:
    """RE2 for what the route's path matches, as one unit without anchor."""
    if path.kind == "regex":
        return f"(?:{path.value})"
    if is_plain(path):
        return re.escape(path.value)
    return "".join(map(_spellings, re.findall("%[0-9A-F]{2}|.", path.value, re.DOTALL)))


def is_plain(path: PathMatch) -> bool:
    """Whether a path begins with the text of this one and nothing else, so that no regex is needed.

    Not so where a character has more than one spelling.
    """
    return path.kind == "prefix" and not any(letter in path.value for letter in f"%{RESERVED}")


def names_encoded(path: PathMatch, characters: str) -> bool:
    """Whether the path itself names one of these characters so that it may arrive encoded.

    What a range of a regex takes besides is not named.
    """
    if is_plain(path):
        return False
    pattern = anchored(path)
    return any(f"(?i:%{ord(character):02X})" in pattern for character in characters)


def _spellings(piece: str) -> str:
    """RE2 for one character of a prefix, in all ways in which it may arrive."""
    character = _RESERVED_BY_CODE.get(piece, piece)
    if character in RESERVED:
        return f"(?:{re.escape(character)}|(?i:%{ord(character):02X}))"
    # Hexadecimal digits may come in either case.
    return f"(?i:{piece})" if len(piece) == 3 else re.escape(piece)


def stripped_prefix(path: PathMatch | None, forward: Forward) -> str | None:
    """The text for X-Forwarded-Prefix, when a fixed text other than `/` is stripped."""
    if not forward.strip_path or path is None or path.kind == "regex" or path.value == "/":
        return None
    return path.value


def _rewrite(pattern: str, substitution: str) -> Rewrite:
    return Rewrite(pattern, substitution.replace("\\", "\\\\"))
