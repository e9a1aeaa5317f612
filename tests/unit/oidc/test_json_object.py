"""Strict JSON objects."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.oidc.json_object import JsonRefused, MemberRepeated, parse_json_object


def test_an_object_is_read() -> None:
    text = '{"a": [1, -2.5, true, null, {"ü": "\\ud83d\\ude00"}]}'
    assert parse_json_object(text.encode()) == {"a": [1, -2.5, True, None, {"ü": "😀"}]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"{} {}",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b'{"\\uDC00": 1}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 60000,
    ],
    ids=range(19),
)
def test_what_is_not_exactly_a_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(JsonRefused):
        parse_json_object(text)


@pytest.mark.parametrize(
    "text",
    [b'{"a": 1, "a": 1}', b'{"x": {"a": 1, "b": 2, "a": 3}}', b'{"x": [{"a": 1, "\\u0061": 2}]}'],
)
def test_a_member_named_twice_is_refused_at_any_depth(text: bytes) -> None:
    with pytest.raises(MemberRepeated):
        parse_json_object(text)


def test_a_refusal_does_not_quote_the_text() -> None:
    with pytest.raises(JsonRefused) as caught:
        parse_json_object(b'{"token": "s3cret"')
    assert "s3cret" not in str(caught.value)


@given(st.binary())
def test_random_bytes_are_an_object_or_refused(text: bytes) -> None:
    try:
        value = parse_json_object(text)
    except JsonRefused:
        return
    assert isinstance(value, dict)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No lone surrogates: UTF-8 cannot hold them.
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON), st.booleans())
def test_whatever_json_can_say_comes_back(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse_json_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
