"""Dialogues: what a token must carry, and must not, whatever way it came."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate_demo.idp import TokenEdit
from support.plugin_dialogue import WITH_SCOPE, WITHOUT_SCOPE, World, allowed, refused

LACKING = [
    ({"scopes_required": ["kong_api_access"]}, "scopes_missing"),
    ({"groups_required": ["kong_api_group"]}, "groups_missing"),
    (
        {"roles_required": ["kong_api_role"], "roles_claim": ["realm_access", "roles"]},
        "roles_missing",
    ),
]


@pytest.mark.parametrize(("config", "reason"), LACKING)
async def test_one_user_gets_in_and_the_other_is_refused(
    world: World, config: dict[str, Any], reason: str
) -> None:
    plugin = await world.plugin(**config)
    allowed(await world.visitor(plugin).log_in(username=WITH_SCOPE))
    other = world.visitor(plugin, "other")
    refused(await other.log_in(username=WITHOUT_SCOPE), 403, reason)
    assert not other.has_session


@pytest.mark.parametrize(("config", "reason"), LACKING)
async def test_a_bearer_token_is_asked_the_same(
    world: World, config: dict[str, Any], reason: str
) -> None:
    plugin = await world.plugin(**config)
    good, poor = world.idp.access_token(WITH_SCOPE), world.idp.access_token(WITHOUT_SCOPE)
    allowed(await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {good}"))
    visitor = world.visitor(plugin)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {poor}"), 403, reason)
    assert not visitor.has_session


async def test_the_id_token_does_not_count(world: World) -> None:
    world.idp.behaviour.id_token.set["scope"] = "kong_api_access"
    visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"]))
    refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")


@pytest.mark.parametrize(
    "scope",
    [None, 7, True, {"kong_api_access": True}, ["kong_api"], "kong_api_access_not", "", []],
    ids=str,
)
async def test_a_scope_of_an_odd_kind_lets_nobody_in(world: World, scope: object) -> None:
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"scope": scope}))
    visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"]))
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 403, "scopes_missing")


async def test_one_entry_wants_all_of_its_words_and_one_entry_suffices(world: World) -> None:
    plugin = await world.plugin(scopes_required=["openid nothing", "email profile"])
    token = world.idp.access_token(WITHOUT_SCOPE)
    allowed(await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}"))
    plugin = await world.plugin(scopes_required=["openid nothing", "email nothing"])
    visitor = world.visitor(plugin)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 403, "scopes_missing")


async def test_all_requirements_that_are_set_must_hold(world: World) -> None:
    plugin = await world.plugin(scopes_required=["openid"], audience_required=["api"])
    poor = world.idp.access_token(WITH_SCOPE)
    visitor = world.visitor(plugin)
    answer = refused(
        await visitor.fetch("/oidc", authorization=f"Bearer {poor}"), 403, "audience_missing"
    )
    assert answer.detail == "required audience were not found [ account ]"
    good = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"aud": ["account", "api"]}))
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {good}"))


async def test_a_forbidden_claim_is_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin(claims_forbidden=["groups"]))
    token = world.idp.access_token(WITH_SCOPE)
    answer = refused(
        await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 403, "claim_forbidden"
    )
    assert answer.detail == "forbidden claims were found [ groups ]"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"scopes_required": ["openid"]}, "scopes_missing"),
        ({"claims_forbidden": ["groups"]}, "claims_unknown"),
    ],
)
async def test_an_opaque_access_token_carries_nothing_that_could_be_required(
    world: World, config: dict[str, Any], reason: str
) -> None:
    world.idp.behaviour.token_answer.set["access_token"] = "opaque"
    world.idp.behaviour.id_token.without.append("at_hash")
    refused(await world.visitor(await world.plugin(**config)).log_in(), 403, reason)
    allowed(await world.visitor(await world.plugin()).log_in())


async def test_what_is_required_now_is_asked_of_sessions_made_before(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in(username=WITHOUT_SCOPE)
    visitor.plugin = await world.plugin(scopes_required=["kong_api_access"])
    refused(await visitor.get("/oidc"), 403, "scopes_missing")
