"""Sessions written small: their cookie travels with every request (docs/adr/0042).

A token is base64url of JSON and a signature, which hides from a compressor what two tokens have in
common; so it is taken apart first, and put together again byte for byte. Format: RFC 1950 (zlib).
"""

from __future__ import annotations

import zlib

from scopegate.session.sealing import TooLargeToSeal, decode_base64url, encode_base64url

UNPACKED_LIMIT_BYTES = 1 << 20
"""What is larger is neither packed nor unpacked."""

# As small as with zlib's own choice, for a session of 3 KB, in a third of the time: to clear larger
# tables is most of the work.
_LEVEL, _WINDOW_BITS, _MEMORY_LEVEL = 6, 13, 6

_PARTS = 3  # header, payload and signature: RFC 7519 §3, RFC 7515 §7.1


def take_apart(token: str) -> str | list[str]:
    """Header and payload of a JWT as texts, and its signature as it is; any other token unchanged.

    So is a JWT whose spelling `put_together` would not meet again.
    """
    parts = token.split(".")
    if len(parts) != _PARTS:
        return token
    header, payload, signature = _text(parts[0]), _text(parts[1]), parts[2]
    if header is None or payload is None:
        return token
    return [header, payload, signature]


def put_together(parts: object) -> object:
    """What `take_apart` was given. Anything else comes back as it is."""
    if not (isinstance(parts, list) and len(parts) == _PARTS):
        return parts
    if not all(isinstance(part, str) for part in parts):
        return parts
    header, payload, signature = parts
    return f"{_encoded(header)}.{_encoded(payload)}.{signature}"


def pack(data: bytes) -> bytes:
    """Compressed. Raises TooLargeToSeal."""
    if len(data) > UNPACKED_LIMIT_BYTES:
        raise TooLargeToSeal(f"{len(data)} bytes are too many to seal")
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
    return stream.compress(data) + stream.flush()


def unpack(packed: bytes) -> bytes | None:
    """What was packed, or None for anything else."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, UNPACKED_LIMIT_BYTES)
    except zlib.error:
        return None
    return data if stream.eof and not stream.unused_data else None


def _text(part: str) -> str | None:
    data = decode_base64url(part)
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


def _encoded(text: str) -> str:
    return encode_base64url(text.encode("utf-8", "surrogatepass"))
