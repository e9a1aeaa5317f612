"""Dialogues: what `verify_signature`, `verify_claims` and their like switch off, and what not."""

from __future__ import annotations

import pytest

from scopegate_demo.idp import DemoIdp, Signature, TokenEdit
from support.plugin_dialogue import WITH_SCOPE, WITHOUT_SCOPE, World, allowed, refused


def forge(idp: DemoIdp) -> None:
    """Tokens of the token endpoint that nobody could verify."""
    idp.behaviour.id_token.signature = Signature.CORRUPT
    idp.behaviour.access_token.signature = Signature.CORRUPT


async def test_verify_signature_false_takes_what_the_token_endpoint_says(world: World) -> None:
    forge(world.idp)
    visitor = world.visitor(await world.plugin(verify_signature=False))
    allowed(await visitor.log_in())
    world.clock.advance(300)
    allowed(await visitor.get("/oidc"))
    assert world.idp.calls["token.refresh_token"] == 1


async def test_verify_signature_false_never_covers_a_token_that_a_client_presents(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(verify_signature=False))
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(signature=Signature.CORRUPT))
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 401, "signature_invalid")
    unsigned = world.idp.access_token(WITH_SCOPE, TokenEdit(signature=Signature.RIGHT))
    head, payload, _ = unsigned.split(".")
    answer = await visitor.fetch("/oidc", authorization=f"Bearer {head}.{payload}.")
    assert getattr(answer, "status", 200) == 401
    good = world.idp.access_token(WITH_SCOPE)
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {good}"))


async def test_a_session_of_a_presented_token_is_not_reverified_more_laxly(world: World) -> None:
    plugin = await world.plugin(verify_signature=False, reverify=True)
    visitor = world.visitor(plugin)
    token = world.idp.access_token(WITH_SCOPE)
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    world.idp.rotate_keys(overlap=False)
    visitor.plugin = await world.plugin(verify_signature=False, reverify=True)
    refused(await visitor.fetch("/oidc"), 401, "key_unknown")


async def test_verify_signature_false_still_checks_the_claims(world: World) -> None:
    forge(world.idp)
    world.idp.behaviour.id_token.set["aud"] = "another"
    visitor = world.visitor(await world.plugin(verify_signature=False))
    refused(await visitor.log_in(), 401, "audience_mismatch")
    assert not visitor.has_session


async def test_verify_signature_false_still_checks_the_scopes(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(verify_signature=False, scopes_required=["kong_api_access"])
    )
    refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")
    assert not visitor.has_session


async def test_ignore_signature_speaks_of_the_access_token_of_that_method_only(
    world: World,
) -> None:
    config = {"ignore_signature": ["authorization_code"]}
    world.idp.behaviour.access_token.signature = Signature.CORRUPT
    visitor = world.visitor(await world.plugin(**config))
    allowed(await visitor.log_in())
    world.idp.behaviour.id_token.signature = Signature.CORRUPT
    refused(
        await world.visitor(await world.plugin(**config), "other").log_in(),
        401,
        "signature_invalid",
    )


async def test_verify_claims_false_takes_expired_tokens_of_anybody(world: World) -> None:
    visitor = world.visitor(await world.plugin(verify_claims=False))
    edit = TokenEdit(set={"exp": 1, "nbf": 9_000_000_000, "iss": "https://other.example"})
    token = world.idp.access_token(WITH_SCOPE, edit)
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))


async def test_verify_claims_false_checks_signatures_and_requirements(world: World) -> None:
    plugin = await world.plugin(verify_claims=False, scopes_required=["kong_api_access"])
    forged = world.idp.access_token(WITH_SCOPE, TokenEdit(signature=Signature.CORRUPT))
    visitor = world.visitor(plugin)
    refused(
        await visitor.fetch("/oidc", authorization=f"Bearer {forged}"), 401, "signature_invalid"
    )
    poor = world.idp.access_token(WITHOUT_SCOPE)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {poor}"), 403, "scopes_missing")


async def test_verify_claims_false_checks_issuers_allowed_all_the_same(world: World) -> None:
    plugin = await world.plugin(verify_claims=False, issuers_allowed=[world.idp.issuer])
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"iss": "https://other.example"}))
    refused(
        await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}"),
        401,
        "issuer_not_allowed",
    )


async def test_verify_nonce_false_takes_an_id_token_without_nonce(world: World) -> None:
    world.idp.behaviour.id_token.without.append("nonce")
    allowed(await world.visitor(await world.plugin(verify_nonce=False)).log_in())


@pytest.mark.parametrize(("late_s", "good"), [(9, True), (10, False)])
async def test_the_leeway_counts_for_presented_tokens(
    world: World, late_s: int, good: bool
) -> None:
    visitor = world.visitor(
        await world.plugin(auth_methods=["bearer"], leeway=10, disable_session=["bearer"])
    )
    token = world.idp.access_token(WITH_SCOPE)
    world.clock.advance(300 + late_s)
    answer = await visitor.fetch("/oidc", authorization=f"Bearer {token}")
    if good:
        allowed(answer)
    else:
        refused(answer, 401, "token_expired")


@pytest.mark.parametrize("hd", ["evil.example", None])
async def test_only_configured_domains_are_let_in(world: World, hd: str | None) -> None:
    world.idp.behaviour.id_token.set["hd"] = hd
    world.idp.behaviour.access_token.set["hd"] = hd
    config = {"domains": ["good.example"]}
    visitor = world.visitor(await world.plugin(**config))
    refused(await visitor.log_in(), 401, "domain_not_allowed")
    world.idp.behaviour.id_token.set["hd"] = "good.example"
    world.idp.behaviour.access_token.set["hd"] = "good.example"
    allowed(await visitor.log_in())


async def test_pkce_can_be_switched_off_and_is_checked_by_the_provider_otherwise(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(require_proof_key_for_code_exchange=False))
    start = await visitor.start_login("/oidc")
    assert "code_challenge" not in start.location
    allowed(await visitor.come_back(await visitor.authenticate(start)))
