"""Reading a signed JWT strictly, before anything in it is believed.

No signature is checked here: the key does that, `keys.check_signature`; claims: `claim_checks`.

Source: RFC 7515 §5.2, RFC 7519 §7.2, RFC 8725 §3; contract openid-connect.md §22, point 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scopegate.oidc.algorithms import ALGORITHMS, Algorithm
from scopegate.oidc.base64url import decode_base64url
from scopegate.oidc.errors import NotJwt, TokenRefused, quoted
from scopegate.oidc.json_object import JsonRefused, MemberRepeated, parse_json_object
from scopegate.oidc.reasons import Reason

TOKEN_CHARS_MAX = 64 * 1024
_JWE_PARTS = 5


@dataclass(frozen=True, slots=True)
class Jws:
    """A JWT that is well formed. Nothing is said about who signed it.

    typ             media type in lower case without `application/`, or None (RFC 7515 §4.1.9)
    signing_input   what the signature covers
    """

    header: Mapping[str, Any]
    algorithm: Algorithm
    kid: str | None
    typ: str | None
    claims: Mapping[str, Any] = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_jws(token: str) -> Jws:
    """A compact JWS whose payload is a JSON object. Raises TokenRefused, and NotJwt among it.

    NotJwt: not three parts (five are a JWE), or a first part that is no JSON object. Everything
    else that is wrong is final: size, repeated members, types of header members, `crit`, `b64`,
    `jwk`, an `alg` that is not ours, payload, spelling of the signature. `jku`, `x5u`, `x5c` and
    header members that nobody knows are ignored: real tokens carry them, and no key is taken from
    them.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise TokenRefused(Reason.TOKEN_TOO_LARGE, f"token of {len(token)} characters")
    parts = token.split(".", _JWE_PARTS)
    if len(parts) == _JWE_PARTS:
        raise NotJwt(Reason.TOKEN_ENCRYPTED, "encrypted token (JWE) instead of a signed one")
    if len(parts) != 3 or not token.isascii():
        raise NotJwt(Reason.NOT_A_JWT, "the token is not a JWT")
    header_part, payload_part, signature_part = parts
    header = _parse_header(header_part)
    algorithm = _algorithm(header)
    kid = _string_member(header, "kid")
    typ = _string_member(header, "typ")
    try:
        claims = parse_json_object(decode_base64url(payload_part))
    except MemberRepeated as error:
        raise TokenRefused(Reason.CLAIM_REPEATED, "the payload names a claim twice") from error
    except ValueError as error:
        raise TokenRefused(Reason.PAYLOAD_INVALID, "the payload is no JSON object") from error
    try:
        signature = decode_base64url(signature_part)
    except ValueError as error:
        raise TokenRefused(
            Reason.SIGNATURE_INVALID, "invalid signature: not canonical base64url"
        ) from error
    return Jws(
        header=header,
        algorithm=algorithm,
        kid=kid,
        typ=typ.lower().removeprefix("application/") if typ is not None else None,
        claims=claims,
        signing_input=token[: len(header_part) + 1 + len(payload_part)].encode("ascii"),
        signature=signature,
    )


def _parse_header(part: str) -> dict[str, Any]:
    try:
        header = parse_json_object(decode_base64url(part))
    except MemberRepeated as error:
        raise TokenRefused(
            Reason.HEADER_MEMBER_REPEATED, "the header names a member twice"
        ) from error
    except JsonRefused as error:
        raise NotJwt(Reason.NOT_A_JWT, "the token's header is no JSON object") from error
    except ValueError as error:
        raise NotJwt(Reason.NOT_A_JWT, "the token's header is not base64url") from error
    if "crit" in header:
        # RFC 7515 §4.1.11: what is critical must be understood, and we understand no extension.
        raise TokenRefused(
            Reason.CRIT_NOT_UNDERSTOOD, f"crit ({quoted(header['crit'])}) is not understood"
        )
    if "b64" in header:
        raise TokenRefused(Reason.B64_REFUSED, "b64 is not allowed in a JWT (RFC 7797 §7)")
    if "jwk" in header:
        raise TokenRefused(Reason.EMBEDDED_KEY, "the token brings its own key (jwk)")
    return header


def _algorithm(header: Mapping[str, Any]) -> Algorithm:
    name = header.get("alg")
    if name is None:
        raise TokenRefused(Reason.ALG_MISSING, "the token names no algorithm")
    if not isinstance(name, str):
        raise TokenRefused(Reason.HEADER_INVALID, "alg is no string")
    if name.lower() == "none":
        raise TokenRefused(Reason.ALG_NONE, "the token is not signed (alg none)")
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        raise TokenRefused(Reason.ALG_NOT_ALLOWED, f"algorithm ({quoted(name)}) is not allowed")
    return algorithm


def _string_member(header: Mapping[str, Any], name: str) -> str | None:
    if name not in header:
        return None
    value = header[name]
    if not isinstance(value, str):
        raise TokenRefused(Reason.HEADER_INVALID, f"{name} is no string")
    return value
