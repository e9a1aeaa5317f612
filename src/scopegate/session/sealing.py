"""Sealed texts: encrypted, authenticated, made for one purpose, opened by a ring of keys.

A sealed text is base64url without padding (RFC 4648 §5) of

    version (1 byte) | key hint (4) | salt (16) | AES-256-GCM ciphertext and tag

Key and nonce come from HKDF-SHA256 (RFC 5869) over the root with the message's own salt, so no
two messages share a key and the limits on GCM nonces (NIST SP 800-38D §8.3) are out of reach.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RandomBytes = Callable[[int], bytes]

ROOT_BYTES = 32
SEALED_LIMIT_CHARS = 65_536
"""Longer texts are neither made nor looked at: nine cookies hold 36 KB."""

_VERSION = b"\x01"
_HINT_BYTES = 4
_SALT_BYTES = 16
_TAG_BYTES = 16
_KEY_BYTES = 32
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _HINT_BYTES + _SALT_BYTES


class Purpose(Enum):
    """What a sealed text is for. Each has keys of its own."""

    SESSION = "session"
    STATE = "state"
    BROWSER = "browser cookie"
    SHARED = "shared value"


class TooLargeToSeal(ValueError):
    """The plaintext would make a sealed text of more than SEALED_LIMIT_CHARS."""


@dataclass(frozen=True, slots=True)
class RingKey:
    """A root secret of at least 32 bytes.

    not_after_s   None for the current key; a former key opens until this moment
    """

    root: bytes = field(repr=False)
    not_after_s: int | None = None

    def __post_init__(self) -> None:
        if len(self.root) < ROOT_BYTES:
            raise ValueError(f"root: {len(self.root)} bytes; it must have at least {ROOT_BYTES}")

    def is_over(self, now_s: int) -> bool:
        """Whether it opens nothing any more."""
        return self.not_after_s is not None and now_s >= self.not_after_s


def root_from_secret(secret: str) -> bytes:
    """The root for a configured `session_secret`.

    A secret of exactly 32 bytes is the root itself, any other is hashed with SHA-256. Raises
    ValueError for an empty one. Source: contract openid-connect.md §10.
    """
    data = secret.encode()
    if not data:
        raise ValueError("session_secret: is empty; leave it unset or give at least one character")
    return data if len(data) == ROOT_BYTES else hashlib.sha256(data).digest()


def root_from_cluster_secret(cluster_secret: str) -> bytes:
    """The root from the cluster's own secret: hex of at least 32 bytes, otherwise ValueError."""
    root = bytes.fromhex(cluster_secret)
    if len(root) < ROOT_BYTES:
        raise ValueError(f"cluster_secret: {len(root)} bytes; it must have at least {ROOT_BYTES}")
    return root


def encode_base64url(data: bytes) -> str:
    """Base64url without padding. Source: RFC 4648 §5."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes | None:
    """The bytes, or None unless `text` is exactly what `encode_base64url` makes of them.

    The standard decoder takes several spellings of the same bytes; ours takes one, so that a
    changed text is a different text (RFC 4648 §3.5).
    """
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", True)
    except (binascii.Error, ValueError):
        return None
    return data if encode_base64url(data) == text else None


def associated(*parts: str) -> bytes:
    """Associated data from several texts, unambiguous: each behind its length."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def mark_of(root: bytes) -> str:
    """How every text begins that this root seals: the characters of version and key hint alone."""
    header = _VERSION + _hint(root)
    return encode_base64url(header)[: len(header) * 8 // 6]


class KeyRing:
    """Seals with the newest key; opens with any that still may."""

    def __init__(self, keys: Sequence[RingKey]) -> None:
        """`keys` newest first: the current one without `not_after_s`, all others with it."""
        if not keys:
            raise ValueError("keys: a ring needs at least the current key")
        if keys[0].not_after_s is not None:
            raise ValueError("keys: the first is the current key and has no not_after_s")
        if any(key.not_after_s is None for key in keys[1:]):
            raise ValueError("keys: every former key needs a not_after_s")
        self._keys = [(_hint(key.root), key) for key in keys]

    def seal(
        self,
        plaintext: bytes,
        purpose: Purpose,
        associated_data: bytes,
        *,
        random_bytes: RandomBytes,
    ) -> str:
        """The sealed text. Raises TooLargeToSeal."""
        hint, key = self._keys[0]
        header = _VERSION + hint + random_bytes(_SALT_BYTES)
        length_bytes = len(header) + len(plaintext) + _TAG_BYTES
        if length_bytes * 4 > SEALED_LIMIT_CHARS * 3:
            raise TooLargeToSeal(f"{len(plaintext)} bytes are too many to seal")
        cipher, nonce = _cipher(key.root, header, purpose)
        return encode_base64url(header + cipher.encrypt(nonce, plaintext, associated_data))

    def unseal(
        self, sealed: str, purpose: Purpose, associated_data: bytes, *, now_s: int
    ) -> bytes | None:
        """The plaintext, or None: changed, cut, of another purpose, other data, or a dead key."""
        opened = self.unseal_with(sealed, purpose, associated_data, now_s=now_s)
        return None if opened is None else opened[0]

    def unseal_with(
        self, sealed: str, purpose: Purpose, associated_data: bytes, *, now_s: int
    ) -> tuple[bytes, RingKey] | None:
        """The same, and the key that opened it."""
        if len(sealed) > SEALED_LIMIT_CHARS:
            return None
        message = decode_base64url(sealed)
        if message is None or len(message) < _HEADER_BYTES + _TAG_BYTES:
            return None
        header, body = message[:_HEADER_BYTES], message[_HEADER_BYTES:]
        if not header.startswith(_VERSION):
            return None
        # The header decides the key, so a changed hint or salt fails like a changed body does.
        for hint, key in self._keys:
            if key.is_over(now_s) or hint != _hint_of(header):
                continue
            cipher, nonce = _cipher(key.root, header, purpose)
            try:
                return cipher.decrypt(nonce, body, associated_data), key
            except InvalidTag:
                continue
        return None

    def is_current(self, sealed: str) -> bool:
        """Whether the current key sealed this text; what a former one sealed is worth resealing.

        Says nothing about authenticity: ask `unseal` first.
        """
        header = decode_base64url(sealed[: _HEADER_BYTES * 4 // 3])
        return header is not None and _hint_of(header) == self._keys[0][0]


def _hint_of(header: bytes) -> bytes:
    return header[len(_VERSION) : len(_VERSION) + _HINT_BYTES]


def _hint(root: bytes) -> bytes:
    """A public name of the key, so that the right one is tried first; tells nothing about it."""
    return HKDF(SHA256(), _HINT_BYTES, salt=None, info=b"scopegate key hint").derive(root)


def _cipher(root: bytes, header: bytes, purpose: Purpose) -> tuple[AESGCM, bytes]:
    """Cipher and nonce of one message."""
    # The whole header is the salt, so version and hint are authenticated with it.
    derived = HKDF(
        SHA256(),
        _KEY_BYTES + _NONCE_BYTES,
        salt=header,
        info=b"scopegate seal " + purpose.value.encode(),
    ).derive(root)
    return AESGCM(derived[:_KEY_BYTES]), derived[_KEY_BYTES:]
