"""Regular expressions that every engine on the way takes: Kong's (Rust) and Envoy's (RE2).

Neither has look-around or back references, and they differ in corners; what is not the same in
both is refused here with a reason, before Envoy would. Python's parser checks the rest.
Source: contract admin-api.md §6 (5); RE2 and Rust regex syntax pages.
"""

from __future__ import annotations

import re
import warnings

LENGTH_LIMIT = 2048
DEPTH_LIMIT = 50
REPEAT_LIMIT = 1000  # RE2's
WEIGHT_LIMIT = 20_000
"""RE2 spells repeats out and then takes some 80,000 instructions; a weight of one becomes up to
four of them. What `_weigh` says, times the repeats around it.
"""

_SAME_ESCAPES = frozenset("dDwWsSbBAafnrtv")
_CLASS_ESCAPES = frozenset("dDwWsSafnrtv")
_POSIX_CLASS = re.compile(
    r"\[:\^?(alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]"
)
_NAMED_GROUP = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_FLAGS = re.compile(r"\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)(\)|:)")
_REPEAT = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_HEX = re.compile(r"\\x(?:[0-9A-Fa-f]{2}|\{([0-9A-Fa-f]{1,6})\})")
_LAST_ESCAPED = 0xFF  # Envoy has RE2 match bytes, whatever they are the text of
_PROPERTY = re.compile(r"\\[pP](?:([A-Z])|\{\^?([A-Za-z_]+)\})")
# Of the scripts, which RE2 knows too, no byte but an ASCII letter can be a part.
_CATEGORY = re.compile(r"C[cfos]?|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?")
_NOT_IN_BOTH = {
    "(?=": "look-ahead is not supported",
    "(?!": "look-ahead is not supported",
    "(?<=": "look-behind is not supported",
    "(?<!": "look-behind is not supported",
    "(?>": "atomic groups are not supported",
    "(?(": "conditionals are not supported",
    "(?#": "comments are not supported",
    "(?P=": "back references are not supported",
    "(?P>": "recursion is not supported",
    "(?R": "recursion is not supported",
    "(?|": "branch reset is not supported",
}


class _Refused(Exception):
    """What the engines do not take; the text says why."""


def regex_fault(pattern: str) -> str | None:
    """Why this pattern cannot be used, or None."""
    if len(pattern) > LENGTH_LIMIT:
        return f"longer than {LENGTH_LIMIT} characters"
    try:
        walk = _Walk(pattern)
        translated = walk.translate()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(translated)
        if walk.weight > WEIGHT_LIMIT:
            return "too large once its repeats are spelled out"
    except _Refused as refusal:
        return str(refusal)
    except re.error as error:
        return error.msg
    return None


class _Walk:
    """One pass over a pattern: refuses what differs between engines, rewrites it for Python's."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        # How often something inside is repeated: of each group that is open, of what came last.
        self._repeats = [1]
        self._last_repeats = 1
        # The same for weights.
        self._weights = [0]
        self._last_weight = 0
        self._out: list[str] = []

    @property
    def weight(self) -> int:
        """What the pattern weighs with all its repeats, once it is translated."""
        return sum(self._weights)

    def translate(self) -> str:
        while self._at < len(self._pattern):
            began, character = self._at, self._pattern[self._at]
            if character not in "(){*+?":
                self._last_repeats = 1
            match character:
                case "\\":
                    self._escape(_SAME_ESCAPES)
                case "(":
                    self._group()
                case ")":
                    self._close_group()
                    self._take(1)
                case "[":
                    self._class()
                case "{":
                    self._repeat()
                case "*" | "+" | "?":
                    self._take(1)
                    self._after_quantifier()
                case _:
                    self._take(1)
            if character not in "(){*+?":
                self._last_weight = _weigh(self._pattern[began : self._at])
                self._weights[-1] += self._last_weight
        return "".join(self._out)

    def _take(self, length: int, instead: str | None = None) -> None:
        text = self._pattern[self._at : self._at + length]
        self._out.append(text if instead is None else instead)
        self._at += length

    def _looking_at(self, text: str) -> bool:
        return self._pattern.startswith(text, self._at)

    def _escape(self, letters: frozenset[str]) -> None:
        for known in (_HEX, _PROPERTY):
            found = known.match(self._pattern, self._at)
            if found:
                if known is _HEX:
                    _check_character(found[1])
                else:
                    _check_property(found[0], found[1] or found[2])
                self._take(len(found[0]), r"\w")
                return
        escaped = self._pattern[self._at + 1 : self._at + 2]
        if not escaped:
            raise _Refused("ends in a backslash")
        if escaped.isdigit():
            raise _Refused("back references and octal escapes are not supported")
        if escaped == "z" and "A" in letters:
            self._take(2, r"\Z")
        elif escaped in letters or (escaped.isascii() and not escaped.isalnum()):
            self._take(2)
        else:
            raise _Refused(f"unrecognized escape sequence '\\{escaped}'")

    def _close_group(self) -> None:
        if len(self._repeats) > 1:  # else Python's parser says what is wrong
            self._last_repeats = self._repeats.pop()
            self._repeats[-1] = max(self._repeats[-1], self._last_repeats)
            self._last_weight = 2 + self._weights.pop()
            self._weights[-1] += self._last_weight

    def _group(self) -> None:
        self._repeats.append(1)
        self._weights.append(0)
        if len(self._repeats) > DEPTH_LIMIT + 1:
            raise _Refused("nested too deeply")
        named = _NAMED_GROUP.match(self._pattern, self._at)
        flags = _FLAGS.match(self._pattern, self._at)
        if named:
            self._take(len(named[0]), f"(?P<{named[1]}>")
        elif flags:
            self._take(len(flags[0]), "(?:)" if flags[1] == ")" else "(?:")
            if flags[1] == ")":
                self._close_group()
                if self._pattern[self._at : self._at + 1] in tuple("*+?{"):
                    raise _Refused("nothing to repeat")
        elif self._looking_at("(?:") or not self._looking_at("(?"):
            self._take(3 if self._looking_at("(?:") else 1)
        else:
            reasons = (why for form, why in _NOT_IN_BOTH.items() if self._looking_at(form))
            raise _Refused(next(reasons, "unrecognized group"))

    def _repeat(self) -> None:
        found = _REPEAT.match(self._pattern, self._at)
        if not found:
            raise _Refused("a literal '{' must be written '\\{'")
        if any(int(count) > REPEAT_LIMIT for count in (found[1], found[3]) if count):
            raise _Refused(f"repeats more than {REPEAT_LIMIT} times")
        # RE2 counts repeats of repeats together, and `{n,}` as n.
        self._last_repeats *= max(1, int(found[3] or found[1]))
        if self._last_repeats > REPEAT_LIMIT:
            raise _Refused(f"nested repeats come to more than {REPEAT_LIMIT} times")
        self._repeats[-1] = max(self._repeats[-1], self._last_repeats)
        copies = max(1, int(found[3]) if found[3] else int(found[1]) + bool(found[2]))
        self._weights[-1] += self._last_weight * (copies - 1)
        self._last_weight *= copies
        self._take(len(found[0]))
        self._after_quantifier()

    def _after_quantifier(self) -> None:
        if self._looking_at("+"):
            raise _Refused("possessive quantifiers are not supported")
        if self._looking_at("?"):
            self._take(1)

    def _class(self) -> None:
        self._take(1)
        if self._looking_at("^"):
            self._take(1)
        if self._looking_at("]"):
            self._take(1, r"\]")
        while not self._looking_at("]"):
            if self._at >= len(self._pattern):
                raise _Refused("unterminated character set")
            posix = _POSIX_CLASS.match(self._pattern, self._at)
            if posix:
                self._take(len(posix[0]), r"\w")
            elif self._looking_at("["):
                raise _Refused("a literal '[' in a character set must be written '\\['")
            elif any(self._looking_at(operator) for operator in ("&&", "--", "~~")):
                raise _Refused("operators in a character set are not supported")
            elif self._looking_at("\\"):
                self._escape(_CLASS_ESCAPES)
            else:
                self._take(1)
        self._take(1)


def _weigh(atom: str) -> int:
    """Roughly the instructions of a character, an escape or a set.

    Beyond plain ASCII a character becomes its percent-encoding, in either case.
    """
    if atom.startswith("\\"):
        return 9
    plain = sum(character.isascii() and character.isalnum() for character in atom)
    return plain + sum(
        1 if character in "/-._~" else 3 * len(character.encode(errors="replace"))
        for character in atom
        if not (character.isascii() and character.isalnum())
    )


def _check_property(text: str, name: str) -> None:
    """Refuse what is no general category."""
    if not _CATEGORY.fullmatch(name):
        raise _Refused(
            f"'{text}' is not supported; of Unicode's properties the general categories are "
            "(L, Lu, N …)"
        )


def _check_character(digits: str | None) -> None:
    """Refuse the number of a character that is more than a byte; itself it may stand there."""
    if digits and int(digits, 16) > _LAST_ESCAPED:
        raise _Refused(f"'\\x{{{digits}}}' is not supported beyond FF: write the character itself")
