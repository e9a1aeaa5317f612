"""cookies.lua by itself, against a plain description of what it does."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.lua_script import LuaScript

MARKS = ("1AQbbbb", "1AQcccc")
BEFORE = f"""local COOKIES = {{
  ["session"] = {{ marks = {{ "{MARKS[0]}", "{MARKS[1]}" }}, rest = {{ "session2", "session3" }} }},
  ["login"] = {{ marks = {{ "{MARKS[0]}" }}, rest = {{}} }},
}}
"""
KNOWN = {"session": (MARKS, ("session2", "session3")), "login": (MARKS[:1], ())}
BLANKS = " \t\n\v\f\r"
SCRIPT = LuaScript("cookies.lua", BEFORE)


def described(header: str) -> str | None:
    """What the upstream gets."""
    pieces = re.split("[;,]", header)
    if len(pieces) > 1001:
        return None
    named = [tuple(each.strip(BLANKS) for each in piece.partition("=")) for piece in pieces]
    gone: set[str] = set()
    for name, equals, value in named:
        marks, rest = KNOWN.get(name, ((), ())) if equals else ((), ())
        if value.startswith(marks) or value[1:].startswith(marks):
            gone |= {name, *rest}
    if not gone:
        return header
    kept: list[str] = []
    removed = False
    separators = ["", *re.findall("[;,]", header)]
    for separator, piece, (name, _, _) in zip(separators, pieces, named, strict=True):
        if name in gone:
            removed = True
            continue
        if kept:
            kept.append((";" if removed else separator) + piece)
        else:
            kept.append(piece.lstrip(BLANKS) if removed else piece)
        removed = False
    left = "".join(kept)
    return left if left.strip(" \t;,") else None


_texts = st.lists(
    st.sampled_from(
        [*"=;, \tab1", *KNOWN, *MARKS, "session2", "2" + MARKS[0], "; ", f"session={MARKS[0]}X"]
    ),
    max_size=20,
).map("".join)


@given(_texts)
@example(f"session ={MARKS[1]}; session2=x,b=1")
@example(f"a=1;session={MARKS[0]}")
def test_it_does_what_is_described(header: str) -> None:
    ran = SCRIPT.request([("cookie", header), ("x-other", "1")])
    expected = described(header)
    assert ran.all("cookie") == ([] if expected is None else [expected])
    assert ran.all("x-other") == ["1"]
    assert ran.logged == []


@pytest.mark.parametrize("count", [1001, 1002])
def test_no_more_cookies_are_gone_through_than_a_browser_keeps(count: int) -> None:
    header = ";".join(["a=1"] * count)
    assert SCRIPT.request([("cookie", header)]).all("cookie") == ([header] if count < 1002 else [])


def test_a_fault_lets_no_cookie_go_on() -> None:
    script = LuaScript("cookies.lua", "local COOKIES = { session = {} }\n")
    ran = script.request([("cookie", "session=1")])
    assert ran.all("cookie") == []
    assert "none goes on" in ran.logged[0]
