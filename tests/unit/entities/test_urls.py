from __future__ import annotations

import pytest

from scopegate.entities.urls import http_url_fault, redirect_url_fault


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example",
        "http://localhost:8080/realms/kong?x=1",
        "https://[::1]:8443/",
        "http://10.0.0.1",
        "https://idp.example/caf%C3%A9",
    ],
)
def test_absolute_http_urls_are_good(url: str) -> None:
    assert http_url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("idp.example", "missing host in url"),
        ("/realms/kong", "missing host in url"),
        ("https:idp.example", "missing host in url"),
        ("//idp.example", "missing scheme in url"),
        ("ftp://idp.example", "should be an http or https URL"),
        ("javascript://idp.example/%0aalert(1)", "should be an http or https URL"),
        ("https://u:p@idp.example", "must not contain a user name or password"),
        ("https://idp.example:0", "invalid port number"),
        ("https://idp.example:99999", "could not parse url"),
        ("https://[::1", "could not parse url"),
        ("https://-.example", "invalid host in url"),
        ("https://a b", "must not contain blanks, backslashes or control characters"),
        ("https://a\\b", "must not contain blanks, backslashes or control characters"),
        ("https://a\r\nX: y", "must not contain blanks, backslashes or control characters"),
    ],
)
def test_other_urls_are_refused_with_a_reason(url: str, why: str) -> None:
    assert http_url_fault(url) == why


def test_a_redirect_url_has_no_fragment() -> None:
    assert redirect_url_fault("https://a.example/x#y") == "must not have a fragment"
    assert redirect_url_fault("https://a.example/x?y") is None
