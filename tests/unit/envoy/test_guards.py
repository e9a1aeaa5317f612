"""What the guard does not look at closely is nothing that it would refuse."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scopegate.envoy.ambiguous_paths import (
    AMBIGUOUS,
    ESCAPED_SLASH,
    ORDINARY,
    PATH_PARAMETERS,
    TRAILING_DOTS,
)

REFUSED = [re.compile(each) for each in (AMBIGUOUS, TRAILING_DOTS, ESCAPED_SLASH, PATH_PARAMETERS)]
_ordinary = re.compile(ORDINARY)
_pieces = st.sampled_from([*"/.%;\\~-_aF02 \t\0é", "..", "//", "%2e", "%2f", "%20", "%3b", "%25"])
_segments = st.lists(st.from_regex(r"[A-Za-z0-9_~.-]{0,4}", fullmatch=True))


@given(st.one_of(st.lists(_pieces).map("".join), _segments.map("/".join)).map("/".__add__))
@example("/.")
@example("/a./b")
@example("/a/..")
@example("//")
def test_no_ordinary_path_is_refused(path: str) -> None:
    if _ordinary.fullmatch(path):
        assert not [each.pattern for each in REFUSED if each.fullmatch(path)]


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/", "/api/v1.2/x-y_z~/1", "/favicon.ico", "/a.tar.gz"]
)
def test_most_paths_are_ordinary(path: str) -> None:
    assert _ordinary.fullmatch(path)


@pytest.mark.parametrize(
    "path", ["a", "/.", "/..", "/.a", "/a.", "/a../b", "/a..b", "//", "/a;b", "/%41", "/a b", "/é"]
)
def test_others_are_looked_at(path: str) -> None:
    assert not _ordinary.fullmatch(path)
