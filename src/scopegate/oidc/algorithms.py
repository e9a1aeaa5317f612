"""The signature algorithms that are taken. Source: RFC 7518 §3, RFC 8037 §3.1, RFC 9864.

joserfc brings the primitives. Seen in its code: verifying checks neither whether the key's own
`alg` allows it nor the length of an RSA signature, and RSA keys of any size are imported; those
checks are ours, in `oidc.keys`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from joserfc.jwa import JWS_ALGORITHMS, JWSAlgModel


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A value of `alg`.

    key_type   `kty` of the keys that it takes
    curves     `crv` of the keys that it takes; empty for RSA and shared secrets
    hash_name  hashlib's name of its hash; of EdDSA the one of Ed25519
    """

    name: str
    key_type: str
    curves: tuple[str, ...]
    hash_name: str
    model: JWSAlgModel = field(repr=False)

    @property
    def is_symmetric(self) -> bool:
        """Signed with a secret that the verifier has too: HS256, HS384, HS512."""
        return self.key_type == "oct"


_ED448_SIGNATURE_BYTES = 114

_TABLE: Mapping[str, tuple[str, tuple[str, ...], str]] = {
    "RS256": ("RSA", (), "sha256"),
    "RS384": ("RSA", (), "sha384"),
    "RS512": ("RSA", (), "sha512"),
    "PS256": ("RSA", (), "sha256"),
    "PS384": ("RSA", (), "sha384"),
    "PS512": ("RSA", (), "sha512"),
    "ES256": ("EC", ("P-256",), "sha256"),
    "ES384": ("EC", ("P-384",), "sha384"),
    "ES512": ("EC", ("P-521",), "sha512"),
    "EdDSA": ("OKP", ("Ed25519", "Ed448"), "sha512"),
    "Ed25519": ("OKP", ("Ed25519",), "sha512"),
    "Ed448": ("OKP", ("Ed448",), "sha512"),
    "HS256": ("oct", (), "sha256"),
    "HS384": ("oct", (), "sha384"),
    "HS512": ("oct", (), "sha512"),
}
_MODELS = {model.name: model for model in JWS_ALGORITHMS}

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {name: Algorithm(name, *row, model=_MODELS[name]) for name, row in _TABLE.items()}
)
"""All algorithms by name. `none` is not among them and cannot be."""


def left_half_hash(algorithm: Algorithm, signature_bytes: int, value: str) -> bytes:
    """The left half of the hash of `value`, as `at_hash` holds it.

    The hash is the algorithm's own. EdDSA has two, told apart by the length of the signature:
    SHA-512 for Ed25519; for Ed448 SHAKE256 with 114 bytes (what Keycloak and others compute; OpenID
    Connect Core does not name it). Source: OpenID Connect Core §3.1.3.6.
    """
    text = value.encode("utf-8", "surrogatepass")
    if signature_bytes == _ED448_SIGNATURE_BYTES and "Ed448" in algorithm.curves:
        digest = hashlib.shake_256(text).digest(_ED448_SIGNATURE_BYTES)
    else:
        digest = hashlib.new(algorithm.hash_name, text).digest()
    return digest[: len(digest) // 2]
