"""Reading a JWK Set: only what verifies signatures, in one spelling and one order.

Source: RFC 7517 §4 and §5, RFC 7518 §6, RFC 8037 §2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scopegate.oidc.algorithms import ALGORITHMS
from scopegate.oidc.base64url import decode_base64url, encode_base64url
from scopegate.oidc.errors import IdpUnavailable, quoted
from scopegate.oidc.issuer_facts import Jwk
from scopegate.oidc.json_object import JsonRefused, parse_json_object
from scopegate.oidc.keys import VerificationKey
from scopegate.oidc.reasons import Reason

DOCUMENT_BYTES_MAX = 1024 * 1024
KEYS_MAX = 100

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MATERIAL = {"RSA": ("n", "e"), "EC": ("x", "y"), "OKP": ("x",)}
_COORDINATE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32, "Ed448": 57}
_EC_CURVES = ("P-256", "P-384", "P-521")
_OKP_CURVES = ("Ed25519", "Ed448")


class _KeyBroken(ValueError):
    """A JWK that nobody can use, with why."""


def read_jwks(body: bytes) -> tuple[tuple[Jwk, ...], tuple[str, ...]]:
    """The signing keys of a JWK Set, sorted, and what was wrong with the others.

    Left out in silence: keys for encryption (`use`, `key_ops`, `alg`) and of kinds that are not
    ours. Left out with a sentence about them: keys that show their private part or are shared
    secrets (whoever read the set could sign with them), broken keys. RSA keys under 2048 bits stay
    in, so that a token signed with one is refused for that reason.
    Raises IdpUnavailable: not a JWK Set, larger than 1 MiB, more than 100 keys.
    """
    if len(body) > DOCUMENT_BYTES_MAX:
        raise IdpUnavailable(Reason.JWKS_INVALID, "the key set is larger than 1 MiB")
    try:
        entries = parse_json_object(body).get("keys")
    except JsonRefused as error:
        raise IdpUnavailable(Reason.JWKS_INVALID, f"the key set is bad: {error}") from error
    if not isinstance(entries, list):
        raise IdpUnavailable(Reason.JWKS_INVALID, "the key set has no list of keys")
    if len(entries) > KEYS_MAX:
        raise IdpUnavailable(Reason.JWKS_INVALID, f"the key set has more than {KEYS_MAX} keys")
    keys: dict[str, Jwk] = {}
    problems = []
    for entry in entries:
        try:
            key = _signing_key(entry)
        except ValueError as error:
            kid = entry.get("kid") if isinstance(entry, dict) else None
            problems.append(f"key {quoted(kid, 80)} is left out: {error}")
            continue
        if key is not None:
            keys[json.dumps([key.get("kid", ""), key])] = key
    return tuple(keys[name] for name in sorted(keys)), tuple(sorted(problems))


def _signing_key(entry: Any) -> Jwk | None:
    """The key with the members that we use; None when it is not for us. Raises ValueError."""
    if not isinstance(entry, dict):
        raise _KeyBroken("it is no object")
    if not _PRIVATE_MEMBERS.isdisjoint(entry):
        raise _KeyBroken("it shows a private key or a shared secret")
    kty, curve = entry.get("kty"), entry.get("crv")
    if not _is_for_signatures(entry) or not _is_ours(kty, curve):
        return None
    key = {"kty": str(kty)}
    for name in ("kid", "use", "alg"):
        if name in entry:
            if not isinstance(entry[name], str):
                raise _KeyBroken(f"{name} is no string")
            key[name] = entry[name]
    if kty != "RSA":
        key["crv"] = str(curve)
    for name in _MATERIAL[str(kty)]:
        key[name] = _material(entry, name, None if kty == "RSA" else _COORDINATE_BYTES[str(curve)])
    VerificationKey.from_jwk(key)
    return key


def _is_for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return False
    algorithm = entry.get("alg")
    if isinstance(algorithm, str) and algorithm not in ALGORITHMS:
        return False
    return bool(entry.get("use", "sig") == "sig")


def _is_ours(kty: Any, curve: Any) -> bool:
    return (
        kty == "RSA"
        or (kty == "EC" and curve in _EC_CURVES)
        or (kty == "OKP" and curve in _OKP_CURVES)
    )


def _material(entry: Mapping[str, Any], name: str, exact_bytes: int | None) -> str:
    """A number as base64url. RSA's come without leading zeros, as RFC 7518 §6.3.1.1 wants them.

    (Some issuers write Java's sign byte in front.) Coordinates have one exact length (§6.2.1.2).
    """
    value = entry.get(name)
    if not isinstance(value, str):
        raise _KeyBroken(f"{name} is absent or no string")
    try:
        number = decode_base64url(value)
    except ValueError as error:
        raise _KeyBroken(f"{name} is not base64url") from error
    if exact_bytes is None:
        return encode_base64url(number.lstrip(b"\0"))
    if len(number) != exact_bytes:
        raise _KeyBroken(f"{name} has {len(number)} bytes instead of {exact_bytes}")
    return value
