"""Where routes stand in the tree: nothing that could take a request is left out, nothing twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.envoy.route_tree import Branch, Candidate, Tree, arrange, regex_start
from scopegate.ir import re2

starts = st.text("/ab", max_size=5)
tables = st.lists(st.builds(Candidate, starts, st.booleans()), max_size=30)


def branch(tree: Tree, path: str) -> Branch:
    """As Envoy does: the longest beginning decides."""
    fitting = [start for start in tree.branches if path.startswith(start)]
    return tree.branches[max(fitting, key=len)] if fitting else tree.rest


@given(table=tables, rest=st.text("/ab", max_size=6), taken=st.integers(0))
def test_the_first_that_takes_a_path_is_the_same_as_in_the_list(
    table: list[Candidate], rest: str, taken: int
):
    path = f"/{rest}"

    def takes(place: int) -> bool:
        """Conditions beside the path: a bit for each place."""
        candidate = table[place]
        return path.startswith(candidate.start) and (candidate.covers or bool(taken >> place & 1))

    found = branch(arrange(table), path)
    assert list(found.places) == sorted(set(found.places))
    expected = next(filter(takes, range(len(table))), None)
    assert next(filter(takes, found.places), None) == expected
    assert found.open_ or expected is not None


@given(table=tables)
def test_all_lists_together_are_not_much_longer_than_the_table(table: list[Candidate]):
    tree = arrange(table)
    listed = sum(len(each.places) for each in (*tree.branches.values(), tree.rest))
    assert listed <= 3 * len(table)


def test_what_covers_everything_ends_a_list():
    table = [Candidate("/a/b", True), Candidate("/a", False), Candidate("/a", True)]
    tree = arrange([*table, Candidate("", False), Candidate("/", True), Candidate("", True)])
    assert tree.branches == {"/a": Branch((1, 2), False), "/a/b": Branch((0,), False)}
    assert tree.rest == Branch((3, 4), False)


def test_a_node_that_would_repeat_too_much_is_left_to_a_shorter_one():
    anywhere = [Candidate("", False)] * 6
    tree = arrange(
        [*anywhere, *(Candidate(f"/{letter}{n}", True) for letter in "ab" for n in "1234")]
    )
    assert tree.branches == {
        "/a": Branch((*range(6), 6, 7, 8, 9), True),
        "/b": Branch((*range(6), 10, 11, 12, 13), True),
    }
    assert tree.rest == Branch(tuple(range(6)), True)


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        ("/a/b", "/a/b"),
        (r"/a\.b\d", "/a.b"),
        ("/ab*", "/a"),
        ("/ab{2}", "/a"),
        ("/ab+", "/ab"),
        ("/a|/b", ""),
        ("/a(?:b|c)", "/a"),
        ("/a[|]b|c", ""),
        ("/a[|]b", "/a"),
        (r"/a\|b", "/a|b"),
        ("(?i)/a", ""),
        ("^/a", ""),
        (r"/x\/y", "/x/y"),
        (r"/\x41", "/"),
    ],
)
def test_what_a_regex_begins_with(pattern: str, start: str):
    assert regex_start(pattern) == start


@given(
    pattern=st.lists(
        st.sampled_from(["/", "a", "b", r"\.", ".", "[ab]", "(a|b)", "(?:a)", "|", "*", "?", "+"]),
        max_size=6,
    ).map("".join),
    text=st.text("/ab.", max_size=6),
)
def test_what_a_regex_takes_begins_so(pattern: str, text: str):
    try:
        taken = re2.begins(pattern, text)
    except re.error:  # no pattern at all
        return
    assert not taken or text.startswith(regex_start(pattern))
