"""Claim lookup and requirements: contract openid-connect.md §5 and §6."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.oidc.claim_lookup import find_claim, satisfies, words

CLAIMS = {
    "scope": "openid profile email",
    "realm_access": {"roles": ["admin", "user"], "nested": {"deep": 1}},
    "realm_access.roles": ["dotted"],
    "null": None,
    "list": [{"a": 1}],
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["scope"], "openid profile email"),
        (["realm_access", "roles"], ["admin", "user"]),
        (["realm_access", "nested", "deep"], 1),
        (["realm_access.roles"], ["dotted"]),
        (["Scope"], None),
        (["realm_access", "absent"], None),
        (["absent", "roles"], None),
        (["scope", "openid"], None),
        (["list", "0"], None),
        (["list", "a"], None),
        (["null"], None),
        (["null", "x"], None),
        ([], None),
    ],
)
def test_a_path_walks_objects_only_and_matches_names_exactly(path: list[str], value: Any) -> None:
    assert find_claim(CLAIMS, path) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("openid  profile\temail\n", ["openid", "profile", "email"]),
        ("", []),
        ("a\u00a0b", ["a\u00a0b"]),
        ("a\u2003b\x1fc", ["a\u2003b\x1fc"]),
        (["b", "a", "Domain Admins"], ["b", "a", "Domain Admins"]),
        (["a", 1, True, None, {"x": 1}, ["y"], ""], ["a", "1", "true"]),
        (7, ["7"]),
        (1.5, ["1.5"]),
        (0, ["0"]),
        (True, ["true"]),
        (False, ["false"]),
        (None, []),
        ({"a": 1}, []),
    ],
)
def test_a_value_becomes_words_in_its_own_order(value: Any, expected: list[str]) -> None:
    assert words(value) == expected


@pytest.mark.parametrize(
    ("required", "found", "satisfied"),
    [
        (["employee marketing", "super-admins"], ["marketing", "x", "employee"], True),
        (["employee marketing", "super-admins"], ["super-admins"], True),
        (["employee marketing", "super-admins"], ["employee"], False),
        (["kong_api_access"], ["kong_api"], False),
        (["kong_api"], ["kong_api_access"], False),
        (["Kong_api"], ["kong_api"], False),
        (["a"], [], False),
        ([""], ["a"], False),
        (["  ", "a"], ["a"], True),
        ([" ", ""], [], False),
        ([], ["a"], False),
    ],
)
def test_entries_are_alternatives_and_the_words_of_an_entry_all_needed(
    required: list[str], found: list[str], satisfied: bool
) -> None:
    assert satisfies(required, found) is satisfied


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_any_json_value_gives_a_list_of_non_empty_words(value: Any) -> None:
    assert all(isinstance(word, str) and word for word in words(value))


@given(st.lists(st.text(alphabet="ab ", max_size=4)), st.lists(st.sampled_from(["a", "b", "ab"])))
def test_more_words_never_turn_a_yes_into_a_no(required: list[str], found: list[str]) -> None:
    if satisfies(required, found):
        assert satisfies(required, [*found, "more"])
