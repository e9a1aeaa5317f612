from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.entities.paths import PATH_LIMIT_BYTES, normalise_path, route_path_fault


@pytest.mark.parametrize(
    ("path", "normalised"),
    [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("//", "/"),
        ("/a//b///", "/a/b/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/../b", "/b"),
        ("/../../a", "/a"),
        ("/a/b/../../c/./d", "/c/d"),
        ("/%2e%2E/a", "/a"),
        ("/a/%2e./b", "/b"),
        ("/%41%7e", "/A~"),
        ("/a%2fb%3F", "/a%2Fb%3F"),
        ("/caf%C3%A9", "/café"),
        ("/...", "/..."),
        ("/%25", "/%25"),
    ],
)
def test_paths_are_normalised_as_kong_does(path: str, normalised: str) -> None:
    assert normalise_path(path) == normalised


def test_a_routes_path_that_the_proxy_would_refuse_for_its_length_is_refused_first() -> None:
    assert route_path_fault("/" + "a" * (PATH_LIMIT_BYTES - 1)) is None
    assert route_path_fault("/" + "é" * (PATH_LIMIT_BYTES // 2)) == "longer than 4096 bytes"


@given(st.text("/.a%2eEfF41", max_size=12).map(lambda text: "/" + text))
def test_what_is_normal_has_no_dot_segments_and_no_empty_ones(path: str) -> None:
    segments = normalise_path(path).split("/")[1:]
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]
