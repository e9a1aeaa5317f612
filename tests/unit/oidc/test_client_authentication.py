"""How a client shows who it is."""

from __future__ import annotations

import base64

import pytest

from scopegate.oidc.client_authentication import (
    AuthMethod,
    ClientCredentials,
    authenticate,
    choose_auth_method,
)
from scopegate.oidc.errors import NotConfigured
from scopegate.oidc.reasons import Reason


def test_basic_encodes_id_and_secret_before_it_joins_them() -> None:
    proof = authenticate(ClientCredentials("a:b c", "s%/é+"), AuthMethod.BASIC)
    ((name, value),) = proof.headers
    assert name == "authorization"
    scheme, _, encoded = value.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(encoded) == b"a%3Ab+c:s%25%2F%C3%A9%2B"
    assert proof.arguments == ()


def test_post_sends_id_and_secret_as_they_are() -> None:
    proof = authenticate(ClientCredentials("a:b", "s%"), AuthMethod.POST)
    assert proof.headers == ()
    assert proof.arguments == (("client_id", "a:b"), ("client_secret", "s%"))


@pytest.mark.parametrize(
    ("configured", "supported", "method"),
    [
        ([], [], AuthMethod.BASIC),
        ([None, None], ["client_secret_post"], AuthMethod.POST),
        ([None], ["client_secret_post", "client_secret_basic"], AuthMethod.BASIC),
        ([None], ["private_key_jwt", "tls_client_auth"], AuthMethod.BASIC),
        (["client_secret_post", "client_secret_basic"], ["client_secret_basic"], AuthMethod.POST),
        ([None, "client_secret_post"], ["client_secret_basic"], AuthMethod.POST),
    ],
)
def test_configured_goes_before_discovered_goes_before_basic(
    configured: list[str | None], supported: list[str], method: AuthMethod
) -> None:
    assert choose_auth_method(configured, supported) is method


@pytest.mark.parametrize("name", ["private_key_jwt", "none", "client_secret_jwt", ""])
def test_a_configured_way_that_is_not_built_is_named(name: str) -> None:
    with pytest.raises(NotConfigured) as caught:
        choose_auth_method([None, name, "client_secret_basic"], [])
    assert caught.value.reason == Reason.CLIENT_AUTH_NOT_SUPPORTED
    assert name in caught.value.detail


@pytest.mark.parametrize(
    ("id_", "secret", "reason"),
    [
        (None, "s", Reason.CLIENT_ID_MISSING),
        ("", "s", Reason.CLIENT_ID_MISSING),
        ("c", None, Reason.CLIENT_SECRET_MISSING),
        ("c", "", Reason.CLIENT_SECRET_MISSING),
    ],
)
def test_what_is_missing_is_named(id_: str | None, secret: str | None, reason: Reason) -> None:
    with pytest.raises(NotConfigured) as caught:
        ClientCredentials.required(id_, secret)
    assert caught.value.reason == reason


def test_a_secret_is_in_no_repr() -> None:
    client = ClientCredentials.required("c", "s3cret")
    assert client == ClientCredentials("c", "s3cret")
    encoded = base64.b64encode(b"c:s3cret").decode()
    for method in AuthMethod:
        shown = repr((client, authenticate(client, method)))
        assert "s3cret" not in shown
        assert encoded not in shown
