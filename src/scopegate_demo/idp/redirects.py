"""Which addresses a client may have the browser sent back to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, unquote, urlsplit

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

# Browsers drop or rewrite these, so that what was compared would not be where they go.
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\#]")


def redirect_allowed(uri: str, patterns: Iterable[str]) -> bool:
    """Whether one of the client's patterns allows the URI.

    A pattern is a URI; with `*` at its end, any path that begins so. A loopback host without a
    port takes any port (RFC 8252 §7.3). The pattern `*` takes every http and https address.
    """
    if _UNSAFE.search(uri):
        return False
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    if not parts.scheme or not parts.hostname or parts.username is not None:
        return False
    if any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        return False
    return any(_matches(parts, port, pattern) for pattern in patterns)


def _matches(uri: SplitResult, port: int | None, pattern: str) -> bool:
    if pattern == "*":
        return uri.scheme in ("http", "https")
    allowed = urlsplit(pattern.removesuffix("*"))
    any_port = allowed.port is None and allowed.hostname in LOOPBACK_HOSTS
    same_origin = (
        uri.scheme == allowed.scheme
        and uri.hostname == allowed.hostname
        and (any_port or port == allowed.port)
    )
    if not same_origin:
        return False
    if pattern.endswith("*"):
        return (uri.path or "/").startswith(allowed.path)
    return (uri.path, uri.query) == (allowed.path, allowed.query)
