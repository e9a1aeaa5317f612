"""Configured paths, rewritten for paths as they arrive."""

from __future__ import annotations

import re

import pytest

from scopegate.compile.arriving_paths import (
    arriving_prefix,
    arriving_regex,
    literal_start,
    unmatchable_set,
)


@pytest.mark.parametrize(
    ("configured", "arriving"),
    [
        ("/a/b", "/a/b"),
        ("/a b", "/a%20b"),
        ("/café", "/caf%C3%A9"),
        ('/a"<>^`{|}', "/a%22%3C%3E%5E%60%7B%7C%7D"),
        ("/a!$&'()*+,;=:@[]~-._", "/a!$&'()*+,;=:@[]~-._"),
        ("/endel%2fst", "/endel%2Fst"),
        ("/\\d", "/%5Cd"),
    ],
)
def test_prefixes(configured: str, arriving: str):
    assert arriving_prefix(configured) == arriving


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        (r"/users/\d+", "/users/12", True),
        (r"/a b", "/a%20b", True),
        (r"/a\sb", "/a%20b", True),
        (r"/café", "/caf%c3%a9", True),
        (r'/\d+"', "/123%22", True),
        (r"/a\{b\}", "/a%7Bb%7D", True),
        (r"/[a-z ]+$", "/a%20b", True),
        (r'/["x]+$', "/%22x%22", True),
        (r"/[a\s]+$", "/a%20a", True),
        (r"/x%2Fy", "/x%2fy", True),
        (r"/(?P<name>[a-z]+)/x", "/abc/x", True),
        (r"/a{2,3}$", "/aaa", True),
        (r"/a{2,3}$", "/a", False),
        (r"/a|/b", "/b", True),
        (r"/caf(é|e)$", "/caf%C3%A9", True),
        (r"/é+$", "/%C3%A9%c3%a9", True),
        (r"/\d\.\d", "/1.2", True),
        (r"/\d\.\d", "/1x2", False),
        (r"/reg%65x", "/regex", False),
        (r"/[^/]+/x", "/a%20b/x", True),
    ],
)
def test_regexes(pattern: str, path: str, found: bool):
    assert bool(re.match(arriving_regex(pattern), path)) is found


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        (r"/v1:admin$", "/v1:admin"),
        (r"/@a!b&c'd,e;f=g$", "/@a!b&c'd,e;f=g"),
        (r"/\$\(a\)\*\+\[b\]\:$", "/$(a)*+[b]:"),
        (r"/a]b$", "/a]b"),
        (r"/[:@]a$", "/:a"),
        (r"/[]]a$", "/]a"),
        (r"/[\[*]a$", "/*a"),
        (r"/[*-,]a$", "/+a"),
        (r"/[\x26-\x28]a$", "/'a"),
        (r"/[\t-~]a$", "/=a"),
        (r"/\x3aa$", "/:a"),
        (r"/:{2,3}$", "/:::"),
        (r"/(?:a:)+$", "/a:a:"),
        (r"/a%3Ab$", "/a:b"),
    ],
)
def test_a_reserved_character_is_itself_in_either_spelling(pattern: str, written: str):
    found = arriving_regex(pattern)
    encoded = re.sub("[^/a-z0-9]", lambda one: f"%{ord(one[0]):02X}", written)
    for spelling in (written, encoded, encoded.lower()):
        assert re.match(found, spelling)


@pytest.mark.parametrize(
    "pattern", [r"/a{2,3}$", r"/a*$", r"/(a)+$", r"/[^:;]+$", r"/\w\d$", r"/[a-z-]$", r"/(?i)a$"]
)
def test_what_is_syntax_stays_as_it_is(pattern: str):
    assert arriving_regex(pattern) == pattern


def test_a_named_group_in_either_spelling_stays_as_it_is():
    for pattern in (r"/(?P<a>x)", r"/(?<a>x)", r"/(?i:x)", r"/(?:x)"):
        assert arriving_regex(pattern) == pattern


def test_a_range_beyond_ascii_is_pointed_out():
    assert unmatchable_set("/[a-zà-ü]+") == "[a-zà-ü]"
    assert unmatchable_set("/[a-zé]+") is None


@pytest.mark.parametrize(
    ("pattern", "start"),
    [
        ("/admin(?=/)", "/admin"),
        ("/admin/?(?!x)", "/admin"),
        ("/a|/b", "/"),
        ("/ab*", "/a"),
        ("(?=x)", "/"),
        (r"/v\d", "/v"),
    ],
)
def test_the_literal_start_covers_all_that_a_pattern_may_mean(pattern: str, start: str):
    assert literal_start(pattern) == start
