"""The search for tokens finds them, and finds nothing by chance."""

from __future__ import annotations

import json

import pytest

from support.base64url import to_base64url
from support.leaks import jwts_in, parts_of

HEADER = to_base64url(json.dumps({"alg": "RS256", "kid": "k"}, separators=(",", ":")).encode())
PAYLOAD = to_base64url(b'{"sub":"1","iss":"https://idp.example"}')
TOKEN = f"{HEADER}.{PAYLOAD}.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "text", [TOKEN, f"x_{TOKEN}", f'"detail": "{HEADER[:14]}…"', f"cut {PAYLOAD[:20]}"]
)
def test_a_token_whole_or_cut_off_is_found(text: str) -> None:
    assert jwts_in(text)


@pytest.mark.parametrize(
    "text",
    ["eyJ", "key id eyJ7b2Rk", "Q2eyJm9_-aGVsbG8", "eyJunk", to_base64url(b'{"') + "AAAAAAAA"],
)
def test_a_key_id_that_begins_like_a_token_is_none(text: str) -> None:
    assert jwts_in(text) == []


def test_the_header_of_a_token_is_no_secret_part() -> None:
    assert parts_of(TOKEN) == [PAYLOAD, "c2lnbmF0dXJl"]
    assert parts_of("an-opaque-token") == ["an-opaque-token"]
    assert parts_of(f"{HEADER}.{PAYLOAD}.") == [PAYLOAD]
