"""Reasons and what may stand in a log line."""

from __future__ import annotations

import pytest

from scopegate.oidc.errors import IdpUnavailable, UnknownKey, quoted
from scopegate.oidc.reasons import Reason


def test_an_unknown_key_becomes_unavailability_only_while_keys_are_missing() -> None:
    known = UnknownKey(Reason.KEY_UNKNOWN, "x")
    assert known.verdict() is known
    verdict = UnknownKey(Reason.KEY_UNKNOWN, "x", keys_missing=True).verdict()
    assert isinstance(verdict, IdpUnavailable)
    assert verdict.reason == Reason.KEY_UNKNOWN


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://idp.example", "https://idp.example"),
        ("a\nb\x1b[31m\u2028", "a\ufffdb\ufffd[31m\ufffd"),
        ("x" * 300, "x" * 200 + "…"),
        (1700000000, "1700000000"),
        (None, "None"),
        (["a", "\n"], "['a', '\\n']"),
    ],
)
def test_quoted_values_are_bounded_and_without_control_characters(
    value: object, shown: str
) -> None:
    assert quoted(value) == shown
