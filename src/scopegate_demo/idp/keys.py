"""The provider's signing keys, and keys that are not its own."""

from __future__ import annotations

import secrets
from functools import cached_property
from typing import Any

from joserfc.jwk import RSAKey

KEY_SIZE_BITS = 2048


class KeyRing:
    """RS256 keys: the active one signs, all in `published` are in the JWKS.

    active           signs new tokens
    published        public keys that the JWKS shows, the active one first
    refresh_secret   HS512 secret of the refresh tokens, which only the provider itself reads
    """

    def __init__(self, active: RSAKey | None = None) -> None:
        self.active = active or _generate()
        self.published = [self.active]
        self.refresh_secret = secrets.token_bytes(64)

    @cached_property
    def foreign(self) -> RSAKey:
        """A key that is not the provider's: what a forger would sign with."""
        return _generate()

    def rotate(self, *, overlap: bool = True) -> None:
        """Sign with a new key. With `overlap` the former ones stay in the JWKS."""
        self.active = _generate()
        self.published = [self.active, *(self.published if overlap else [])]

    def jwks(self) -> list[dict[str, Any]]:
        """The published public keys as JWKs (RFC 7517 §4)."""
        return [public_jwk(key) for key in self.published]


def public_jwk(key: RSAKey) -> dict[str, Any]:
    """The public half as a JWK with `kid`, `use` and `alg`."""
    return dict(key.as_dict(private=False))


def _generate() -> RSAKey:
    return RSAKey.generate_key(
        KEY_SIZE_BITS, {"use": "sig", "alg": "RS256"}, private=True, auto_kid=True
    )
