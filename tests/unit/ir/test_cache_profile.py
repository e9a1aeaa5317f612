"""The text of a cache profile. Source: docs/check-protocol.md, "Profile"."""

from __future__ import annotations

import pytest

from scopegate.ir.cache_profile import CacheProfile
from scopegate.ir.policy import Policy, Step
from support.cache_profile import PROFILE

TEXT = (
    "key=access-token,authorization,cookie strip=x-group,x-user arguments=access_token "
    "methods=OPTIONS media=urlencoded suffixes=/logout"
)


def test_profile_reads_back_as_written() -> None:
    assert str(PROFILE) == TEXT
    assert CacheProfile.read(TEXT) == PROFILE
    empty = "key=authorization,cookie strip= arguments= methods= media= suffixes="
    assert str(CacheProfile()) == empty
    assert CacheProfile.read(empty) == CacheProfile()


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT + " ",
        TEXT + " more=a",
        TEXT.replace("strip", "stripped"),
        TEXT.replace("x-group,x-user", "x-user,x-group"),
        TEXT.replace("/logout", "/logout,"),
        TEXT.replace(",cookie", ""),
        TEXT.rpartition(" ")[0],
    ],
)
def test_other_text_is_no_profile(text: str) -> None:
    with pytest.raises(ValueError, match="cache profile"):
        CacheProfile.read(text)


def test_header_of_the_key_is_not_stripped() -> None:
    profile = CacheProfile(frozenset({"a"}), frozenset({"a", "b", "cookie"}))
    assert profile.strip == {"b"}
    assert profile.headers == {"a", "authorization", "b", "cookie"}


def test_argument_names_that_look_the_same_are_one() -> None:
    profile = CacheProfile(arguments=frozenset({"A b=c;d,e", "a-b.c_d:e"}))
    assert profile.arguments == {"a_b_c_d_e"}


def test_joined_profile_looks_at_all_that_both_look_at() -> None:
    other = CacheProfile(key=frozenset({"x-user"}), suffixes=frozenset({"/bye"}))
    joined = PROFILE.joined(other)
    assert joined.key == {"access-token", "authorization", "cookie", "x-user"}
    assert joined.strip == {"x-group"}
    assert joined.suffixes == {"/bye", "/logout"}
    assert joined.media == {"urlencoded"}


@pytest.mark.parametrize("part", ["key", "strip"])
@pytest.mark.parametrize("name", ["X-User", ":path", "a(b"])
def test_headers_are_lower_case_names(part: str, name: str) -> None:
    assert ":scheme" in CacheProfile(key=frozenset({":scheme"})).key
    with pytest.raises(ValueError, match="cannot stand"):
        CacheProfile(**{part: frozenset({name})})


@pytest.mark.parametrize("part", ["key", "strip", "methods", "media", "suffixes"])
@pytest.mark.parametrize("word", ["a b", "a,b", "", "a\nb", "é"])
def test_no_word_can_cut_a_list_short(part: str, word: str) -> None:
    with pytest.raises(ValueError, match="cannot stand"):
        CacheProfile(**{part: frozenset({word})})


def test_policy_keeps_its_profile() -> None:
    steps = (Step("openid-connect", "1", {"a": 1}),)
    policy = Policy(steps, profile=PROFILE)
    assert Policy.from_json(policy.to_json()) == policy
    assert policy.id != Policy(steps).id
    assert Policy.from_json(Policy(steps).to_json()).profile is None
