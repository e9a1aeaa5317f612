"""Every other spelling of a name that counts, and nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.envoy.spellings import no_other_spellings, other_spellings
from scopegate.ir.replay import plain_name

NAMES = ["x-user", "x_user", "access-token", "x-access-token-jwk", "authorization", "a-_b", "x--y"]
_letters = st.sampled_from([*"abuserxytokncj-_.~!1"])


def is_gone(sent: str, name: str) -> bool:
    return any(re.fullmatch(pattern, sent) for pattern in other_spellings(name))


@given(st.sampled_from(NAMES), st.data())
def test_a_spelling_is_gone_when_it_reads_the_same_and_is_another(name: str, data: st.DataObject):
    twin = "".join(each if each.isalnum() else data.draw(st.sampled_from("-_.~!")) for each in name)
    sent = data.draw(st.one_of(st.just(twin), st.text(_letters, max_size=8)))
    same = plain_name(sent, "-") == plain_name(name, "-")
    assert is_gone(sent, name) == (same and sent != name)


@pytest.mark.parametrize("name", ["x-consumer-id", "x-authenticated-scope", ":scheme", "cookie"])
def test_what_is_gone_on_arrival_or_has_one_spelling_needs_nothing(name: str):
    assert list(other_spellings(name)) == []


def test_without_names_nothing_is_done():
    assert no_other_spellings(["cookie", "x-consumer-id"]).ByteSize() == 0


def test_names_are_in_one_pattern():
    (removal,) = no_other_spellings(["x-b", "x-a"]).mutations.request_mutations
    assert removal.remove_on_match.key_matcher.safe_regex.regex == (r"x[^a-z0-9\-]a|x[^a-z0-9\-]b")


def test_very_many_names_are_in_several_patterns_and_none_is_lost():
    names = [f"x-user-{number}" for number in range(3000)]
    removals = no_other_spellings(names).mutations.request_mutations
    patterns = [each.remove_on_match.key_matcher.safe_regex.regex for each in removals]
    assert len(patterns) > 1
    assert max(map(len, patterns)) < 64_000
    for name in names:
        assert any(re.fullmatch(pattern, name.replace("-", "_")) for pattern in patterns)
