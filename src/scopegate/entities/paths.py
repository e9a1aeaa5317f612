"""Paths of services and routes, with Kong's rules and texts.

Source: contract admin-api.md §2 (texts), §3 (normalisation).
"""

from __future__ import annotations

import re

from scopegate.entities.regexes import regex_fault
from scopegate.entities.rules import control_character_fault

PATH_LIMIT_BYTES = 4096
"""What does not fit into the proxy's own headers, three characters a byte, it would refuse."""

_RESERVED = frozenset(b"!*'();:@&=+$,/?%#[]")
_RFC3986_PATH = re.compile(r"/[0-9A-Za-z.\-_~/%:@!$&'()*+,;=]*", re.ASCII)


def path_fault(path: str) -> str | None:
    """For a service's path: the characters of RFC 3986, well encoded."""
    if len(path) > PATH_LIMIT_BYTES:
        return f"longer than {PATH_LIMIT_BYTES} bytes"
    if not _RFC3986_PATH.fullmatch(path):
        return f"invalid path: '{path}' (characters outside of the reserved list of RFC 3986 found)"
    return _encoding_fault(path)


def route_path_fault(path: str) -> str | None:
    """For a route's path: normalised, or `~` and a regular expression."""
    if path.startswith("~"):
        fault = regex_fault(path[1:])
        return None if fault is None else f"invalid regex: '{path[1:]}' ({fault})"
    if len(path.encode()) > PATH_LIMIT_BYTES:
        return f"longer than {PATH_LIMIT_BYTES} bytes"
    if _RFC3986_PATH.fullmatch(path):
        fault = _encoding_fault(path)
        if fault is not None:
            return fault
    normalised = normalise_path(path)
    if path != normalised:
        return f"non-normalized path, consider use '{normalised}' instead"
    return control_character_fault(path)


def normalise_path(path: str) -> str:
    """Decoded but for reserved characters, without dot segments and empty segments.

    Reserved characters stay encoded, in upper case. Source: contract admin-api.md §3.
    """
    decoded = re.sub(rb"%([0-9A-Fa-f]{2})", _decode, path.encode())
    segments: list[bytes] = []
    parts = decoded.split(b"/")[1:]
    for number, segment in enumerate(parts, start=1):
        last = number == len(parts)
        if segment == b"..":
            del segments[-1:]
        elif segment not in (b"", b"."):
            segments.append(segment)
        if last and segment in (b"", b".", b".."):
            segments.append(b"")
    return (b"/" + b"/".join(segments)).decode(errors="replace")


def _decode(encoded: re.Match[bytes]) -> bytes:
    byte = int(encoded[1], 16)
    return encoded[0].upper() if byte in _RESERVED else bytes([byte])


def _encoding_fault(path: str) -> str | None:
    unencoded = re.sub(r"%[0-9A-Fa-f]{2}", "___", path)
    at = unencoded.find("%")
    return None if at < 0 else f"invalid url-encoded value: '{unencoded[at : at + 3]}'"
