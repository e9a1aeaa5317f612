"""Hosts and paths that two servers may read differently (ADR 0011): the specification of the proxy
filter's guard (`proxy_filter/src/guard.rs`), from which `guard_vectors.py` makes its examples.

All patterns must match the whole path as Envoy has normalised it: dot segments,
`\\` and unreserved characters are resolved, `%2F`, `%2E` behind another encoding and the like
are not. A server further on may decode those once more, drop `;parameters` and blanks, and see
another path than the one whose policy was asked.
Source: contract openid-connect.md §22 (3).
"""

from __future__ import annotations

_WORD = "[A-Za-z0-9_~-]+"

ORDINARY = rf"(?:/{_WORD}(?:\.{_WORD})*)*/?"
"""What none of the patterns below matches, at the price of one: words with single dots in them.
Most paths are so; others are looked at closely."""


def _encoded(digits: str) -> str:
    """A character by the hexadecimal digits of its code, percent-encoded once or more."""
    return rf"%(?:25)*(?:{digits})"


_SLASH = _encoded("2[fF]|5[cC]")
_SEPARATOR = rf"(?:/|{_SLASH})"
_DOT = rf"(?:\.|{_encoded('2[eE]')})"
_BLANK = _encoded("20")
_BLANKS = rf"(?:{_BLANK})*"
_PARAMETERS = rf"(?:;|{_encoded('3[bB]')})"
# Where a segment may end for somebody: at a separator, or what he takes for the beginning of
# parameters, a query or a fragment.
_END_BUT_SLASH = rf"(?:{_SLASH}|;|{_encoded('3[bBfF]|23')}|$)"
_END = rf"(?:/|{_END_BUT_SLASH})"
_UNRESERVED = "2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE]"

DOTS = rf"{_BLANKS}{_DOT}{_BLANKS}(?:{_DOT}{_BLANKS})?"
"""`.` or `..`, however written."""

_AMBIGUOUS = (
    # a dot segment, with or without parameters
    rf"{_SEPARATOR}{DOTS}{_END}",
    # a segment that ends in two dots, or in a dot behind a blank: without a prefix that ends before
    # them it would be a dot segment. Dots and a slash are left to who strips the prefix.
    rf"[^/.]{_DOT}{_BLANKS}{_DOT}(?:{_BLANKS}{_END_BUT_SLASH}|(?:{_BLANK})+/)",
    rf"{_BLANK}{_DOT}{_BLANKS}(?:{_DOT}{_BLANKS})?{_END}",
    rf"{_DOT}(?:{_BLANK})+{_DOT}{_BLANKS}/",
    # an empty segment between two separators
    rf"{_SEPARATOR}{_BLANKS}{_SEPARATOR}",
    # a segment of nothing but parameters, with more behind it
    rf"{_SEPARATOR}{_BLANKS}{_PARAMETERS}.*{_SEPARATOR}",
    # control characters
    _encoded("[01][0-9a-fA-F]|7[fF]"),
    # longer UTF-8 than needed
    _encoded("[cC][01]"),
    rf"{_encoded('[eE]0')}{_encoded('[89][0-9a-fA-F]')}",
    rf"{_encoded('[fF]0')}{_encoded('8[0-9a-fA-F]')}",
    # % without two digits
    r"%(?:[^0-9a-fA-F]|[0-9a-fA-F][^0-9a-fA-F]|[0-9a-fA-F]?$)",
    # letters, digits, - . _ ~ encoded more than once: nobody encodes them even once, and the digits
    # of another encoding can be written so
    rf"%(?:25)+(?:{_UNRESERVED})",
)

AMBIGUOUS = rf".*(?:{'|'.join(_AMBIGUOUS)}).*"

TRAILING_DOTS = rf".*(?:{_DOT}|{_BLANK}){_SEPARATOR}.*"
"""A segment that ends in a dot or a blank, with more behind it. Windows drops these and reads
`/api./admin` as `/api/admin`, which may have another route.
"""

ESCAPED_SLASH = rf".*{_SLASH}.*"
"""An encoded slash or backslash anywhere: refused unless it is asked for."""

PATH_PARAMETERS = rf".*{_PARAMETERS}.*"
"""A `;` anywhere, encoded or not: refused unless it is asked for. Who takes parameters off reads
`/api;x/admin` as `/api/admin`, which may have another route.
"""

WELL_FORMED_HOST = r"(?:[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?"
"""A name of non-empty labels, perhaps with a dot at its end, or an IPv6 address; perhaps a port."""
