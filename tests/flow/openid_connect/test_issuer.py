"""Dialogues: how the issuer, its endpoints and its keys are configured."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from scopegate_demo.idp import TokenEdit
from support.plugin_dialogue import WITH_SCOPE, World, allowed, redirected, refused


async def test_the_issuer_may_be_given_as_the_url_of_its_document(world: World) -> None:
    visitor = world.visitor(await world.plugin(issuer=world.idp.discovery_url))
    allowed(await visitor.log_in())


async def test_configured_endpoints_go_before_those_of_the_document(world: World) -> None:
    base = f"{world.idp.issuer}/protocol/openid-connect"
    world.idp.behaviour.discovery.set.update(
        authorization_endpoint=f"{base}/nowhere",
        token_endpoint=f"{base}/nowhere",
        end_session_endpoint=f"{base}/nowhere",
    )
    visitor = world.visitor(
        await world.plugin(
            authorization_endpoint=f"{base}/auth?kc_idp_hint=x",
            token_endpoint=f"{base}/token",
            end_session_endpoint="https://bye.example/?from=here",
            logout_query_arg="logout",
            logout_methods=["GET"],
        )
    )
    start = await visitor.start_login("/oidc")
    assert start.location.startswith(f"{base}/auth?")
    assert parse_qs(urlsplit(start.location).query)["kc_idp_hint"] == ["x"]
    allowed(await visitor.come_back(await visitor.authenticate(start)))
    answer = redirected(await visitor.get("/oidc?logout=1"), "logout")
    assert answer.location.startswith("https://bye.example/?")
    assert parse_qs(urlsplit(answer.location).query)["from"] == ["here"]


async def test_a_pseudo_issuer_is_never_discovered(world: World) -> None:
    base = f"{world.idp.issuer}/protocol/openid-connect"
    visitor = world.visitor(
        await world.plugin(
            using_pseudo_issuer=True,
            authorization_endpoint=f"{base}/auth",
            token_endpoint=f"{base}/token",
            jwks_endpoint=f"{base}/certs",
        )
    )
    allowed(await visitor.log_in())
    assert world.idp.calls["discovery"] == 0


async def test_a_pseudo_issuer_without_an_endpoint_that_is_needed_is_our_own_fault(
    world: World,
) -> None:
    jwks = f"{world.idp.issuer}/protocol/openid-connect/certs"
    visitor = world.visitor(await world.plugin(using_pseudo_issuer=True, jwks_endpoint=jwks))
    refused(await visitor.get("/oidc"), 500, "endpoint_missing")
    token = world.idp.access_token(WITH_SCOPE)
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))


async def test_issuers_allowed_is_the_whole_list(world: World) -> None:
    token = world.idp.access_token(WITH_SCOPE)
    plugin = await world.plugin(issuers_allowed=[world.idp.issuer, "https://other.example"])
    allowed(await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}"))
    for issuers in (["https://elsewhere.example"], [f"{world.idp.issuer}/"]):
        # The document is of the one issuer that was asked; its own tokens are not on the list.
        config = {"issuers_allowed": [world.idp.issuer.upper(), *issuers]}
        plugin = await world.plugin(**config)
        visitor = world.visitor(plugin)
        refused(
            await visitor.fetch("/oidc", authorization=f"Bearer {token}"),
            401,
            "issuer_not_allowed",
        )


async def test_a_made_up_key_id_is_refused_and_a_known_key_goes_on(world: World) -> None:
    plugin = await world.plugin()
    edit = TokenEdit()
    edit.header.set["kid"] = "made up"
    made_up = world.idp.access_token(WITH_SCOPE, edit)
    visitor = world.visitor(plugin)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {made_up}"), 401, "key_unknown")
    good = world.idp.access_token(WITH_SCOPE)
    fetches = world.facts.fetches
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {good}"))
    assert world.facts.fetches == fetches
