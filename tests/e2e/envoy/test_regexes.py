"""What the Admin API takes as a regular expression, Envoy takes too.

One that it does not take would stop all changes of the gateway, so the check must be the stricter.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator

import pytest

from scopegate.compile.arriving_paths import arriving_regex
from scopegate.entities.regexes import regex_fault
from scopegate.ir.gateway import HeaderMatch, PathMatch, RouteMatch

from .conftest import Node

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = r"""
a b / . - & ~ } , # % é 😀 | ( ) [ ] [^ ^ $ * + ? *? {2} {2,} {3,5} {0} {0,} {30} {500} {1000}
(?: (?i) (?i: (?s) (?m) (?U) (?-i) [a-z] [^/] []a] [a\]b] [[:alpha:]] [[:^punct:]] [a-[:alpha:]]
\. \d \w \S \s \W \b \B \A \z \pL \PL \p{Lu} \p{Lx} \x41 \x{7f} \x{ff} \- \/ \% \\ \t \n \a %41 "
: = @ \: \x3a [:;] [!-~]
"""
PIECES = (*TEXT.split(), " ")

HEAVY = (
    *(".", "a", r"\w", r"\pL", "[^/]", "[acegikmoqs]", "é", "[^é]", "(a|b)", "a*", '"'),
    *(":", "[:;@]", "[!-~]", r"[\t-~]"),
)
REPEATS = ("{1000}", "{0,1000}", "{999,}", "{0,37}")


def random_patterns(count: int) -> Iterator[str]:
    """That pass the check, the same ones every time."""
    chance = random.Random(1)
    while count:
        pattern = "/" + "".join(chance.choices(PIECES, k=chance.randint(1, 14)))
        if regex_fault(pattern) is None:
            count -= 1
            yield pattern


def largest_patterns() -> Iterator[str]:
    """The longest rows of repeats that pass the check."""
    for atom in HEAVY:
        for repeat in REPEATS:
            rows = [f"/{f'(?:{atom}){repeat}' * length}" for length in range(101)]
            yield rows[bisect_left(rows, True, key=lambda row: regex_fault(row) is not None) - 1]


@pytest.mark.slow
async def test_envoy_takes_what_passes_the_check(node: Node) -> None:
    patterns = [*random_patterns(300), *largest_patterns()]
    routes = [
        node.route(
            key=pattern,
            match=RouteMatch(
                path=PathMatch("regex", arriving_regex(pattern)),
                headers=(HeaderMatch(name="x-a", values=(), regexes=(pattern,)),),
            ),
        )
        for pattern in patterns
    ]
    await node.serve(*routes)
