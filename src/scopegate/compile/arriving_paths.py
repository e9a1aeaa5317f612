"""Route paths as entities hold them, rewritten to how paths arrive at the route table.

Kong matches decoded paths, Envoy encoded ones. What arrives has unreserved characters decoded,
everything that is no URI character encoded, and reserved characters as the client wrote them: a
route takes both spellings, or `%3A` for `:` would lead around it.
Source: contract admin-api.md §3 (input); RFC 3986 §2.2, §2.3, §3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters, digits
from urllib.parse import quote

from scopegate.ir.gateway import RESERVED

# Envoy leaves these as they are; it encodes the rest of ASCII (seen in 1.40).
_AS_WRITTEN = ascii_letters + digits + "-._~" + "/%" + RESERVED
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_METACHARACTERS = frozenset("\\.[(){}*+?|^$")  # without `]`, which is itself outside of a set
_RESERVED_BY_CODE = {f"%{ord(character):02X}": re.escape(character) for character in RESERVED}
_HEX = r"\\x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})"
_TOKEN = re.compile(
    r"(?P<group>\(\?P?<[A-Za-z_][A-Za-z0-9_]*>|\(\?[a-zA-Z-]*[:)])"
    r"|(?P<set>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\])"
    rf"|(?P<hex>{_HEX})|(?P<escaped>\\.)|(?P<repeat>\{{[0-9]+(?:,[0-9]*)?\}})"
    r"|(?P<encoded>%[0-9A-Fa-f]{2})|(?P<plain>.)",
    re.DOTALL,
)
_RANGE_END = rf"{_HEX}|\\.|[^\\]"
_SET_MEMBER = re.compile(
    r"(?P<posix>\[:\^?[a-z]+:\])"
    rf"|(?P<range>(?P<first>{_RANGE_END})-(?P<last>{_RANGE_END}))|(?P<single>{_HEX}|\\.|.)",
    re.DOTALL,
)


def arriving_prefix(path: str) -> str:
    """A plain path, percent-encoded as it arrives, hexadecimal digits in upper case.

    What is encoded although it arrives decoded (`%61`) stays, and matches nothing, as in Kong.
    """
    return _ENCODED.sub(lambda found: found[0].upper(), quote(path, safe=_AS_WRITTEN))


def arriving_regex(pattern: str) -> str:
    """A regular expression for decoded paths, rewritten for paths as they arrive.

    What only arrives encoded is replaced by its encoding; what may arrive encoded, by either
    spelling. `.`, negated sets and classes (`\\W`) still see an encoded character as three; ranges
    beyond ASCII match nothing (`unmatchable_set`).
    """
    return "".join(_arriving_token(kind, text) for kind, text in _tokens(pattern))


def unmatchable_set(pattern: str) -> str | None:
    """The first character set with a range beyond ASCII, which nothing that arrives is in."""
    for kind, text in _tokens(pattern):
        if kind == "set" and any(
            member.lastgroup == "range" and not member[0].isascii()
            for member in _SET_MEMBER.finditer(text[1:-1])
        ):
            return text
    return None


def literal_start(pattern: str) -> str:
    """A plain prefix of everything that the regular expression matches, at least `/`.

    For a pattern that cannot be used, so that what it was meant for can still be refused.
    """
    if "|" in pattern:
        return "/"
    found = re.match(r"[^\\.\[\](){}*+?|^$]*", pattern)
    start = found[0] if found else ""
    if pattern[len(start) : len(start) + 1] in ("*", "?", "{"):
        start = start[:-1]
    return start if start.startswith("/") else "/"


def _tokens(pattern: str) -> Iterator[tuple[str, str]]:
    return ((str(found.lastgroup), found[0]) for found in _TOKEN.finditer(pattern))


def _arriving_token(kind: str, text: str) -> str:
    match kind:
        case "encoded":
            code = text.upper()
            return _alternatives([code], beside=_RESERVED_BY_CODE.get(code, ""))
        case "set" if not text.startswith("[^"):
            encodings = [_only_encoded(one) or _also_encoded(one) for one in _singles(text)]
            encodings = [*filter(None, [*encodings, _reserved_in_ranges(text)])]
            return _alternatives(encodings, beside=text) if encodings else text
        case "escaped" | "hex" | "plain":
            if _also_encoded(text):
                return _alternatives([_also_encoded(text)], beside=text)
            encoding = _only_encoded(text)
            return _alternatives([encoding]) if encoding else text
        case _:
            return text


def _singles(charset: str) -> Iterator[str]:
    for member in _SET_MEMBER.finditer(charset[1:-1]):
        if member.lastgroup == "single":
            yield _outside(member[0])


def _reserved_in_ranges(charset: str) -> str:
    """Regex for reserved characters, encoded, that are in a range of this set; "" for none.

    In one group, so that none of them reads as named by the pattern (`ir.gateway.PathMatch`).
    """
    # An end that is no single character (`\\t`) is a control character.
    ends = [
        [_character(_outside(member[end])) or "\0" for end in ("first", "last")]
        for member in _SET_MEMBER.finditer(charset[1:-1])
        if member.lastgroup == "range"
    ]
    codes = [
        f"{ord(character):02X}"
        for character in RESERVED
        if any(first <= character <= last for first, last in ends)
    ]
    return f"%(?:{'|'.join(codes)})" if codes else ""


def _outside(member: str) -> str:
    """How a member of a set is written outside of one."""
    return f"\\{member}" if member in _METACHARACTERS else member


def _character(text: str) -> str:
    """The character that one token outside of a set stands for; "" for syntax and classes."""
    if text.startswith("\\x"):
        return chr(int(text[2:].strip("{}"), 16))
    if text in _METACHARACTERS or (len(text) == 2 and text[1].isalnum()):
        return ""
    return text[-1]


def _only_encoded(text: str) -> str:
    """How one character arrives when it only arrives encoded."""
    if text == r"\s":
        return "%20"
    character = _character(text)
    if character in ("", "?", "#"):  # cannot stand in a path; encoded they are others to Kong
        return ""
    encoded = quote(character, safe=_AS_WRITTEN)
    return "" if encoded == character else encoded


def _also_encoded(text: str) -> str:
    """How one character arrives encoded when it may arrive as itself, too."""
    character = _character(text)
    return f"%{ord(character):02X}" if character and character in RESERVED else ""


def _alternatives(encodings: list[str], beside: str = "") -> str:
    """Encodings in either case of their digits, as one unit for a quantifier."""
    texts = [f"(?i:{text})" for text in encodings]
    if not beside and len(texts) == 1:
        return texts[0]
    return f"(?:{'|'.join([*filter(None, [beside]), *texts])})"
