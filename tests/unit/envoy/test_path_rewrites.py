"""Joining paths, rule by rule, with Python's engine; real Envoy runs the whole table in e2e."""

from __future__ import annotations

import re
from itertools import product
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.envoy.path_rewrites import Rewrite, anchored, joining, stripped_prefix
from scopegate.envoy.route_matches import envoy_matches, narrowed
from scopegate.ir.gateway import Forward, PathMatch, RouteMatch


def forward(base: str, strip: bool) -> Forward:
    return Forward("c", base, strip, None, 1, 0)


def join(base: str, prefix: str, strip: bool, path: str, dots_arrive: bool = True) -> str:
    """As Envoy does it with the entries of a route."""
    route = PathMatch("prefix", prefix)
    for how in joining(route, forward(base, strip), dots_arrive=dots_arrive):
        match = narrowed(next(envoy_matches(RouteMatch(path=route), frozenset())), route, how)
        start = match.path or match.prefix or match.path_separated_prefix
        if match.HasField("safe_regex"):
            taken = re.fullmatch(match.safe_regex.regex, path) is not None
        elif match.path_separated_prefix:
            taken = path == start or path.startswith(f"{start}/")
        else:
            taken = path == start if match.path else path.startswith(start)
        if taken and isinstance(how.rewrite, Rewrite):
            text = how.rewrite.substitution.replace("\\", "\\\\")
            return re.sub(how.rewrite.pattern, text, path, count=1)
        if taken:
            return path if how.rewrite is None else how.rewrite + path[len(start) :]
    raise AssertionError(f"no entry takes {path}")


def kong(base: str, prefix: str, strip: bool, path: str) -> str:
    """The table of admin-api.md §3."""
    if not strip:
        if base.endswith("/"):
            return base + path[1:]
        return base if path == "/" else base + path
    rest = path[len(prefix) :]
    for dots in ("../", "./"):
        if rest.startswith(dots):
            rest = rest[len(dots) :]
            break
    if base.endswith("/"):
        if not rest:
            if base == "/":
                return "/"
            return base if path.endswith("/") else base[:-1]
        return base[:-1] + rest if rest.startswith("/") else base + rest
    if not rest:
        return base + "/" if path.endswith("/") and path != "/" else base
    return base + rest if rest.startswith("/") else f"{base}/{rest}"


segments = st.lists(st.sampled_from(["a", "b.c", "r", "x..y"]), max_size=3).map("/".join)


@given(
    base=segments.map(lambda text: f"/{text}"),
    base_slash=st.sampled_from(["", "/"]),
    prefix=segments.map(lambda text: f"/{text}"),
    rest=st.sampled_from(["", "/", "/a", "a", "a/", "/a/b/", "./a", "../a", "..a"]),
    strip=st.booleans(),
)
def test_paths_are_joined_as_in_kongs_table(base, base_slash, prefix, rest, strip):
    base = (base.rstrip("/") + base_slash) or "/"
    path = prefix + rest
    if "//" in path or any(segment in (".", "..") for segment in path.split("/")):
        return  # such paths do not arrive
    assert join(base, prefix, strip, path) == kong(base, prefix, strip, path)


def test_a_prefix_is_text_and_a_base_path_is_no_pattern():
    assert join("/b+c", "/a.b", True, "/a.b/x") == "/b+c/x"
    *_, how = joining(PathMatch("prefix", "/a.b."), forward("/", True), dots_arrive=False)
    assert isinstance(how.rewrite, Rewrite)
    assert re.match(how.rewrite.pattern, "/axb./x") is None


@pytest.mark.parametrize("path", ["/a.b-c_d~e/1", "/route", "/route/"])
def test_a_plain_prefix_needs_no_regular_expression(path: str):
    for base, strip in product(("/", "/base", "/base/"), (True, False)):
        for how in joining(PathMatch("prefix", path), forward(base, strip), dots_arrive=False):
            assert not isinstance(how.rewrite, Rewrite)


@pytest.mark.parametrize("written", ["/v1:admin", "/@a!$&'(b)*+,;=[c]", "/v1%3Aadmin"])
def test_a_reserved_character_of_a_prefix_counts_in_either_spelling(written: str):
    pattern = anchored(PathMatch("prefix", written))
    decoded = unquote(written)
    encoded = quote(decoded, safe="/")
    for spelling in (decoded, encoded, encoded.lower()):
        assert re.fullmatch(pattern, spelling)
    assert join("/base", written, True, f"{encoded}/x") == "/base/x"


def test_a_prefix_with_one_spelling_stays_a_prefix():
    (plain,) = envoy_matches(RouteMatch(path=PathMatch("prefix", "/a.b-c_d~e/1")), frozenset())
    (other,) = envoy_matches(RouteMatch(path=PathMatch("prefix", "/a:b")), frozenset())
    assert plain.prefix == "/a.b-c_d~e/1"
    assert other.safe_regex.regex == "/a(?::|(?i:%3A))b.*"


@pytest.mark.parametrize(
    ("path", "strip", "told"),
    [
        (PathMatch("prefix", "/a"), True, "/a"),
        (PathMatch("prefix", "/a"), False, None),
        (PathMatch("prefix", "/"), True, None),
        (PathMatch("regex", "/a"), True, None),
        (None, True, None),
    ],
)
def test_the_upstream_is_told_which_prefix_was_stripped(path, strip, told):
    assert stripped_prefix(path, forward("/", strip)) == told
