"""Dialogues: from claims to consumers, credentials and groups."""

from __future__ import annotations

import pytest

from scopegate.plugins.consumers import ConsumerRecord
from scopegate_demo.idp import TokenEdit
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

EMAIL = "blog_with_scope@example.com"
BLOG = ConsumerRecord("11111111-1111-4111-8111-111111111111", "blog", EMAIL)
NOBODY = ConsumerRecord("22222222-2222-4222-8222-222222222222", "nobody", None)
FORGED = {
    "X-Consumer-Id": "forged",
    "X_Consumer_Username": "forged",
    "X-Consumer-Custom-ID": "forged",
    "X-Credential-Identifier": "forged",
    "X-Anonymous-Consumer": "forged",
    "X-Authenticated-Groups": "forged",
}


async def test_a_claim_names_the_consumer(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["email"])
    answer = allowed(await world.visitor(plugin).log_in())
    headers = upstream(answer)
    assert headers["x-consumer-id"] == BLOG.id
    assert headers["x-consumer-username"] == "blog"
    assert headers["x-consumer-custom-id"] == EMAIL
    assert "x-credential-identifier" not in headers
    assert answer.consumer_id == BLOG.id


async def test_a_session_keeps_its_consumer(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["email"])
    visitor = world.visitor(plugin)
    await visitor.log_in()
    assert upstream(await visitor.get("/oidc"))["x-consumer-id"] == BLOG.id


async def test_without_the_consumer_there_is_a_403_and_no_session(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["email"])
    visitor = world.visitor(plugin)
    answer = refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "consumer_not_found")
    assert answer.detail == (
        "consumer was not found (claim (email) names no consumer for consumer mapping)"
    )
    assert not visitor.has_session


async def test_without_the_claim_there_is_a_403_that_says_so(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["nickname"])
    answer = refused(await world.visitor(plugin).log_in(), 403, "consumer_not_found")
    assert answer.detail == (
        "consumer was not found (claim (nickname) was not found for consumer mapping)"
    )


async def test_consumer_optional_lets_those_in_whom_no_consumer_names(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["email"], consumer_optional=True)
    visitor = world.visitor(plugin)
    answer = allowed(await visitor.log_in(username=WITHOUT_SCOPE))
    headers = upstream(answer)
    assert "x-consumer-id" not in headers
    assert headers["x-credential-identifier"] == world.idp.realm.user(WITHOUT_SCOPE).sub
    assert answer.consumer_id is None


async def test_consumer_by_decides_which_fields_count(world: World) -> None:
    by_username = {"consumer_claim": ["email"], "consumer_by": ["username"]}
    visitor = world.visitor(await world.plugin(consumers=[BLOG], **by_username))
    refused(await visitor.log_in(), 403, "consumer_not_found")
    same_name = ConsumerRecord(NOBODY.id, EMAIL, None)
    visitor = world.visitor(await world.plugin(consumers=[BLOG, same_name], **by_username))
    assert upstream(await visitor.log_in())["x-consumer-id"] == same_name.id


async def test_username_goes_before_custom_id_before_id(world: World) -> None:
    same_name = ConsumerRecord(NOBODY.id, EMAIL, None)
    config = {"consumer_claim": ["email"], "consumer_by": ["id", "custom_id", "username"]}
    visitor = world.visitor(await world.plugin(consumers=[BLOG, same_name], **config))
    assert upstream(await visitor.log_in())["x-consumer-id"] == same_name.id


async def test_consumers_can_be_found_by_id(world: World) -> None:
    world.idp.behaviour.id_token.set["kong_id"] = BLOG.id
    config = {"consumer_claim": ["kong_id"], "consumer_by": ["id"]}
    visitor = world.visitor(await world.plugin(consumers=[BLOG], **config))
    assert upstream(await visitor.log_in())["x-consumer-id"] == BLOG.id


async def test_case_counts_unless_it_is_ignored(world: World) -> None:
    shouting = ConsumerRecord(BLOG.id, "BLOG_WITH_SCOPE", None)
    config = {"consumer_claim": ["preferred_username"], "consumer_by": ["username"]}
    visitor = world.visitor(await world.plugin(consumers=[shouting], **config))
    refused(await visitor.log_in(), 403, "consumer_not_found")
    config["by_username_ignore_case"] = True
    visitor = world.visitor(await world.plugin(consumers=[shouting], **config))
    assert upstream(await visitor.log_in())["x-consumer-id"] == shouting.id


@pytest.mark.parametrize(
    ("username", "claimed", "same"),
    [
        ("Müller", "MÜLLER", True),
        ("kevin", "\N{KELVIN SIGN}evin", False),
        ("strasse", "straße", False),
        ("sam", "\N{LATIN SMALL LETTER LONG S}am", False),
        ("ivan", "\N{LATIN SMALL LETTER DOTLESS I}van", False),
    ],
)
async def test_nothing_but_case_is_ignored(
    world: World, username: str, claimed: str, same: bool
) -> None:
    plugin = await world.plugin(
        consumers=[ConsumerRecord("3" * 32, username, None)],
        consumer_claim=["email"],
        by_username_ignore_case=True,
        auth_methods=["bearer"],
    )
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"email": claimed}))
    answer = await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}")
    if same:
        assert upstream(answer)["x-consumer-username"] == username
    else:
        refused(answer, 403, "consumer_not_found")


async def test_of_two_consumers_that_differ_only_in_case_none_is_guessed(world: World) -> None:
    consumers = [
        ConsumerRecord(BLOG.id, "BLOG_WITH_SCOPE", None),
        ConsumerRecord(NOBODY.id, "blog_with_scope", None),
    ]
    config = {
        "consumer_claim": ["preferred_username"],
        "consumer_by": ["username"],
        "by_username_ignore_case": True,
    }
    visitor = world.visitor(await world.plugin(consumers=consumers, **config))
    refused(await visitor.log_in(), 403, "consumer_ambiguous")
    assert not visitor.has_session
    visitor = world.visitor(
        await world.plugin(consumers=consumers, consumer_optional=True, **config)
    )
    refused(await visitor.log_in(), 403, "consumer_ambiguous")


async def test_the_first_claim_that_is_found_decides(world: World) -> None:
    config = {"consumer_claims": [["nickname"], ["sub"], ["email"]]}
    visitor = world.visitor(await world.plugin(consumers=[BLOG], **config))
    refused(await visitor.log_in(), 403, "consumer_not_found")
    config = {"consumer_claims": [["nickname"], ["email"], ["sub"]]}
    visitor = world.visitor(await world.plugin(consumers=[BLOG], **config))
    assert upstream(await visitor.log_in())["x-consumer-id"] == BLOG.id


async def test_the_id_token_is_asked_before_the_access_token(world: World) -> None:
    world.idp.behaviour.access_token.set["email"] = "another@example.com"
    plugin = await world.plugin(consumers=[BLOG], consumer_claim=["email"])
    assert upstream(await world.visitor(plugin).log_in())["x-consumer-id"] == BLOG.id


# Credential and groups


async def test_the_credential_claim_names_the_credential(world: World) -> None:
    visitor = world.visitor(await world.plugin(credential_claim=["email"]))
    assert upstream(await visitor.log_in())["x-credential-identifier"] == EMAIL


async def test_authenticated_groups_come_in_the_tokens_order(world: World) -> None:
    world.idp.behaviour.id_token.set["groups"] = ["z", "a", "m"]
    visitor = world.visitor(await world.plugin(authenticated_groups_claim=["groups"]))
    assert upstream(await visitor.log_in())["x-authenticated-groups"] == "z, a, m"


async def test_a_group_with_a_comma_does_not_read_as_two(world: World) -> None:
    world.idp.behaviour.id_token.set["groups"] = ["staff", "guests, admin"]
    visitor = world.visitor(await world.plugin(authenticated_groups_claim=["groups"]))
    answer = allowed(await visitor.log_in())
    assert upstream(answer)["x-authenticated-groups"] == "staff"
    assert [line.event for line in answer.log] == ["[openid-connect] group dropped"]


@pytest.mark.parametrize("group", [" admin", "admin ", "admin\t", "\u00a0admin", "admin\u2003"])
async def test_a_group_with_a_blank_at_its_end_does_not_read_as_another(
    world: World, group: str
) -> None:
    world.idp.behaviour.id_token.set["groups"] = [group, "site admins"]
    visitor = world.visitor(await world.plugin(authenticated_groups_claim=["groups"]))
    answer = allowed(await visitor.log_in())
    assert upstream(answer)["x-authenticated-groups"] == "site admins"
    assert [line.fields["header"] for line in answer.log] == ["x-authenticated-groups"]


async def test_without_groups_there_is_no_header_and_a_forged_one_goes(world: World) -> None:
    world.idp.behaviour.id_token.without.append("groups")
    world.idp.behaviour.access_token.without.append("groups")
    visitor = world.visitor(await world.plugin(authenticated_groups_claim=["groups"]))
    await visitor.log_in()
    answer = allowed(await visitor.get("/oidc", x_authenticated_groups="forged"))
    assert "x-authenticated-groups" not in upstream(answer)
    assert "x-authenticated-groups" in answer.remove_headers


# Anonymous


async def anonymous(world: World, **config: object) -> Visitor:
    return world.visitor(await world.plugin(consumers=[NOBODY], anonymous="nobody", **config))


async def test_who_brings_nothing_goes_on_as_the_anonymous_consumer(world: World) -> None:
    visitor = await anonymous(world)
    answer = allowed(await visitor.get("/oidc?page=2", authorization="Basic YTpi"))
    headers = upstream(answer)
    assert headers["x-anonymous-consumer"] == "true"
    assert headers["x-consumer-id"] == NOBODY.id
    assert (answer.reason, answer.consumer_id) == ("anonymous", NOBODY.id)
    assert "authorization" in answer.remove_headers
    assert answer.response_headers == ()


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_a_bad_credential_goes_on_as_the_anonymous_consumer_and_stays_here(
    world: World, place: str
) -> None:
    visitor = await anonymous(
        world,
        bearer_token_param_type=["header", "query", "cookie"],
        bearer_token_cookie_name="token",
    )
    match place:
        case "header":
            answer = allowed(await visitor.get("/oidc", x_access_token="bad"))
            assert "x-access-token" in answer.remove_headers
        case "query":
            answer = allowed(await visitor.get("/oidc?access_token=bad&page=2"))
            assert answer.query == "page=2"
        case _:
            visitor.cookies["token"] = "bad"
            answer = allowed(await visitor.get("/oidc"))
            assert "cookie" in answer.remove_headers
    assert upstream(answer)["x-anonymous-consumer"] == "true"


async def test_a_good_credential_is_not_anonymous(world: World) -> None:
    visitor = await anonymous(world)
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(
        await visitor.fetch("/oidc", authorization=f"Bearer {token}", x_anonymous_consumer="true")
    )
    assert "x-anonymous-consumer" not in upstream(answer)
    assert "x-anonymous-consumer" in answer.remove_headers


async def test_who_is_known_and_may_not_is_refused_and_not_anonymous(world: World) -> None:
    visitor = await anonymous(world, scopes_required=["kong_api_access"])
    token = world.idp.access_token(WITHOUT_SCOPE)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 403, "scopes_missing")


async def test_who_maps_to_no_consumer_goes_on_as_the_anonymous_one(world: World) -> None:
    visitor = await anonymous(world, consumer_claim=["email"])
    token = world.idp.access_token(WITH_SCOPE)
    headers = upstream(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    assert headers["x-consumer-id"] == NOBODY.id


async def test_who_maps_to_no_consumer_is_nobody_for_the_upstream(world: World) -> None:
    config = {
        "consumer_claim": ["email"],
        "upstream_id_token_header": "x-id-token",
        "upstream_headers": [{"header": "x-mail", "path": ["email"]}],
        "authenticated_groups_claim": ["scope"],
        "session_request_headers": ["subject"],
        "hide_credentials": False,
    }
    visitor = await anonymous(world, **config)
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.fetch("/oidc?page=2", authorization=f"Bearer {token}"))
    assert upstream(answer) == {
        "x-consumer-id": NOBODY.id,
        "x-consumer-username": "nobody",
        "x-anonymous-consumer": "true",
    }
    assert "authorization" in answer.remove_headers
    assert (answer.reason, answer.subject) == ("anonymous", None)
    assert not visitor.has_session


async def test_a_session_that_maps_to_no_consumer_any_more_is_nobody_and_keeps_its_tokens(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in()
    visitor.plugin = await world.plugin(
        consumers=[NOBODY], anonymous="nobody", consumer_claim=["email"]
    )
    world.clock.advance(300)
    former = visitor.cookies["session"]
    assert upstream(await visitor.get("/oidc"))["x-anonymous-consumer"] == "true"
    assert visitor.cookies["session"] != former
    assert world.idp.calls["token.refresh_token"] == 1


@pytest.mark.parametrize("response_mode", ["query", "form_post"])
async def test_a_login_that_maps_to_no_consumer_goes_on_as_nobody_without_its_code(
    world: World, response_mode: str
) -> None:
    visitor = world.visitor(await world.plugin(response_mode=response_mode))
    start = await visitor.start_login("/oidc")
    visitor.plugin = await world.plugin(
        consumers=[NOBODY],
        anonymous="nobody",
        consumer_claim=["email"],
        response_mode=response_mode,
    )
    answer = allowed(await visitor.come_back(await visitor.authenticate(start)))
    assert upstream(answer)["x-anonymous-consumer"] == "true"
    assert (answer.query, answer.drop_body) == ("", True)
    assert not visitor.has_session


async def test_a_login_that_maps_to_no_consumer_ends_the_session_before_it(world: World) -> None:
    """Otherwise the next request would be the person's who was there before."""
    config = {"consumers": [NOBODY], "anonymous": "nobody", "consumer_claim": ["email"]}
    visitor = world.visitor(await world.plugin())
    start = await visitor.start_login("/oidc")
    allowed(await visitor.log_in())
    copy = visitor.copy()
    visitor.plugin = await world.plugin(**config)
    answer = allowed(await visitor.come_back(await visitor.authenticate(start)))
    assert upstream(answer)["x-anonymous-consumer"] == "true"
    assert not visitor.has_session
    refused(await copy.fetch("/oidc"), 401, "session_ended")


async def test_an_anonymous_consumer_that_does_not_exist_lets_nobody_in(world: World) -> None:
    visitor = world.visitor(await world.plugin(anonymous="gone"))
    refused(await visitor.get("/oidc"), 500, "anonymous_missing")
    refused(await visitor.fetch("/oidc", authorization="Bearer bad"), 500, "anonymous_missing")


async def test_the_anonymous_consumer_is_not_looked_up_by_custom_id(world: World) -> None:
    plugin = await world.plugin(consumers=[BLOG], anonymous=EMAIL)
    refused(await world.visitor(plugin).get("/oidc"), 500, "anonymous_missing")


async def test_identity_headers_of_the_client_go_whoever_it_is(world: World) -> None:
    lowered = {name.lower(): value for name, value in FORGED.items()}
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(without=["sub"]))
    plain = world.visitor(await world.plugin(auth_methods=["bearer"]))
    answers = [
        await plain.send("GET", "/oidc", lowered | {"authorization": f"Bearer {token}"}),
        await (await anonymous(world)).send("GET", "/oidc", lowered),
    ]
    for answer in answers:
        assert set(lowered) <= set(allowed(answer).remove_headers)
    assert "x-credential-identifier" not in upstream(answers[0])
    redirected(await world.visitor(await world.plugin()).get("/oidc"), "login_started")
