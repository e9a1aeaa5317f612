"""No credential leaves in a log line, however it got there."""

from __future__ import annotations

import pytest

from scopegate.telemetry.redaction import REDACTED, redact, redact_text

JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "key",
    [
        *("token", "access_token", "id_token_hint", "Refresh-Token", "tokens"),
        *("secret", "client_secret", "session_secret", "cookie", "set-cookie", "Cookies"),
        *("authorization", "http_proxy_authorization", "code", "state", "nonce", "password"),
        *("client_assertion", "code_verifier", "credential", "jwt"),
    ],
)
def test_a_field_named_for_a_secret_is_masked(key: str) -> None:
    assert redact({key: "value"}) == {key: REDACTED}
    assert redact({"deep": {"er": [{key: b"value"}]}}) == {"deep": {"er": [{key: REDACTED}]}}


def test_other_fields_stay_as_they_are() -> None:
    fields = {
        "status_code": 403,
        "reason": "insufficient_scope",
        "detail": "required scopes were not found [ openid, profile, email ]",
        "exit_code": "1",
        "tokens": 3,
        "token_found": False,
        "cookie": None,
        "issuer": "http://localhost:8080/realms/kong",
        "scopes": ["openid", "profile"],
        "encode": "x",
        "ratio": 0.5,
    }
    assert redact(fields) == fields


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"token {JWT} refused", f"token {REDACTED} refused"),
        (f"x={JWT}", f"x={REDACTED}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: {REDACTED}"),
        ("got Bearer abcdefghijklmnop.qr-st_u", f"got Bearer {REDACTED}"),
        ("Cookie: a=b; c=d", f"Cookie: {REDACTED}"),
        ("{'set-cookie': 'session=1'}", f"{{'set-cookie': {REDACTED}"),
        ("GET /oidc?code=abc&state=d%2Fe&x=1", f"GET /oidc?code={REDACTED}&state={REDACTED}&x=1"),
        ("client_secret=a b", f"client_secret={REDACTED} b"),
        ("https://user:pass@idp/x", f"https://{REDACTED}@idp/x"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END", REDACTED),
    ],
)
def test_a_text_that_looks_like_a_credential_is_masked(text: str, left: str) -> None:
    assert redact_text(text) == left
    assert redact({"detail": [text]}) == {"detail": [left]}


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is off",
        "zipcode=1 barcode=2",
        "no bearer token in the header",
        "user@example.com",
        "a nonce is missing",
    ],
)
def test_plain_words_are_left_alone(text: str) -> None:
    assert redact_text(text) == text


def test_objects_are_shown_as_text_and_looked_through() -> None:
    class Odd:
        def __str__(self) -> str:
            return f"holds {JWT}"

    assert redact({"odd": Odd(), "set": {1}}) == {"odd": f"holds {REDACTED}", "set": [1]}


def test_depth_is_bounded() -> None:
    deep: list[object] = []
    deep.append(deep)
    assert "…" in str(redact({"deep": deep}))
