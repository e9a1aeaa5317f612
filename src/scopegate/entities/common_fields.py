"""Fields that several kinds of entity share. Source: contract admin-api.md §2 (defaults)."""

from __future__ import annotations

import re

from scopegate.entities.fields import Field, integer, set_of, string
from scopegate.entities.rules import Must

PROTOCOLS = (
    "grpc",
    "grpcs",
    "http",
    "https",
    "tcp",
    "tls",
    "tls_passthrough",
    "udp",
    "ws",
    "wss",
)
HTTP_PROTOCOLS = ("grpc", "grpcs", "http", "https")
"""Those that work now."""

TIMEOUT_LIMIT_MS = 2**31 - 2


def identifier() -> Field:
    """The primary key."""
    return string(description="The id: a UUID.", uuid=True, auto=True)


def timestamp(description: str) -> Field:
    """Unix seconds that the gateway sets."""
    return integer(description=description, timestamp=True, auto=True)


def created_at() -> Field:
    """Kept for life."""
    return timestamp("When it was made, in Unix seconds.")


def updated_at() -> Field:
    """Set at every write."""
    return timestamp("When it was last written, in Unix seconds.")


def unique_name(description: str) -> Field:
    """A name that no other entity of its kind has."""
    return string(description=description, unique=True, rules=(Must(name_fault),))


def tags() -> Field:
    """Words by which lists can be filtered."""
    return set_of(
        string(description="One tag.", required=True, rules=(Must(tag_fault),)),
        description="Words by which lists can be filtered.",
    )


def protocol(**attributes: object) -> Field:
    """One protocol."""
    return string(
        description="A protocol.",
        one_of=PROTOCOLS,
        supported_values=HTTP_PROTOCOLS,
        limits="tcp, tls, udp, tls_passthrough, ws and wss are refused",
        **attributes,
    )


def name_fault(name: str) -> str | None:
    """Letters, digits, `. - _ ~` and anything beyond ASCII."""
    if re.fullmatch(r"[0-9A-Za-z._~\-\u0080-\U0010ffff]+", name):
        return None
    return (
        f"invalid value '{name}': "
        "the only accepted ascii characters are alphanumerics or ., -, _, and ~"
    )


def tag_fault(tag: str) -> str | None:
    """Printable, without comma and slash, which separate tags in a filter."""
    if re.fullmatch(r"[ -+\-.0-~\u0080-\U0010ffff]+", tag):
        return None
    return (
        f"invalid tag '{tag}': "
        "expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
    )


HEADER_NAME_LIMIT = 128


def header_name_fault(name: str) -> str | None:
    """Letters, digits, `-` and `_`; not too many, for all spellings of a name are looked for."""
    if len(name) > HEADER_NAME_LIMIT:
        return f"a header name of {len(name)} characters: no more than {HEADER_NAME_LIMIT} work"
    if re.fullmatch(r"[0-9A-Za-z_-]+", name):
        return None
    return (
        f"bad header name '{name}', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
        if name
        else "no header name provided"
    )
