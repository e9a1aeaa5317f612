"""Reasons and what may stand in a log line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scopegate.oidc import reasons
from scopegate.oidc.errors import IdpUnavailable, OidcError, UnknownKey, quoted
from scopegate.oidc.reasons import Reason


def test_every_reason_is_a_stable_code_with_a_sentence() -> None:
    codes = [str(reason) for reason in Reason]
    assert len(set(codes)) == len(codes)
    for reason in Reason:
        assert re.fullmatch(r"[a-z][a-z0-9_]+", reason.value)
        assert reason.value == reason.name.lower()
        assert re.fullmatch(r"[A-Z].+\.", reason.explanation)


def test_every_reason_is_given_somewhere() -> None:
    sources = Path(reasons.__file__).parents[1].rglob("*.py")
    text = "".join(path.read_text() for path in sources if path.name != "reasons.py")
    unused = [
        reason.name
        for reason in Reason
        if f"Reason.{reason.name}" not in text and f'"{reason.value}"' not in text
    ]
    assert unused == []


def test_a_reason_is_its_code_wherever_a_string_is_wanted() -> None:
    error = OidcError(Reason.ALG_NONE, "unsigned")
    assert error.reason == "alg_none"
    assert f"{error.reason}" == "alg_none"
    assert {"alg_none": 1}[error.reason] == 1


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
