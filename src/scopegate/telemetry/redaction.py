"""The last line of defence: no credential leaves in a log line.

Whoever logs is meant to log no credential in the first place. This catches what slips through: by
the name of a field, and by the look of a text (a JWT, an Authorization value, a query argument).
It may take out too much; it must not take out too little.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

REDACTED = "[redacted]"

_SECRET_NAMES = frozenset({"code", "state", "nonce", "jwt"})
_SECRET_WORDS = frozenset(
    {
        *("token", "tokens", "secret", "secrets", "cookie", "cookies", "authorization"),
        *("password", "passwords", "assertion", "verifier", "credential", "credentials"),
    }
)
_ARGUMENTS = (
    "code|state|nonce|token|access_token|refresh_token|id_token|id_token_hint|logout_token"
    "|subject_token|actor_token|device_code|session_state|client_secret|client_assertion"
    "|assertion|code_verifier|password"
)
_LOOKS = (
    # Every JWS and JWE begins with the base64url of `{"`.
    (re.compile(r"eyJ[A-Za-z0-9_-]{8,}[A-Za-z0-9_.-]*"), REDACTED),
    (
        re.compile(r"\b(bearer|basic|dpop|negotiate)\s+[A-Za-z0-9+/=._~-]{16,}", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (re.compile(rf"(?<![\w-])({_ARGUMENTS})=[^&\s\"'<>#;,]+", re.IGNORECASE), rf"\1={REDACTED}"),
    (re.compile(r"://[^/\s@\"']+@"), f"://{REDACTED}@"),
    (
        re.compile(r"(set-cookie|cookie|authorization)(['\"]?\s*:\s*)[^\r\n]+", re.IGNORECASE),
        rf"\1\2{REDACTED}",
    ),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL), REDACTED),
)
# Every look but the first needs a blank, a colon or an equals sign: most values have none.
_PLAIN = re.compile(r"[\w.,/-]*")
_MAX_DEPTH = 6


def redact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same fields without what looks like a credential; values JSON-shaped."""
    return {key: _value(key, value, 0) for key, value in fields.items()}


def redact_text(text: str) -> str:
    """The same text without what looks like a credential."""
    if "eyJ" not in text and _PLAIN.fullmatch(text):
        return text
    for look, instead in _LOOKS:
        text = look.sub(instead, text)
    return text


def _value(key: str, value: Any, depth: int) -> Any:
    # Numbers and booleans hold no secret: `tokens=3`, `cookies_read=True` stay.
    if value is None or isinstance(value, bool | int | float):
        return value
    if _names_a_secret(key):
        return REDACTED
    return _inside(value, depth)


def _inside(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _MAX_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {str(key): _value(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_value("", item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "backslashreplace"))
    return redact_text(str(value))


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    name = key.lower()
    return name in _SECRET_NAMES or not _SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", name))
