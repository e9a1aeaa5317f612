"""Where a discovery document lies, and what is made of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.oidc.discovery_document import discovery_url, is_http_url, issuer_of, read_document
from scopegate.oidc.errors import IdpUnavailable, NotConfigured
from scopegate.oidc.issuer_facts import Endpoints, IssuerFacts, Origin
from scopegate.oidc.reasons import Reason
from unit.oidc.forging import ISSUER

DOCUMENT: dict[str, Any] = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "end_session_endpoint": f"{ISSUER}/logout",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "introspection_endpoint": f"{ISSUER}/introspect",
    "jwks_uri": f"{ISSUER}/certs",
    "code_challenge_methods_supported": ["plain", "S256"],
    "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
    "response_modes_supported": ["query", "fragment", "query"],
    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    "authorization_response_iss_parameter_supported": True,
    "scopes_supported": {"odd": "but of no concern"},
}


def document(**members: Any) -> bytes:
    merged = {name: value for name, value in {**DOCUMENT, **members}.items() if value is not ...}
    return json.dumps(merged).encode()


def failure(body: bytes, issuer: str = ISSUER, allowed: tuple[str, ...] = ()) -> IdpUnavailable:
    with pytest.raises(IdpUnavailable) as caught:
        read_document(body, issuer, allowed)
    return caught.value


WELL_KNOWN = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"


@pytest.mark.parametrize(
    ("configured", "url", "issuer"),
    [
        (ISSUER, ISSUER + WELL_KNOWN, ISSUER),
        (ISSUER + "/", ISSUER + WELL_KNOWN, ISSUER + "/"),
        (ISSUER + WELL_KNOWN, ISSUER + WELL_KNOWN, ISSUER),
        (ISSUER + OAUTH, ISSUER + OAUTH, ISSUER),
        ("https://h", "https://h" + WELL_KNOWN, "https://h"),
        ("https://h:8443/", "https://h:8443" + WELL_KNOWN, "https://h:8443/"),
        (f"https://h{OAUTH}/a/b", f"https://h{OAUTH}/a/b", "https://h/a/b"),
        (f"https://h{WELL_KNOWN}/a", f"https://h{WELL_KNOWN}/a", "https://h/a"),
        (f"https://h/a{WELL_KNOWN}?p=x", f"https://h/a{WELL_KNOWN}?p=x", "https://h/a"),
        (
            "http://127.0.0.1:8080/r",
            f"http://127.0.0.1:8080/r{WELL_KNOWN}",
            "http://127.0.0.1:8080/r",
        ),
        ("https://[::1]/r", f"https://[::1]/r{WELL_KNOWN}", "https://[::1]/r"),
    ],
)
def test_the_document_of_an_issuer_and_the_issuer_of_a_document(
    configured: str, url: str, issuer: str
) -> None:
    assert discovery_url(configured) == url
    assert issuer_of(configured) == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "",
        "idp.example",
        "//idp.example",
        "ftp://idp.example",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user:password@idp.example",
        "https://idp.example#fragment",
        "https://idp.example/a b",
        "https://idp.example\n",
        "https://idp.example\\@evil.example",
        "https://idp.example:port",
        "https://idp.example:99999",
        "https://ïdp.example",
        "https://[::1",
    ],
)
def test_an_issuer_that_is_no_url_is_a_matter_of_configuration(issuer: str) -> None:
    for function in (discovery_url, issuer_of):
        with pytest.raises(NotConfigured) as caught:
            function(issuer)
        assert caught.value.reason == Reason.ISSUER_URL_INVALID
        assert "password" not in caught.value.detail


@given(st.text())
def test_no_text_breaks_the_check_of_urls(text: str) -> None:
    assert is_http_url(text) in (True, False)


def test_a_document_is_read() -> None:
    found = read_document(document(), ISSUER, ())
    assert found.jwks_uri == f"{ISSUER}/certs"
    assert found.facts == IssuerFacts(
        issuer=ISSUER,
        origin=Origin.DOCUMENT,
        endpoints=Endpoints(
            authorization=f"{ISSUER}/auth",
            token=f"{ISSUER}/token",
            userinfo=f"{ISSUER}/userinfo",
            end_session=f"{ISSUER}/logout",
            revocation=f"{ISSUER}/revoke",
            introspection=f"{ISSUER}/introspect",
        ),
        code_challenge_methods=("S256", "plain"),
        token_endpoint_auth_methods=("client_secret_basic", "private_key_jwt"),
        response_modes=("fragment", "query"),
        id_token_signing_algs=("ES256", "RS256"),
        promises_iss_in_response=True,
    )


def test_a_document_that_says_little_is_read() -> None:
    found = read_document(json.dumps({"issuer": ISSUER, "jwks_uri": None}).encode(), ISSUER, ())
    assert found.facts == IssuerFacts(ISSUER, Origin.DOCUMENT)
    assert found.jwks_uri is None


@pytest.mark.parametrize(
    ("configured", "named"),
    [
        (ISSUER, ISSUER + "/"),
        (ISSUER + "/", ISSUER),
        (ISSUER + WELL_KNOWN, ISSUER + "/"),
    ],
)
def test_the_issuer_is_the_documents_whatever_slash_is_configured(
    configured: str, named: str
) -> None:
    body = document(issuer=named)
    assert read_document(body, configured, ()).facts.issuer == named


@pytest.mark.parametrize(
    "named",
    [
        "https://evil.example",
        ISSUER + "/x",
        ISSUER.upper(),
        "http" + ISSUER.removeprefix("https"),
        "https://login.microsoftonline.com/{tenantid}/v2.0",
    ],
)
def test_a_document_of_another_issuer_is_refused_unless_that_one_is_allowed(named: str) -> None:
    error = failure(document(issuer=named))
    assert error.reason == Reason.DISCOVERY_ISSUER_MISMATCH
    assert named in error.detail
    assert ISSUER in error.detail
    assert read_document(document(issuer=named), ISSUER, (named,)).facts.issuer == named


@pytest.mark.parametrize("name", ["jwks_uri", "token_endpoint", "authorization_endpoint"])
def test_an_https_issuer_has_no_endpoint_without_tls(name: str) -> None:
    error = failure(document(**{name: "http://idp.example/x"}))
    assert error.reason == Reason.DISCOVERY_DOWNGRADE
    assert name in error.detail


def test_an_http_issuer_may_have_any() -> None:
    issuer = "http://127.0.0.1:8080/realms/kong"
    body = json.dumps({"issuer": issuer, "token_endpoint": f"{issuer}/token"}).encode()
    assert read_document(body, issuer, ()).facts.endpoints.token == f"{issuer}/token"


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "is bad"),
        (b"<html>", "is bad"),
        (b"[]", "is bad"),
        (b'{"issuer": "a", "issuer": "b"}', "is bad"),
        (b" " * (1024 * 1024 + 1), "larger than 1 MiB"),
        (document(issuer=...), "has no issuer"),
        (document(issuer=""), "has no issuer"),
        (document(issuer=7), "issuer"),
        (document(issuer=[ISSUER]), "issuer"),
        (document(jwks_uri=7), "jwks_uri"),
        (document(jwks_uri="/certs"), "jwks_uri"),
        (document(jwks_uri="file:///etc/passwd"), "jwks_uri"),
        (document(token_endpoint={"url": "x"}), "token_endpoint"),
        (document(token_endpoint="https://u:p@idp.example"), "token_endpoint"),
        (document(code_challenge_methods_supported="S256"), "code_challenge_methods_supported"),
        (document(response_modes_supported=["query", 1]), "response_modes_supported"),
        (document(response_modes_supported=["q"] * 1001), "response_modes_supported"),
        (
            document(authorization_response_iss_parameter_supported="true"),
            "authorization_response_iss_parameter_supported",
        ),
    ],
    ids=range(18),
)
def test_an_odd_document_is_unavailability_that_names_the_member(body: bytes, part: str) -> None:
    error = failure(body)
    assert error.reason == Reason.DISCOVERY_INVALID
    assert part in error.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT)), JSON))
def test_no_document_however_odd_does_more_than_fail(members: dict[str, Any]) -> None:
    try:
        found = read_document(document(**members), ISSUER, ())
    except IdpUnavailable as error:
        assert error.reason
    else:
        assert found.facts.issuer.rstrip("/") == ISSUER
