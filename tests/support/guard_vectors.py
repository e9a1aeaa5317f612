"""Makes the examples that hold the proxy filter's guard and its stripping of headers to their
specifications, which are regular expressions: `tests/vectors/guard` and `tests/vectors/arrival`.

    PYTHONPATH=src:tests python -m support.guard_vectors            write them
    PYTHONPATH=src:tests python -m support.guard_vectors 100000 7 FOLDER
                                                                    so many random ones, by a seed

Of each file every line is what the specification says, a space, and the text. For a path four
letters or `-`: `a` ambiguous, `d` dots or spaces at a segment's end, `s` an escaped slash, `p` path
parameters. For a host `+` when it is well formed, for a name of a header `+` when it is stripped;
else `-`. Texts are Latin-1.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from support.ambiguous_paths import (
    AMBIGUOUS,
    ESCAPED_SLASH,
    PATH_PARAMETERS,
    TRAILING_DOTS,
    WELL_FORMED_HOST,
)
from support.stripped_headers import STRIPPED_HEADERS

VECTORS = Path(__file__).parents[1] / "vectors"
ATTACKS = Path(__file__).parents[1] / "e2e" / "envoy" / "path-attacks.txt"
_PATH_FLAGS = [
    (flag, re.compile(pattern))
    for flag, pattern in zip(
        "adsp", (AMBIGUOUS, TRAILING_DOTS, ESCAPED_SLASH, PATH_PARAMETERS), strict=True
    )
]
_HOST = re.compile(WELL_FORMED_HOST)
_STRIPPED = re.compile(STRIPPED_HEADERS)

_HEX = "0123456789abcdefABCDEF"
_CODES = [
    *("2f", "2F", "5c", "5C", "2e", "2E", "20", "3b", "3B", "3f", "23", "25", "00", "09", "1F"),
    *("7f", "7F", "c0", "C1", "c2", "e0", "E0", "f0", "F0", "80", "8f", "90", "9F", "a0", "bf"),
    *("41", "7e", "2d", "5f", "30", "40", "60", "7b", "5b", "2c", "3a", "e2", "FF"),
]
_PLAIN = [
    *"//////.....;;%%\\~-_aFx02?#@",
    "..",
    "a.",
    "api",
    "admin",
    " ",
    "\t",
    "!",
    "+",
    "é",
    "\x80",
]
_HOST_PIECES = [
    *("a", "api", "example", "x-1", "_a", "É", "0", "7", "65535", "123456", "8443"),
    *(".", ".", ".", "..", ":", ":", ":", "::", "[", "]", "[::1]", "[fe80::1.2]"),
    *(",", "@", "/", " ", "%", "-", "_", "G", "\x80"),
]
_NAMES = [
    *("scopegate-decided", "scopegate-", "scopegate", "envoy-retry-on", "envoy-", "consumer-id"),
    *("consumer-username", "consumer-custom-id", "consumer-groups", "consumer-name", "consumer"),
    *("credential-identifier", "credential-username", "anonymous-consumer", "real-ip", "real"),
    *("authenticated-groups", "authenticated-scope", "authenticated-userid", "authenticated-x"),
    *("forwarded-", "forwarded-for", "forwarded-f", "forwarded-fo", "forwarded-fork"),
    *("forwarded-host", "forwarded-proto", "forwarded", "forwarded-for-x", "forwarded-of"),
    *(
        "original-url",
        "original-uri",
        "rewrite-url",
        "kong-request-id",
        "kong-request",
        "request-id",
    ),
]
_SEPARATORS = "-----__._.!#$%&'*+^`|~0aZ"


def _encoded(dice: random.Random) -> str:
    digits = dice.choice(_CODES) if dice.random() < 0.8 else "".join(dice.choices(_HEX, k=2))
    text = "%" + "25" * dice.choice((0, 0, 0, 0, 1, 1, 2, 3)) + digits
    return text[: -dice.choice((1, 2))] if dice.random() < 0.05 else text


def random_path(dice: random.Random) -> str:
    """A path of pieces that mean something, or of pieces in an order that nearly does."""
    start = dice.choice(("/", "/", "/", "/a", "/.", ""))
    share = dice.random()
    pieces = (
        _encoded(dice) if dice.random() < share else dice.choice(_PLAIN)
        for _ in range(dice.randint(0, 7))
    )
    return start + "".join(pieces)


def _near_miss(dice: random.Random) -> str:
    """A dot segment, or an empty one, with at most one thing changed."""

    def spaces() -> str:
        return "".join(
            dice.choices(("%20", "%2520", "%25"), (9, 2, 1), k=dice.choice((0, 0, 1, 2)))
        )

    def dot() -> str:
        return dice.choice((".", ".", ".", "%2e", "%2E", "%252e"))

    def separator() -> str:
        return dice.choice(("/", "/", "/", "%2f", "%5C", "%252F"))

    end = dice.choice(("/", "%2f", ";", "%3b", "%3F", "%2523", "", "x", "%41", ";x/", "%25"))
    before = dice.choice(("", "", "a", "%2f", "%20", ".", "%2e", "%c3", ";", "/a"))
    inner = dice.choice(
        (
            (spaces(), dot(), spaces(), dot(), spaces()),
            (spaces(), dot(), spaces()),
            (dot(), spaces(), dot()),
            (spaces(),),
            (spaces(), dice.choice((";", "%3b", "%253B")), dice.choice(("", "x", "x="))),
        )
    )
    text = dice.choice(("/", "/a", "")) + separator() + before + "".join(inner) + end
    return text + dice.choice(("", "", "b", "/b", "%2fb"))


def random_host(dice: random.Random) -> str:
    return "".join(dice.choice(_HOST_PIECES) for _ in range(dice.randint(0, 6)))


def random_name(dice: random.Random) -> str:
    """A name in some spelling, at times with a piece more or less."""
    name = dice.choice(("x-", "x-", "x-", "x-", "x", "", "y-")) + dice.choice(_NAMES)
    name += dice.choice(("", "", "", "", "-x", "s", "-", "."))
    exact = dice.random() < 0.3
    text = "".join(dice.choice(_SEPARATORS) if sign == "-" and not exact else sign for sign in name)
    if dice.random() < 0.1:
        place = dice.randint(0, len(text))
        text = text[:place] + dice.choice((*_SEPARATORS, "", "for")) + text[place + 1 :]
    return text


def path_line(path: str) -> str:
    flags = (flag if pattern.fullmatch(path) else "-" for flag, pattern in _PATH_FLAGS)
    return f"{''.join(flags)} {path}"


def host_line(host: str) -> str:
    return f"{'+' if _HOST.fullmatch(host) else '-'} {host}"


def name_line(name: str) -> str:
    return f"{'+' if _STRIPPED.fullmatch(name) else '-'} {name}"


def attacks() -> Iterator[str]:
    """The paths of the attacks, as they stand there and as Envoy may leave them."""
    for line in ATTACKS.read_text().splitlines():
        if line and not line.startswith("# "):
            path = line.partition("?")[0]
            yield path
            yield path.replace("\\", "/")


def _many(make: Callable[[random.Random], str], count: int, seed: int) -> Iterator[str]:
    dice = random.Random(seed)
    return (make(dice) for _ in range(count))


def _file(path: Path, line_of: Callable[[str], str], texts: Iterable[str]) -> None:
    unique = dict.fromkeys(text for text in texts if len(text) < 200 and "\n" not in text)
    lines = "".join(f"{line_of(text)}\n" for text in unique)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines, encoding="latin-1", newline="\n")


def write(folder: Path, count: int, seed: int) -> None:
    """About `count` paths, and fewer hosts and names."""
    paths = [
        *attacks(),
        *_many(random_path, count // 2, seed),
        *_many(_near_miss, count // 2, seed),
    ]
    _file(folder / "guard" / "paths.txt", path_line, paths)
    _file(folder / "guard" / "hosts.txt", host_line, _many(random_host, count // 4, seed))
    _file(folder / "arrival" / "names.txt", name_line, _many(random_name, count // 3, seed))


def write_all(folder: Path) -> None:
    """The examples that are kept."""
    write(folder, 6000, 11)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        write_all(VECTORS)
    else:
        write(Path(sys.argv[3]), int(sys.argv[1]), int(sys.argv[2]))
