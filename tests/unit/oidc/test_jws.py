"""Reading a signed JWT: form and header."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.oidc.errors import NotJwt, TokenRefused
from scopegate.oidc.jws import TOKEN_CHARS_MAX, parse_jws
from scopegate.oidc.reasons import Reason
from support.base64url import to_base64url
from unit.oidc import vectors
from unit.oidc.forging import access_claims, compact, signed

PAYLOAD = to_base64url(b'{"iss":"x"}')
RS256 = to_base64url(b'{"alg":"RS256"}')


def test_a_good_token_is_taken_apart() -> None:
    jws = parse_jws(vectors.RS256_JWS)
    assert jws.header == {"alg": "RS256"}
    assert jws.claims == vectors.JOE_CLAIMS
    assert jws.algorithm.name == "RS256"
    assert (jws.kid, jws.typ) == (None, None)
    assert jws.signing_input.decode() == vectors.RS256_JWS.rpartition(".")[0]
    assert len(jws.signature) == 256


@pytest.mark.parametrize(
    ("typ", "normal"),
    [("JWT", "jwt"), ("at+JWT", "at+jwt"), ("application/AT+jwt", "at+jwt"), ("x", "x")],
)
def test_typ_is_a_media_type_without_regard_to_case(typ: str, normal: str) -> None:
    assert parse_jws(signed(access_claims(), typ=typ)).typ == normal


def test_headers_that_point_to_keys_are_ignored_but_for_jwk() -> None:
    header = {"jku": "https://evil.example", "x5u": "https://evil.example", "x5c": ["MII"], "x": 1}
    assert parse_jws(signed(access_claims(), **header)).claims == access_claims()


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", Reason.NOT_A_JWT),
        ("opaque", Reason.NOT_A_JWT),
        ("a.b", Reason.NOT_A_JWT),
        ("a.b.c", Reason.NOT_A_JWT),
        ("a.b.c.d", Reason.NOT_A_JWT),
        ("a.b.c.d.e.f", Reason.NOT_A_JWT),
        (f"{RS256}=.{PAYLOAD}.AAAA", Reason.NOT_A_JWT),
        (f" {RS256}.{PAYLOAD}.AAAA", Reason.NOT_A_JWT),
        (f"{RS256}.{PAYLOAD}.ÄÄÄÄ", Reason.NOT_A_JWT),
        (f"{to_base64url(b'[]')}.{PAYLOAD}.AAAA", Reason.NOT_A_JWT),
        (f"{to_base64url(b'{')}.{PAYLOAD}.AAAA", Reason.NOT_A_JWT),
        ("a.b.c.d.e", Reason.TOKEN_ENCRYPTED),
        ("....", Reason.TOKEN_ENCRYPTED),
    ],
)
def test_what_is_no_signed_jwt_may_be_checked_another_way(token: str, reason: Reason) -> None:
    with pytest.raises(NotJwt) as caught:
        parse_jws(token)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("x" * (TOKEN_CHARS_MAX + 1), Reason.TOKEN_TOO_LARGE),
        (f"{to_base64url(b'{}')}.{PAYLOAD}.AAAA", Reason.ALG_MISSING),
        (f"{RS256}..AAAA", Reason.PAYLOAD_INVALID),
        (f"{RS256}.{PAYLOAD}=.AAAA", Reason.PAYLOAD_INVALID),
        (f"{RS256}.{to_base64url(b'[1]')}.AAAA", Reason.PAYLOAD_INVALID),
        (f"{RS256}.{to_base64url(b'text')}.AAAA", Reason.PAYLOAD_INVALID),
        (f"{RS256}.{PAYLOAD}.A", Reason.SIGNATURE_INVALID),
        (f"{RS256}.{PAYLOAD}.AAAA=", Reason.SIGNATURE_INVALID),
        (f"{RS256}.{PAYLOAD}.AB", Reason.SIGNATURE_INVALID),
        (compact(b'{"alg":"RS256","alg":"RS256"}', {}, None), Reason.HEADER_MEMBER_REPEATED),
        (compact({"alg": "RS256"}, b'{"iss":"a","iss":"b"}', None), Reason.CLAIM_REPEATED),
        (compact({"alg": "RS256"}, b'{"a":{"b":1,"b":1}}', None), Reason.CLAIM_REPEATED),
        (compact({"alg": "RS256"}, b'{"exp":NaN}', None), Reason.PAYLOAD_INVALID),
    ],
)
def test_what_is_nearly_a_jwt_is_refused_for_good(token: str, reason: Reason) -> None:
    with pytest.raises(TokenRefused) as caught:
        parse_jws(token)
    assert caught.value.reason == reason
    assert not isinstance(caught.value, NotJwt)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": None}, Reason.ALG_MISSING),
        ({"alg": 5}, Reason.HEADER_INVALID),
        ({"alg": ["RS256"]}, Reason.HEADER_INVALID),
        ({"alg": "none"}, Reason.ALG_NONE),
        ({"alg": "NoNe"}, Reason.ALG_NONE),
        ({"alg": "rs256"}, Reason.ALG_NOT_ALLOWED),
        ({"alg": "RS1"}, Reason.ALG_NOT_ALLOWED),
        ({"alg": "ES256K"}, Reason.ALG_NOT_ALLOWED),
        ({"alg": ""}, Reason.ALG_NOT_ALLOWED),
        ({"kid": 1}, Reason.HEADER_INVALID),
        ({"kid": None}, Reason.HEADER_INVALID),
        ({"typ": {}}, Reason.HEADER_INVALID),
        ({"crit": ["exp"]}, Reason.CRIT_NOT_UNDERSTOOD),
        ({"crit": []}, Reason.CRIT_NOT_UNDERSTOOD),
        ({"crit": ["b64"], "b64": False}, Reason.CRIT_NOT_UNDERSTOOD),
        ({"b64": False}, Reason.B64_REFUSED),
        ({"b64": True}, Reason.B64_REFUSED),
        ({"jwk": {"kty": "RSA"}}, Reason.EMBEDDED_KEY),
        ({"jwk": None}, Reason.EMBEDDED_KEY),
    ],
)
def test_a_header_that_is_not_plain_is_refused(header: dict[str, Any], reason: Reason) -> None:
    token = compact({"alg": "RS256", **header}, {"iss": "x"}, None)
    with pytest.raises(TokenRefused) as caught:
        parse_jws(token)
    assert caught.value.reason == reason


def test_nothing_of_a_token_is_in_its_repr() -> None:
    token = signed(access_claims())
    jws = parse_jws(token)
    shown = repr(jws)
    assert "user-1" not in shown
    assert token.split(".")[2] not in shown
    assert repr(jws.signature) not in shown
