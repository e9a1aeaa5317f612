"""Base64url without padding (RFC 7515 §2), written apart from the code under test."""

from __future__ import annotations

import base64


def to_base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def from_base64url(text: str) -> bytes:
    """Whatever it holds: a lenient reader."""
    return base64.urlsafe_b64decode(text + "===")
