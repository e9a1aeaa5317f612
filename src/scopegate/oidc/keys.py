"""Keys that verify signatures, and finding the one that a token names.

One issuer's keys never vouch for another: every lookup is by issuer first.
Source: RFC 7515 §4.1.4 and §6, RFC 7517, RFC 7518 §3 and §6, contract openid-connect.md §14.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from scopegate.oidc.algorithms import Algorithm
from scopegate.oidc.base64url import decode_base64url
from scopegate.oidc.errors import NotConfigured, TokenRefused, UnknownKey, quoted
from scopegate.oidc.issuer_facts import IssuerFacts, Jwk
from scopegate.oidc.jws import Jws
from scopegate.oidc.key_owners import OwnedKeys, owned_keys
from scopegate.oidc.reasons import Reason

PublicKey = RSAKey | ECKey | OKPKey

RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192
_SECRET_BYTES_MIN = 32
_KEY_CLASSES: dict[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_EC_SIGNATURE_BYTES = {"P-256": 64, "P-384": 96, "P-521": 132}
_OKP_SIGNATURE_BYTES = {"Ed25519": 64, "Ed448": 114}


def rsa_bits(jwk: Jwk) -> int:
    """The length of an RSA modulus in bits. Raises ValueError or KeyError."""
    return int.from_bytes(decode_base64url(jwk["n"]), "big").bit_length()


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, imported once.

    key               None for an RSA key under 2048 bits: known, never used
    signature_bytes   exact length of the signatures that it makes
    """

    jwk: Jwk
    key: PublicKey | None = field(repr=False)
    signature_bytes: int

    @classmethod
    def from_jwk(cls, jwk: Jwk) -> VerificationKey:
        """Raises ValueError when the members do not make a key."""
        kty = jwk.get("kty", "")
        try:
            if kty == "RSA":
                bits = rsa_bits(jwk)
                if bits > RSA_BITS_MAX:
                    raise ValueError(f"an RSA key of more than {RSA_BITS_MAX} bits")
                signature_bytes = (bits + 7) // 8
                if bits < RSA_BITS_MIN:
                    return cls(jwk, None, signature_bytes)
            elif kty == "EC":
                signature_bytes = _EC_SIGNATURE_BYTES[jwk["crv"]]
            else:
                signature_bytes = _OKP_SIGNATURE_BYTES[jwk["crv"]]
            key = _KEY_CLASSES[kty].import_key(dict(jwk))
        except (KeyError, JoseError) as error:
            raise ValueError("not a key that we know") from error
        if key.is_private:
            raise ValueError("a private key")
        return cls(jwk, key, signature_bytes)

    def fits(self, algorithm: Algorithm) -> bool:
        """Whether type, curve and the key's own `alg` go with the algorithm.

        RFC 9864 gives EdDSA's two curves names of their own; a key may use either spelling.
        """
        if self.jwk["kty"] != algorithm.key_type:
            return False
        curve = self.jwk.get("crv")
        if algorithm.curves and curve not in algorithm.curves:
            return False
        own = self.jwk.get("alg", algorithm.name)
        return own == algorithm.name or (algorithm.key_type == "OKP" and own in ("EdDSA", curve))


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """A client secret that checks HS256, HS384 and HS512 (OpenID Connect Core §10.1).

    key   None when the secret is too short for any of them
    """

    key: OctKey | None = field(repr=False)

    @staticmethod
    @lru_cache(maxsize=256)
    def of(secret: str) -> SharedSecret:
        """Raises NotConfigured for an empty secret and for one that is a public key.

        A public key as a secret is what turns an issuer's published key into a forger's tool.
        Cached, since telling the two apart costs more than verifying a token.
        """
        material = secret.encode("utf-8", "surrogatepass")
        if 0 < len(material) < _SECRET_BYTES_MIN:
            return SharedSecret(None)
        try:
            return SharedSecret(OctKey.import_key(material))
        except (ValueError, JoseError):
            # Without the cause, whose text might quote the secret.
            raise NotConfigured(
                Reason.SECRET_UNUSABLE, "the client secret cannot check HS* signatures"
            ) from None


def check_signature(jws: Jws, key: VerificationKey | SharedSecret) -> None:
    """Raises TokenRefused unless the key is for the token's algorithm and made its signature."""
    algorithm = jws.algorithm
    if isinstance(key, SharedSecret):
        suitable = algorithm.is_symmetric
        expected_bytes = int(algorithm.name[-3:]) // 8
        # RFC 7518 §3.2: the secret is at least as long as the hash.
        if key.key is None or len(key.key.raw_value) < expected_bytes:
            raise TokenRefused(
                Reason.SECRET_TOO_SHORT, f"the client secret is too short for {algorithm.name}"
            )
    else:
        suitable = key.fits(algorithm)
        expected_bytes = key.signature_bytes
        if key.key is None:
            raise TokenRefused(
                Reason.KEY_TOO_WEAK,
                f"the RSA key with {_named(jws.kid)} is under {RSA_BITS_MIN} bits",
            )
    if not suitable:
        raise TokenRefused(Reason.KEY_UNSUITABLE, f"the key is not for {algorithm.name}")
    if len(jws.signature) != expected_bytes:
        raise TokenRefused(
            Reason.SIGNATURE_LENGTH_INVALID,
            f"invalid signature: {len(jws.signature)} bytes, {expected_bytes} were expected",
        )
    if not algorithm.model.verify(jws.signing_input, jws.signature, key.key):
        checked_with = "the client secret"
        if isinstance(key, VerificationKey):
            checked_with = f"the issuer's key with {_named(jws.kid)}"
        raise TokenRefused(
            Reason.SIGNATURE_INVALID, f"invalid signature, checked with {checked_with}"
        )


class KeySet:
    """The keys of one or more issuers, imported once and looked up by issuer, key id, algorithm."""

    def __init__(self, sources: Iterable[OwnedKeys]) -> None:
        """Raises ValueError for keys that are not what `oidc.jwks` writes."""
        self._of_issuer: dict[str, list[VerificationKey]] = {}
        self._by_id: dict[tuple[str, str | None], list[VerificationKey]] = {}
        self._unfetched: set[str] = set()
        for source in sources:
            if source.keys is None:
                self._unfetched.update(source.issuers)
            for jwk in source.keys or ():
                self._add(VerificationKey.from_jwk(jwk), source.issuers)

    @classmethod
    def from_facts(cls, facts: IssuerFacts, issuers_allowed: Sequence[str] = ()) -> KeySet:
        """The keys that may vouch for the allowed issuers (none named: for the one of the facts).

        Raises ValueError for facts that this package did not write.
        """
        return cls(owned_keys(facts, issuers_allowed))

    def _add(self, key: VerificationKey, issuers: Iterable[str]) -> None:
        for issuer in issuers:
            known = self._of_issuer.setdefault(issuer, [])
            if not any(_same_key(key.jwk, other.jwk) for other in known):
                known.append(key)
                self._by_id.setdefault((issuer, key.jwk.get("kid")), []).append(key)

    def find(self, issuer: str, kid: str | None, algorithm: Algorithm) -> VerificationKey:
        """The one key of the issuer that can have signed a token.

        UnknownKey      no key with this id, or without an id no key for the algorithm
        TokenRefused    the key with this id is of another kind, or several keys fit
        A token without `kid` is taken only where exactly one key fits (RFC 7515 §4.1.4 makes kid
        optional); a repeated kid is told apart by type, curve and `alg`, and refused otherwise.
        """
        if kid is None:
            keys = self._of_issuer.get(issuer, [])
        else:
            keys = self._by_id.get((issuer, kid), [])
        fitting = [key for key in keys if key.fits(algorithm)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise TokenRefused(
                Reason.KEY_AMBIGUOUS,
                f"{len(fitting)} keys fit {_named(kid)} and algorithm {algorithm.name}",
            )
        if keys and kid is not None:
            raise TokenRefused(
                Reason.KEY_UNSUITABLE, f"the key with {_named(kid)} is not for {algorithm.name}"
            )
        raise UnknownKey(
            Reason.KEY_UNKNOWN,
            f"issuer {quoted(issuer)} has no key with {_named(kid)} for {algorithm.name}",
            key_id=kid,
            keys_missing=issuer in self._unfetched,
        )


def _named(kid: str | None) -> str:
    return "no key id" if kid is None else f"key id {quoted(kid)}"


def _same_key(one: Jwk, other: Jwk) -> bool:
    members = ("kid", "kty", "crv", "n", "e", "x", "y")
    return all(one.get(name) == other.get(name) for name in members)
