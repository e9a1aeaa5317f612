"""Which issuer a key set speaks for."""

from __future__ import annotations

import pytest

from scopegate.oidc.algorithms import ALGORITHMS
from scopegate.oidc.errors import UnknownKey
from scopegate.oidc.issuer_facts import IssuerFacts, KeySource, Origin
from scopegate.oidc.key_owners import owned_keys
from scopegate.oidc.keys import KeySet
from unit.oidc.vectors import EC_JWK, RSA_JWK, public

A, B, C = "https://a.example/realms/a", "https://b.example/realms/b/", "https://c.example"


def owners(
    *uris: str, issuer: str = A, main: str | None = f"{A}/certs", allowed: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    sources = [KeySource(uri, is_main=False, keys=()) for uri in uris]
    if main is not None:
        sources.insert(0, KeySource(main, is_main=True, keys=()))
    facts = IssuerFacts(issuer, Origin.DOCUMENT, key_sources=tuple(sources))
    return [source.issuers for source in owned_keys(facts, allowed)]


def test_everything_belongs_to_a_single_issuer() -> None:
    assert owners("https://keys.example/more") == [(A,), (A,)]


def test_each_set_belongs_to_the_issuer_under_whose_url_it_lies() -> None:
    assert owners(f"{B}certs", "https://c.example/keys", allowed=(A, B, C)) == [(A,), (B,), (C,)]


def test_a_name_that_only_begins_alike_owns_nothing() -> None:
    assert owners("https://c.example.evil/keys", allowed=(A, C)) == [(A,), (C,)]
    assert owners(f"{A}-evil/certs", f"{C}/keys", allowed=(A, C)) == [(A,), (), (C,)]


def test_of_two_nested_issuers_the_longer_one_owns() -> None:
    inner = f"{C}/tenants/1"
    assert owners(f"{inner}/keys", allowed=(C, inner), issuer=C, main=f"{C}/keys") == [
        (C,),
        (inner,),
    ]


def test_a_set_whose_owner_is_unknown_never_speaks_for_an_issuer_with_keys() -> None:
    google = "https://accounts.google.com"
    certs = "https://www.googleapis.com/oauth2/v3/certs"
    assert owners(certs, allowed=(A, google)) == [(A,), (google,)]
    assert owners(certs, allowed=(A, B, google)) == [(A,), (B, google)]


def test_the_main_set_is_its_documents_issuers_wherever_it_lies() -> None:
    elsewhere = "https://keys.example/a"
    assert owners(f"{B}certs", main=elsewhere, allowed=(A, B, C)) == [(A,), (B,)]
    assert owners(main=f"{B}certs", allowed=(A, B)) == [(A,)]


def test_a_main_set_of_an_issuer_that_is_not_allowed_speaks_for_nobody_with_keys() -> None:
    assert owners(f"{B}certs", allowed=(B,)) == [(), (B,)]


def test_a_document_under_an_internal_name_speaks_for_the_one_allowed_issuer() -> None:
    assert owners(issuer="http://keycloak:8080/realms/a", allowed=(A,)) == [(A,)]


def test_keys_of_one_issuer_do_not_verify_for_another() -> None:
    facts = IssuerFacts(
        A,
        Origin.DOCUMENT,
        key_sources=(
            KeySource(f"{A}/certs", is_main=True, keys=(public(RSA_JWK, kid="k"),)),
            KeySource(f"{B}certs", is_main=False, keys=(public(EC_JWK, kid="k"),)),
        ),
    )
    keys = KeySet.from_facts(facts, (A, B))
    assert keys.find(A, "k", ALGORITHMS["RS256"]).jwk["kty"] == "RSA"
    assert keys.find(B, "k", ALGORITHMS["ES256"]).jwk["kty"] == "EC"
    without_keys = KeySet.from_facts(facts, (A, B, C))
    with pytest.raises(UnknownKey):
        without_keys.find(C, "k", ALGORITHMS["RS256"])
