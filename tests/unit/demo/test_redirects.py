"""Where a browser may be sent back to."""

import pytest

from scopegate_demo.idp.realm import LOOPBACK_REDIRECT_URIS
from scopegate_demo.idp.redirects import redirect_allowed


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:8000/oidc",
        "http://localhost/oidc?x=1",
        "https://127.0.0.1:8443/a/b",
        "http://[::1]:8000/oidc",
        "http://localhost:8000",
    ],
)
def test_any_port_and_path_of_this_machine_is_allowed_by_default(uri: str) -> None:
    assert redirect_allowed(uri, LOOPBACK_REDIRECT_URIS)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/oidc",
        "http://evil.example/",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://user@localhost/",
        "http://evil.example\\@localhost/",
        "http://localhost:8000/oidc#fragment",
        "http://localhost:port/",
        "http://localhost /",
        "http://localhost/\r\nSet-Cookie: a=b",
        "javascript://localhost/%0aalert(1)",
        "ftp://localhost/",
    ],
)
def test_other_places_are_not(uri: str) -> None:
    assert not redirect_allowed(uri, LOOPBACK_REDIRECT_URIS)


@pytest.mark.parametrize("segment", ["..", ".", "%2e%2e", ".%2E", "%2E"])
def test_a_prefix_cannot_be_left_with_dot_segments(segment: str) -> None:
    patterns = ["https://app.example/oidc/*"]
    assert redirect_allowed("https://app.example/oidc/back", patterns)
    assert not redirect_allowed(f"https://app.example/oidc/{segment}/admin", patterns)


def test_without_a_star_path_and_query_are_exact() -> None:
    patterns = ["https://app.example/oidc"]
    assert redirect_allowed("https://app.example/oidc", patterns)
    assert not redirect_allowed("https://app.example/oidc/more", patterns)
    assert not redirect_allowed("https://app.example/oidc?x=1", patterns)


def test_other_hosts_need_the_port_that_was_registered() -> None:
    assert redirect_allowed("https://app.example/x", ["https://app.example/*"])
    assert not redirect_allowed("https://app.example:8443/x", ["https://app.example/*"])
    assert not redirect_allowed("http://localhost:8001/x", ["http://localhost:8000/*"])


def test_a_lone_star_takes_everything_that_is_a_safe_address() -> None:
    assert redirect_allowed("https://anywhere.example/x", ["*"])
    assert not redirect_allowed("https://anywhere.example/x#y", ["*"])
    assert not redirect_allowed("javascript://anywhere.example/%0aalert(1)", ["*"])
