"""Routes by the beginning of the path: which of them can take a request, found in one step.

A node is a beginning; of all nodes with which a path begins, the longest decides. Envoy does not go
back to a shorter one, so a node's list holds, in the order of the table, its own routes and all of
shorter beginnings. Which of them takes the request is still decided by each entry's own match: a
tree that offers more than it must is slower, not wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

_LITERAL = re.compile(r"[^\\.\[\](){}*+?|^$]|\\[^0-9A-Za-z]")
_SCANNED = re.compile(r"\\.|\[\^?\]?(?:\[:\^?[a-z]+:\]|\\.|[^\]\\])*\]|.", re.DOTALL)

INHERITED_PER_OWN = 2
"""How many routes of shorter beginnings a node may repeat for each of its own. One that would need
more is left out, and its routes are tried with the next shorter node's: so the lists of all nodes
together are never longer than three times the table, whatever is in it.
"""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route of the table.

    start    what every path that it takes begins with; "" when that is not known
    covers   whether it takes every request whose path begins so: nothing behind it is reached
    """

    start: str
    covers: bool


@dataclass(frozen=True, slots=True)
class Branch:
    """Places in the table, in order. `open_`: a request may pass them all."""

    places: tuple[int, ...]
    open_: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """Branches by beginning, and the one for paths that begin with none of them."""

    branches: Mapping[str, Branch]
    rest: Branch


def arrange(candidates: Sequence[Candidate]) -> Tree:
    """The tree of a table. Pure; the order of `candidates` is the order in which they are tried."""
    own: dict[str, list[int]] = {"": []}
    for place, candidate in enumerate(candidates):
        # Every path begins with a slash, so that this is known of all.
        own.setdefault("" if candidate.start == "/" else candidate.start, []).append(place)
    parents = dict(_parents(sorted(own)))
    known = {"": _up_to_cover(own[""], candidates)}
    for start in reversed(parents):
        there = own.get(start)
        of_parent = known[parents[start]]
        known[start] = of_parent if not there else _merged(of_parent, there, candidates)
    branches: dict[str, Branch] = {}
    offered = {start: own.get(start, []) for start in ("", *parents)}
    for start, parent in parents.items():
        if not offered[start]:
            continue
        inherited, is_open = _inherited(known[start], known[parent], candidates)
        if len(inherited) <= INHERITED_PER_OWN * len(offered[start]):
            branches[start] = _branch(offered[start], inherited, known[start], is_open)
        else:
            offered[parent] = offered[parent] + offered[start]
    _, is_open = _inherited(known[""], known[""], candidates)
    rest = _branch(offered[""], [], known[""], is_open)
    return Tree(dict(sorted(branches.items())), rest)


def regex_start(pattern: str) -> str:
    """What every text begins with that the regular expression (RE2) takes from its start on."""
    depth = 0
    for found in _SCANNED.finditer(pattern):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if found[0] == "|" and depth == 0:
            return ""
    start, at = "", 0
    while literal := _LITERAL.match(pattern, at):
        at = literal.end()
        if pattern[at : at + 1] in ("*", "?", "{"):
            break
        start += literal[0][-1]
    return start


def _parents(starts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(beginning, the next shorter one) of these and of what two of them have in common; those
    that begin with another one come before it. `starts` are sorted, the first is "".
    """
    open_ = [""]
    for start in starts[1:]:
        common = _common(open_[-1], start)
        while len(open_[-1]) > len(common):
            ended = open_.pop()
            if len(open_[-1]) < len(common):
                open_.append(common)
            yield ended, open_[-1]
        open_.append(start)
    while len(open_) > 1:
        ended = open_.pop()
        yield ended, open_[-1]


def _common(one: str, other: str) -> str:
    """What both begin with."""
    if other.startswith(one):
        return one
    differ = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return one[: next(differ, len(other))]


def _merged(
    places: Sequence[int], more: Sequence[int], candidates: Sequence[Candidate]
) -> list[int]:
    return _up_to_cover(sorted([*places, *more]), candidates)


def _up_to_cover(places: Sequence[int], candidates: Sequence[Candidate]) -> list[int]:
    """Those that are reached when all of them are tried for paths that begin as all demand."""
    for count, place in enumerate(places, start=1):
        if candidates[place].covers:
            return list(places[:count])
    return list(places)


def _inherited(
    known: Sequence[int], of_parent: Sequence[int], candidates: Sequence[Candidate]
) -> tuple[Sequence[int], bool]:
    """Of the parent's those that are reached here, and whether a request may pass all that are."""
    is_open = not known or not candidates[known[-1]].covers
    if is_open:
        return of_parent, True
    return list(takewhile(lambda place: place <= known[-1], of_parent)), False


def _branch(
    offered: Sequence[int], inherited: Sequence[int], known: Sequence[int], is_open: bool
) -> Branch:
    last = None if is_open else known[-1]
    places = sorted({*offered, *inherited})
    return Branch(tuple(place for place in places if last is None or place <= last), is_open)
