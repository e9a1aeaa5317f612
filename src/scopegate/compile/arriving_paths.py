"""Route paths as entities hold them, rewritten to how paths arrive at the route table.

Kong matches decoded paths, Envoy encoded ones. What arrives has unreserved characters decoded,
everything that is no URI character encoded, and reserved characters as the client wrote them.
Source: contract admin-api.md §3 (input); RFC 3986 §2.2, §2.3, §3.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters, digits
from urllib.parse import quote

# Envoy leaves these as they are; it encodes the rest of ASCII (seen in 1.40).
_AS_WRITTEN = ascii_letters + digits + "-._~" + "/!$&'()*+,;=:@[]%"
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_METACHARACTERS = frozenset("\\.[](){}*+?|^$")
_TOKEN = re.compile(
    r"(?P<group>\(\?P?<[A-Za-z_][A-Za-z0-9_]*>|\(\?[a-zA-Z-]*[:)])"
    r"|(?P<set>\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\])"
    r"|(?P<escaped>\\.)|(?P<encoded>%[0-9A-Fa-f]{2})|(?P<plain>.)",
    re.DOTALL,
)
_SET_MEMBER = re.compile(
    r"(?P<posix>\[:\^?[a-z]+:\])|(?P<range>(?:\\.|[^\\])-(?:\\.|[^\\]))|(?P<single>\\.|.)",
    re.DOTALL,
)


def arriving_prefix(path: str) -> str:
    """A plain path, percent-encoded as it arrives, hexadecimal digits in upper case.

    What is encoded although it arrives decoded (`%61`) stays, and matches nothing, as in Kong.
    """
    return _ENCODED.sub(lambda found: found[0].upper(), quote(path, safe=_AS_WRITTEN))


def arriving_regex(pattern: str) -> str:
    """A regular expression for decoded paths, rewritten for paths as they arrive.

    What only arrives encoded is replaced by its encoding. `.`, negated sets and `\\w` still see an
    encoded character as three; ranges beyond ASCII match nothing (`unmatchable_set`).
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
            return _alternatives([text.upper()])
        case "set" if not text.startswith("[^"):
            encodings = [_encoding(member) for member in _singles(text) if _encoding(member)]
            return _alternatives(encodings, beside=text) if encodings else text
        case "escaped" | "plain":
            encoding = _encoding(text)
            return _alternatives([encoding]) if encoding else text
        case _:
            return text


def _singles(charset: str) -> Iterator[str]:
    for member in _SET_MEMBER.finditer(charset[1:-1]):
        if member.lastgroup == "single":
            yield member[0] if member[0] not in _METACHARACTERS else "\\" + member[0]


def _encoding(text: str) -> str:
    """How one character, bare or behind a backslash, arrives when it only arrives encoded."""
    if text == r"\s":
        return "%20"
    if text in _METACHARACTERS or (len(text) == 2 and text[1].isalnum()):
        return ""
    character = text[-1]
    if character in "?#":  # cannot stand in a path; encoded they are other characters to Kong
        return ""
    encoded = quote(character, safe=_AS_WRITTEN)
    return "" if encoded == character else encoded


def _alternatives(encodings: list[str], beside: str = "") -> str:
    """Encodings in either case of their digits, as one unit for a quantifier."""
    texts = [f"(?i:{text})" for text in encodings]
    if not beside and len(texts) == 1:
        return texts[0]
    return f"(?:{'|'.join([*filter(None, [beside]), *texts])})"
