"""Strict JSON objects: what two readers could understand differently is refused.

Source: RFC 8259, RFC 8725 §2.4, RFC 7515 §4 and RFC 7519 §4 (duplicate names must be rejected).
"""

from __future__ import annotations

import json
import math
from typing import Any


class JsonRefused(ValueError):
    """Not a JSON object in UTF-8, or one with numbers or characters that no JSON text may hold."""


class MemberRepeated(JsonRefused):
    """An object names a member twice."""


def parse_json_object(text: bytes) -> dict[str, Any]:
    """The JSON object that `text` holds.

    Raises JsonRefused: not UTF-8, not JSON, not an object, nested too deeply, NaN or Infinity, a
    number that no double holds, a lone surrogate. Raises MemberRepeated: a member named twice, at
    any depth.
    """
    try:
        characters = text.decode("utf-8")
        value = _DECODER.decode(characters)
        if "\\ud" in characters or "\\uD" in characters:
            _refuse_lone_surrogates(value)
    except JsonRefused:
        raise
    except (ValueError, RecursionError) as error:
        # Without the text: it may hold what must not be logged.
        raise JsonRefused("not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise JsonRefused("not a JSON object")
    return value


def _members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MemberRepeated("a member is named twice")
    return members


def _finite(literal: str) -> float:
    number = float(literal)
    if not math.isfinite(number):
        raise JsonRefused("a number is too large")
    return number


def _refuse_constant(_name: str) -> Any:
    raise JsonRefused("NaN and Infinity are not JSON")


def _refuse_lone_surrogates(value: Any) -> None:
    """Python takes `"\\ud800"` and fails when the string is first encoded; better here."""
    json.dumps(value, ensure_ascii=False).encode("utf-8")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members_once, parse_float=_finite, parse_constant=_refuse_constant
)
