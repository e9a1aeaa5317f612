"""Dialogues: learning about an issuer."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from flow.oidc.scripted_http import DOWN, HTTP, ScriptedHttp, answer
from scopegate.oidc.algorithms import ALGORITHMS
from scopegate.oidc.discovery import Discovered, DiscoverySettings, fetch_issuer, probe_issuer
from scopegate.oidc.errors import IdpUnavailable, NotConfigured, UnknownKey
from scopegate.oidc.http import HttpAnswer
from scopegate.oidc.issuer_facts import IssuerFacts, KeySource, Origin
from scopegate.oidc.keys import KeySet
from scopegate.oidc.reasons import Reason
from unit.oidc.vectors import EC_JWK, ED25519_JWK, RSA_JWK, public

ISSUER = "https://idp.example/realms/kong"
DOCUMENT_URL = f"{ISSUER}/.well-known/openid-configuration"
CERTS = f"{ISSUER}/certs"
EXTRA = "https://other.example/certs"
RSA, EC, ED = public(RSA_JWK, kid="r"), public(EC_JWK, kid="e"), public(ED25519_JWK, kid="d")
SETTINGS = DiscoverySettings(ISSUER, HTTP)


def idp(**changes: Any) -> ScriptedHttp:
    """An identity provider in order; `document`, `certs`, `extra` say something else instead."""
    document = {
        "issuer": ISSUER,
        "jwks_uri": CERTS,
        "token_endpoint": f"{ISSUER}/token",
        "authorization_endpoint": f"{ISSUER}/auth",
    }
    said = {
        "document": answer(document),
        "certs": answer({"keys": [RSA]}),
        "extra": answer({"keys": [EC]}),
        **changes,
    }
    return ScriptedHttp(
        {DOCUMENT_URL: said["document"], CERTS: said["certs"], EXTRA: said["extra"]}
    )


async def learn(
    http: ScriptedHttp, settings: DiscoverySettings = SETTINGS, previous: IssuerFacts | None = None
) -> Discovered:
    return await fetch_issuer(http, settings, previous=previous)


async def failure(
    http: ScriptedHttp, settings: DiscoverySettings = SETTINGS, previous: IssuerFacts | None = None
) -> IdpUnavailable:
    with pytest.raises(IdpUnavailable) as caught:
        await learn(http, settings, previous)
    return caught.value


async def test_the_document_is_asked_for_and_then_the_keys() -> None:
    http = idp()
    discovered = await learn(http)
    assert http.urls == [DOCUMENT_URL, CERTS]
    assert all(asked.method == "GET" and asked.settings is HTTP for asked in http.asked)
    assert discovered.is_complete
    assert discovered.problems == ()
    assert discovered.facts.issuer == ISSUER
    assert discovered.facts.origin is Origin.DOCUMENT
    assert discovered.facts.require_endpoint("token") == f"{ISSUER}/token"
    assert discovered.facts.key_sources == (KeySource(CERTS, True, (RSA,)),)


async def test_the_document_url_may_be_configured() -> None:
    discovered = await learn(idp(), dataclasses.replace(SETTINGS, issuer=DOCUMENT_URL))
    assert discovered.facts == (await learn(idp())).facts


async def test_configured_headers_go_along_and_replace_ours() -> None:
    settings = dataclasses.replace(SETTINGS, headers=(("X-Key", "s3cret"), ("Accept", "*/*")))
    http = idp()
    await learn(http, settings)
    assert [dict(asked.headers) for asked in http.asked] == [
        {"accept": "*/*", "x-key": "s3cret"}
    ] * 2
    assert "s3cret" not in repr(settings)


async def test_a_configured_key_set_replaces_the_documents_and_further_ones_follow() -> None:
    settings = dataclasses.replace(SETTINGS, jwks_endpoint=EXTRA, extra_jwks_uris=(CERTS, EXTRA))
    discovered = await learn(idp(), settings)
    assert discovered.facts.key_sources == (
        KeySource(EXTRA, True, (EC,)),
        KeySource(CERTS, False, (RSA,)),
    )


async def test_without_discovery_no_document_is_asked_for() -> None:
    settings = DiscoverySettings(
        "any text at all", HTTP, discover=False, jwks_endpoint=CERTS, extra_jwks_uris=(EXTRA,)
    )
    http = idp()
    discovered = await learn(http, settings)
    assert http.urls == [CERTS, EXTRA]
    assert discovered.facts.issuer == "any text at all"
    assert discovered.facts.origin is Origin.CONFIGURATION
    with pytest.raises(NotConfigured):
        discovered.facts.require_endpoint("token")


async def test_an_issuer_without_key_sets_is_told() -> None:
    discovered = await learn(idp(document=answer({"issuer": ISSUER})))
    assert discovered.facts.key_sources == ()
    assert len(discovered.problems) == 1
    assert "no key set" in discovered.problems[0]


async def test_keys_that_are_left_out_are_told_with_their_address() -> None:
    certs = answer({"keys": [RSA, RSA_JWK | {"kid": "leaked"}]})
    discovered = await learn(idp(certs=certs))
    assert discovered.facts.key_sources[0].keys == (RSA,)
    assert discovered.is_complete
    assert len(discovered.problems) == 1
    assert discovered.problems[0].startswith(f"{CERTS}: key leaked is left out")


async def test_an_issuer_that_is_no_url_is_a_matter_of_configuration() -> None:
    with pytest.raises(NotConfigured):
        await learn(idp(), DiscoverySettings("kong", HTTP))


@pytest.mark.parametrize(
    ("document", "reason", "part"),
    [
        (DOWN, Reason.IDP_UNREACHABLE, "no connection"),
        (answer({}, 404), Reason.DISCOVERY_FAILED, "status 404"),
        (answer({}, 500), Reason.DISCOVERY_FAILED, "status 500"),
        (
            HttpAnswer(302, {"location": "https://evil.example"}, b""),
            Reason.DISCOVERY_FAILED,
            "redirect",
        ),
        (answer(b"<html>"), Reason.DISCOVERY_INVALID, "is bad"),
        (answer({"issuer": "https://evil.example"}), Reason.DISCOVERY_ISSUER_MISMATCH, "evil"),
        (answer(b"x" * (1024 * 1024 + 1)), Reason.DISCOVERY_INVALID, "larger"),
    ],
)
async def test_without_a_document_nothing_is_known(
    document: HttpAnswer | Exception, reason: Reason, part: str
) -> None:
    error = await failure(idp(document=document))
    assert error.reason == reason
    assert part in error.detail


@pytest.mark.parametrize(
    ("certs", "reason"),
    [
        (DOWN, Reason.IDP_UNREACHABLE),
        (answer({}, 503), Reason.JWKS_FAILED),
        # A piece of it, or somebody else's copy, is not what was asked for.
        (answer({"keys": [RSA]}, 206), Reason.JWKS_FAILED),
        (answer({"keys": [RSA]}, 203), Reason.JWKS_FAILED),
        (answer({"keys": 1}), Reason.JWKS_INVALID),
    ],
)
async def test_without_any_key_set_nothing_is_known(
    certs: HttpAnswer | Exception, reason: Reason
) -> None:
    assert (await failure(idp(certs=certs))).reason == reason


class TestWithoutDocument:
    """A configured key set makes discovery dispensable: contract §11."""

    settings = dataclasses.replace(SETTINGS, issuer=DOCUMENT_URL, jwks_endpoint=CERTS)

    async def test_tokens_can_be_verified_all_the_same(self) -> None:
        discovered = await learn(idp(document=DOWN), self.settings)
        facts = discovered.facts
        assert facts.issuer == ISSUER
        assert facts.origin is Origin.UNREACHABLE
        assert not discovered.is_complete
        assert discovered.problems == ("no connection",)
        assert KeySet.from_facts(facts).find(ISSUER, "r", ALGORITHMS["RS256"]).jwk == RSA
        with pytest.raises(IdpUnavailable):
            facts.require_endpoint("token")

    async def test_it_is_learned_when_it_comes_back(self) -> None:
        before = (await learn(idp(document=DOWN), self.settings)).facts
        after = await learn(idp(), self.settings, before)
        assert after.is_complete
        assert after.facts.require_endpoint("token") == f"{ISSUER}/token"

    async def test_what_it_said_before_stands_while_keys_are_renewed(self) -> None:
        before = (await learn(idp(), self.settings)).facts
        http = idp(document=DOWN, certs=answer({"keys": [RSA, EC]}))
        after = await learn(http, self.settings, before)
        assert after.facts.require_endpoint("token") == f"{ISSUER}/token"
        assert after.facts.key_sources[0].keys == (EC, RSA)
        assert not after.is_complete


class TestOneOfTwoKeySets:
    """Another issuer's outage costs nobody else anything."""

    other = "https://other.example"
    settings = dataclasses.replace(
        SETTINGS, extra_jwks_uris=(EXTRA,), issuers_allowed=(ISSUER, other)
    )

    def keys(self, facts: IssuerFacts) -> KeySet:
        return KeySet.from_facts(facts, self.settings.issuers_allowed)

    async def test_the_other_is_known_and_the_missing_one_is_told_apart(self) -> None:
        discovered = await learn(idp(extra=DOWN), self.settings)
        assert not discovered.is_complete
        keys = self.keys(discovered.facts)
        assert keys.find(ISSUER, "r", ALGORITHMS["RS256"]).jwk == RSA
        with pytest.raises(UnknownKey) as caught:
            keys.find(self.other, "e", ALGORITHMS["ES256"])
        assert isinstance(caught.value.verdict(), IdpUnavailable)

    async def test_keys_that_were_known_stay_while_others_are_renewed(self) -> None:
        before = (await learn(idp(), self.settings)).facts
        http = idp(certs=answer({"keys": [ED]}), extra=answer({}, 500))
        after = await learn(http, self.settings, before)
        assert not after.is_complete
        assert after.problems == (f"{EXTRA}: status 500 instead of 200",)
        keys = self.keys(after.facts)
        assert keys.find(ISSUER, "d", ALGORITHMS["EdDSA"]).jwk == ED
        assert keys.find(self.other, "e", ALGORITHMS["ES256"]).jwk == EC

    async def test_an_outage_that_brings_no_news_is_a_failure(self) -> None:
        before = (await learn(idp(), self.settings)).facts
        error = await failure(idp(extra=DOWN), self.settings, before)
        assert error is DOWN

    async def test_with_everything_down_the_old_data_stay_the_callers(self) -> None:
        before = (await learn(idp(), self.settings)).facts
        http = idp(document=DOWN, certs=DOWN, extra=DOWN)
        assert (await failure(http, self.settings, before)) is DOWN


async def test_the_same_answers_in_another_order_are_the_same_facts() -> None:
    def with_order(step: int) -> ScriptedHttp:
        document = {
            "issuer": ISSUER,
            "jwks_uri": CERTS,
            "response_modes_supported": ["a", "b", "c"][::step],
            "token_endpoint_auth_methods_supported": ["x", "y"][::step],
        }
        return idp(document=answer(document), certs=answer({"keys": [RSA, EC, ED][::step]}))

    one, other = await learn(with_order(1)), await learn(with_order(-1))
    assert one.facts.to_json() == other.facts.to_json()


async def test_a_rotated_key_is_learned_and_a_withdrawn_one_forgotten() -> None:
    before = (await learn(idp())).facts
    after = await learn(idp(certs=answer({"keys": [EC]})), previous=before)
    assert after.facts.key_sources[0].keys == (EC,)


TOKEN = f"{ISSUER}/token"
REFUSED = answer({"error": "invalid_request"}, 405)


async def test_a_probe_asks_for_the_document_and_on_suspicion_the_token_endpoint() -> None:
    settings = dataclasses.replace(SETTINGS, headers=(("X-Key", "s3cret"),))
    known = (await learn(idp())).facts
    http = ScriptedHttp({DOCUMENT_URL: answer({}, 404), TOKEN: REFUSED})
    await probe_issuer(http, settings, known, False)
    assert http.urls == [DOCUMENT_URL]
    await probe_issuer(http, settings, known, True)
    assert http.urls == [DOCUMENT_URL, DOCUMENT_URL, TOKEN]
    assert "x-key" in http.asked[1].headers
    assert "x-key" not in http.asked[2].headers, "headers for discovery are for nobody else"


async def test_without_discovery_a_probe_asks_for_the_keys() -> None:
    settings = dataclasses.replace(SETTINGS, discover=False, jwks_endpoint=CERTS)
    known = (await learn(idp(), settings)).facts
    http = ScriptedHttp({CERTS: answer({})})
    await probe_issuer(http, settings, known, True)
    assert http.urls == [CERTS]


@pytest.mark.parametrize(
    ("document", "token", "reason"),
    [
        (DOWN, REFUSED, "idp_unreachable"),
        (answer({}, 503), REFUSED, "discovery_failed"),
        (answer({}), DOWN, "idp_unreachable"),
        (answer({}), answer({}, 502), "token_endpoint_unavailable"),
    ],
)
async def test_a_probe_that_is_not_answered_says_why(
    document: HttpAnswer | Exception, token: HttpAnswer | Exception, reason: str
) -> None:
    known = (await learn(idp())).facts
    http = ScriptedHttp({DOCUMENT_URL: document, TOKEN: token})
    with pytest.raises(IdpUnavailable) as caught:
        await probe_issuer(http, SETTINGS, known, True)
    assert caught.value.reason == reason
