"""RE2's patterns for Python's engine, as far as routes use them.

Both say the same about the texts that routes are matched against: ASCII, no line breaks. Which part
of the text is found may differ, so that only the answer of `matches` and `found` counts.
Source: RE2 syntax page.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_TOKEN = re.compile(
    r"(?P<posix>\[:(?P<no>\^?)(?P<class>[a-z]+):\])"
    r"|(?P<property>\\(?P<p>[pP])(?:(?P<one>[A-Z])|\{(?P<caret>\^?)(?P<name>[A-Za-z]+)\}))"
    r"|(?P<hex>\\x\{(?P<digits>[0-9A-Fa-f]+)\})"
    r"|(?P<end>\\z)|(?P<escaped>\\.)"
    r"|(?P<flags>\(\?(?P<on>[imsU]*)-?(?P<off>[imsU]*)\))"
    r"|(?P<group>\(\?(?P<gon>[imsU]*)-?(?P<goff>[imsU]*):)"
    r"|(?P<named>\(\?P?<(?P<label>\w+)>)|(?P<plain>.)",
    re.DOTALL,
)


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text is matched."""
    return _compiled(pattern).fullmatch(text) is not None


def begins(pattern: str, text: str) -> bool:
    """Whether the text begins with a match."""
    return _compiled(pattern).match(text) is not None


def found(pattern: str, text: str) -> bool:
    """Whether a match is anywhere in the text."""
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translated(pattern), re.ASCII)


def translated(pattern: str) -> str:
    """The pattern as Python's engine wants it, to be compiled with re.ASCII."""
    out: list[str] = []
    # Of each group that is open, the groups that its bare flags have opened: they hold to its end.
    opened: list[list[str]] = [[]]
    in_set = False
    at_start_of_set = False
    for token in _TOKEN.finditer(pattern):
        kind, text = str(token.lastgroup), token[0]
        first, at_start_of_set = at_start_of_set, False
        if in_set:
            if kind == "plain" and text == "]" and not first:
                in_set = False
            at_start_of_set = first and text == "^"
            out.append(_in_set(token, first))
        elif kind == "flags":
            opened[-1].append(f"(?{_flags(token['on'], token['off'])}:")
            out.append(opened[-1][-1])
        elif kind == "plain" and text == "|":
            out.append(")" * len(opened[-1]) + "|" + "".join(opened[-1]))
        elif kind == "plain" and text == ")":
            out.append(")" * (len(opened.pop()) + 1))
        else:
            in_set = at_start_of_set = kind == "plain" and text == "["
            if kind in ("group", "named") or text == "(":
                opened.append([])
            out.append(_outside(token))
    return "".join(out) + ")" * len(opened[0])


def _in_set(token: re.Match[str], first: bool) -> str:
    match token.lastgroup:
        case "posix" | "property":
            return _members(token)
        case "hex":
            return _hex(token)
        case "plain" if token[0] in "[&~|" or (first and token[0] == "]"):
            return "\\" + token[0]
        case "flags" | "group" | "named":
            return re.escape(token[0])
        case _:
            return token[0]


def _outside(token: re.Match[str]) -> str:
    match token.lastgroup:
        case "property":
            return f"[{_members(token)}]"
        case "hex":
            return _hex(token)
        case "end":
            return r"\Z"
        case "group":
            return f"(?{_flags(token['gon'], token['goff'])}:"
        case "named":
            return f"(?P<{token['label']}>"
        case "posix":
            return "[" + token[0][1:].replace("[", r"\[")
        case "plain" if token[0] == "$":
            return r"\Z"
        case _:
            return token[0]


def _flags(on: str, off: str) -> str:
    """Those that both know; `U` changes only how much is found."""
    left, right = on.replace("U", ""), off.replace("U", "")
    return f"{left}-{right}" if right else left


def _hex(token: re.Match[str]) -> str:
    return f"\\x{int(token['digits'], 16):02x}"


def _members(token: re.Match[str]) -> str:
    """What a named class holds of ASCII, as members of a set."""
    groups: dict[str, Any] = token.groupdict()
    if token.lastgroup == "posix":
        inside = re.compile(f"[{_POSIX[groups['class']]}]")
        wanted = [inside.fullmatch(chr(code)) is not None for code in range(128)]
        negated = bool(groups["no"])
    else:
        name = groups["one"] or groups["name"]
        wanted = [unicodedata.category(chr(code)).startswith(name) for code in range(128)]
        negated = (groups["p"] == "P") != bool(groups["caret"])
    chosen = [code for code, there in enumerate(wanted) if there != negated]
    return "".join(f"\\x{code:02x}" for code in chosen)
