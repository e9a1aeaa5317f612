"""Facts as data."""

from __future__ import annotations

import json

import pytest

from scopegate.oidc.errors import IdpUnavailable, NotConfigured
from scopegate.oidc.issuer_facts import Endpoints, IssuerFacts, KeySource, Origin
from scopegate.oidc.reasons import Reason
from unit.oidc.forging import ISSUER, JWKS

FACTS = IssuerFacts(
    issuer=ISSUER,
    origin=Origin.DOCUMENT,
    endpoints=Endpoints(token="https://idp.example/token", end_session="https://idp.example/end"),
    key_sources=(
        KeySource(f"{ISSUER}/certs", True, JWKS),
        KeySource("https://other.example/certs", False, None),
    ),
    code_challenge_methods=("S256",),
    token_endpoint_auth_methods=("client_secret_basic",),
    response_modes=("query",),
    id_token_signing_algs=("RS256",),
    promises_iss_in_response=True,
)


@pytest.mark.parametrize("facts", [FACTS, IssuerFacts(ISSUER, Origin.CONFIGURATION)])
def test_facts_survive_json(facts: IssuerFacts) -> None:
    text = json.dumps(facts.to_json())
    again = IssuerFacts.from_json(json.loads(text))
    assert again == facts
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("missing", list(FACTS.to_json()))
def test_facts_of_another_shape_are_refused(missing: str) -> None:
    document = FACTS.to_json()
    del document[missing]
    with pytest.raises((KeyError, TypeError, ValueError)):
        IssuerFacts.from_json(document)


def test_an_endpoint_of_the_document_is_had() -> None:
    assert FACTS.require_endpoint("token") == "https://idp.example/token"


def test_an_endpoint_that_nobody_names_is_a_matter_of_configuration() -> None:
    with pytest.raises(NotConfigured) as caught:
        FACTS.require_endpoint("revocation")
    assert caught.value.reason == Reason.ENDPOINT_MISSING
    assert "revocation_endpoint" in caught.value.detail


def test_an_endpoint_that_the_unreachable_document_would_name_is_unavailability() -> None:
    with pytest.raises(IdpUnavailable) as caught:
        IssuerFacts(ISSUER, Origin.UNREACHABLE).require_endpoint("token")
    assert caught.value.reason == Reason.DISCOVERY_FAILED
