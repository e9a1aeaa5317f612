"""What an operator is told of a configuration that is taken and works less than it says."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.snapshot import Plugin
from scopegate.plugins.lowering import Context
from scopegate.plugins.openid_connect.lower import OpenIdConnectCompiler
from scopegate.plugins.registry import PLUGIN_TYPES

ID = "00000000-0000-4000-8000-000000000001"
BUILT = ["session", "authorization_code"]


def findings(**config: Any) -> set[str]:
    """The codes of the findings of a configuration, completed as the Admin API does."""
    schema = entity_schemas(PLUGIN_TYPES)["plugins"]
    config = {"issuer": "https://idp.example", "auth_methods": BUILT, **config}
    document = schema.draft_new(
        {"name": "openid-connect", "config": config}, Makings(1, lambda: ID, lambda: "r" * 32)
    )
    schema.check(document)
    lowered = OpenIdConnectCompiler().lower(
        Plugin.from_document(document), Context({}, "5e" * 32, ())
    )
    assert {finding.id for finding in lowered.findings} <= {ID}
    return {finding.code for finding in lowered.findings}


def test_a_configuration_that_does_what_it_says_has_none() -> None:
    assert findings() == set()


def test_methods_that_are_not_built_are_told() -> None:
    assert findings(auth_methods=["password", *BUILT]) == {"auth_methods_not_built"}


@pytest.mark.parametrize(("length", "told"), [(15, True), (16, False)])
def test_a_session_secret_that_can_be_guessed_is_told(length: int, told: bool) -> None:
    assert findings(session_secret="s" * length) == ({"session_secret_short"} if told else set())


@pytest.mark.parametrize("name", ["verify_signature", "verify_claims", "ssl_verify"])
def test_checks_that_are_switched_off_are_told(name: str) -> None:
    assert findings(**{name: False}) == {f"{name}_off"}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, False),
        ({"disable_session": ["authorization_code"]}, True),
        ({"disable_session": ["bearer"]}, False),
        ({"auth_methods": ["authorization_code"]}, True),
        ({"auth_methods": ["bearer"]}, False),
        ({"auth_methods": ["authorization_code"], "login_methods": []}, False),
        (
            {
                "auth_methods": ["authorization_code"],
                "login_redirect_uri": ["https://app.example/in"],
            },
            False,
        ),
    ],
)
def test_a_redirect_that_would_end_in_the_next_login_is_told(
    config: dict[str, Any], told: bool
) -> None:
    expected = {"login_redirect_without_session"} if told else set()
    assert findings(login_action="redirect", **config) == expected
    assert findings(**config) == set()
