"""Base64url without padding, exactly one spelling per value. Source: RFC 7515 §2, RFC 4648 §3.5."""

from __future__ import annotations

import base64


def encode_base64url(value: bytes) -> str:
    """The one spelling of `value`."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes that `text` spells. Raises ValueError.

    Refused: padding, white space, other alphabets, an impossible length, trailing bits that are not
    zero. Python's own decoder lets most of these pass in silence, and each of them would give one
    token many spellings.
    """
    value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode_base64url(value) != text:
        raise ValueError("not canonical base64url")
    return value
