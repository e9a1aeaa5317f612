"""Dialogues: several clients in one configuration."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support.plugin_dialogue import (
    WITH_SCOPE,
    WITHOUT_SCOPE,
    Visitor,
    World,
    allowed,
    redirected,
    refused,
    upstream,
)

TWO = {
    "client_id": ["blog_post", "second"],
    "client_secret": ["blog_post_secret", "second_secret"],
    "redirect_uri": ["http://localhost:8000/oidc/one", "http://localhost:8000/oidc/two"],
    "login_action": "redirect",
    "login_tokens": None,
}


async def visitor_of(world: World, **config: Any) -> Visitor:
    return world.visitor(await world.plugin(**(TWO | config)))


def sent(location: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(location).query)
    return query["client_id"][0], query["redirect_uri"][0]


@pytest.mark.parametrize(
    ("target", "headers", "client"),
    [
        ("/oidc", {}, 1),
        ("/oidc?client_id=second", {}, 2),
        ("/oidc?client_id=2", {}, 2),
        ("/oidc?client_id=1", {}, 1),
        ("/oidc", {"client_id": "second"}, 2),
        ("/oidc", {"x_client_id": "2"}, 2),
        ("/oidc?client_id=second", {"client_id": "1"}, 1),
        ("/oidc?client_id=unknown", {}, 1),
        ("/oidc?client_id=3", {}, 1),
        ("/oidc?client_id=0", {}, 1),
    ],
)
async def test_the_request_chooses_the_client(
    world: World, target: str, headers: dict[str, str], client: int
) -> None:
    start = redirected(await (await visitor_of(world)).get(target, **headers), "login_started")
    expected = {
        1: ("blog_post", "http://localhost:8000/oidc/one"),
        2: ("second", "http://localhost:8000/oidc/two"),
    }
    assert sent(start.location) == expected[client]


async def test_the_argument_may_have_another_name(world: World) -> None:
    visitor = await visitor_of(world, client_arg="app_id")
    assert sent((await visitor.start_login("/oidc?client_id=second")).location)[0] == "blog_post"
    assert sent((await visitor.start_login("/oidc?app_id=second")).location)[0] == "second"
    start = redirected(await visitor.get("/oidc", app_id="second"), "login_started")
    assert sent(start.location)[0] == "second"


async def test_the_client_of_the_login_redeems_the_code_and_is_remembered(world: World) -> None:
    visitor = await visitor_of(world, logout_query_arg="logout", logout_methods=["GET"])
    start = await visitor.start_login("/oidc?client_id=second")
    callback = await visitor.authenticate(start)
    redirected(await visitor.come_back(callback), "login_redirect")
    allowed(await visitor.get("/oidc"))
    # The refresh is the second client's as well, though the request names nobody.
    world.clock.advance(300)
    allowed(await visitor.get("/oidc?client_id=1"))
    assert world.idp.calls["token.refresh_token"] == 1
    answer = redirected(await visitor.get("/oidc?logout=1"), "logout")
    assert parse_qs(urlsplit(answer.location).query)["client_id"] == ["second"]


async def test_the_argument_does_not_reach_the_upstream(world: World) -> None:
    visitor = await visitor_of(world)
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(
        await visitor.fetch("/oidc?client_id=2&page=2", authorization=f"Bearer {token}")
    )
    assert answer.query == "page=2"


async def test_with_one_client_the_argument_is_the_upstreams(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.fetch("/oidc?client_id=2", authorization=f"Bearer {token}"))
    assert answer.query is None


async def test_places_to_go_belong_to_the_client_and_fall_back_to_the_first(world: World) -> None:
    visitor = await visitor_of(
        world,
        scopes_required=["kong_api_access"],
        unauthorized_redirect_uri=["https://one.example/401", "https://two.example/401"],
        forbidden_redirect_uri=["https://one.example/403"],
    )
    answer = refused(await visitor.fetch("/oidc?client_id=2"), 401, "no_credential")
    assert answer.location == "https://two.example/401"
    start = await visitor.start_login("/oidc?client_id=2")
    callback = await visitor.authenticate(start, WITHOUT_SCOPE)
    answer = refused(await visitor.come_back(callback), 403, "scopes_missing")
    assert answer.location == "https://one.example/403"


async def test_a_secret_never_stands_in_for_another_clients(world: World) -> None:
    visitor = await visitor_of(world, client_secret=["blog_post_secret"])
    start = await visitor.start_login("/oidc?client_id=2")
    callback = await visitor.authenticate(start)
    refused(await visitor.come_back(callback), 500, "client_secret_missing")
    assert world.idp.calls["token"] == 0


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_way_of_client_authentication_is_the_configured_one(
    world: World, method: str
) -> None:
    visitor = await visitor_of(world, client_auth=["client_secret_basic", method])
    start = await visitor.start_login("/oidc?client_id=2")
    redirected(await visitor.come_back(await visitor.authenticate(start)), "login_redirect")
    (request,) = [each for each in world.idp.requests if each.endpoint == "token"]
    assert ("authorization" in request.headers) is (method == "client_secret_basic")
    assert ("client_secret" in request.form) is (method == "client_secret_post")


async def test_extra_arguments_and_headers_reach_the_token_endpoint(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(
            token_post_args_names=["resource"],
            token_post_args_values=["api"],
            token_headers_names=["X-Tenant"],
            token_headers_values=["one"],
        )
    )
    assert "authorization" in upstream(await visitor.log_in())
    (request,) = [each for each in world.idp.requests if each.endpoint == "token"]
    assert request.form["resource"] == "api"
    assert request.headers["x-tenant"] == "one"
