"""Base64url has one spelling per value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.oidc.base64url import decode_base64url, encode_base64url


@given(st.binary())
def test_what_is_encoded_comes_back(value: bytes) -> None:
    assert decode_base64url(encode_base64url(value)) == value


@given(st.text(alphabet="AQgw-_+/= \n.ü", max_size=12))
def test_only_the_one_spelling_is_read(text: str) -> None:
    try:
        value = decode_base64url(text)
    except ValueError:
        return
    assert encode_base64url(value) == text


@pytest.mark.parametrize(
    "text", ["A", "AA==", "AA=", "AB", "AAB", "A+AA", "A/AA", "AA AA", "AAAA\n", "AA.A", "ÄAAA"]
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_base64url(text)
