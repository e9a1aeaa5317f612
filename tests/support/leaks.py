"""Tokens in a text that must hold none: a log, a page, a `repr`.

A short mark such as `eyJ` is no sign of one: random key ids and request ids contain it by chance.
"""

from __future__ import annotations

import re

from support.base64url import from_base64url

_MAY_BEGIN_A_JWT = re.compile(r"eyJ[A-Za-z0-9_-]*")
_OBJECT = re.compile(rb'\{"[A-Za-z_0-9#]+":')
_SECRET_CHARS_MIN = 8


def parts_of(token: str) -> list[str]:
    """The parts of a token that tell something: of a JWT payload and signature, else all of it."""
    parts = token.split(".")
    secret = parts[1:] if len(parts) == 3 else [token]
    return [part for part in secret if len(part) >= _SECRET_CHARS_MIN]


def jwts_in(text: str) -> list[str]:
    """Headers and payloads of JWTs, whole or cut off: what decodes to the start of an object."""
    return [
        found[0]
        for found in _MAY_BEGIN_A_JWT.finditer(text)
        if _OBJECT.match(_decoded_beginning(found[0]))
    ]


def _decoded_beginning(part: str) -> bytes:
    return from_base64url(part[: len(part) - len(part) % 4])
