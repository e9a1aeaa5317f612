"""Dialogues: what those get to see who may not pass, and what happens while nothing is known."""

from __future__ import annotations

import pytest

from scopegate_demo.idp import Fault
from support.plugin_dialogue import WITHOUT_SCOPE, World, allowed, redirected, refused

URIS = {
    "unauthorized_redirect_uri": ["https://app.example/unauthorized"],
    "forbidden_redirect_uri": ["https://app.example/forbidden"],
    "unexpected_redirect_uri": ["https://app.example/unexpected"],
}


async def test_messages_are_kongs_by_default(world: World) -> None:
    visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"]))
    answer = refused(await visitor.fetch("/oidc"), 401, "no_credential")
    assert (answer.message, answer.location, answer.show_detail) == ("Unauthorized", None, False)
    answer = refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")
    assert (answer.message, answer.location, answer.show_detail) == ("Forbidden", None, False)


async def test_messages_can_be_configured(world: World) -> None:
    plugin = await world.plugin(
        scopes_required=["kong_api_access"],
        unauthorized_error_message="Who are you?",
        forbidden_error_message="Not you",
        display_errors=True,
    )
    visitor = world.visitor(plugin)
    answer = refused(await visitor.fetch("/oidc"), 401, "no_credential")
    assert (answer.message, answer.show_detail) == ("Who are you?", True)
    answer = refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")
    assert (answer.message, answer.show_detail) == ("Not you", True)


async def test_each_kind_of_refusal_has_its_own_place_to_go(world: World) -> None:
    visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"], **URIS))
    answer = refused(await visitor.fetch("/oidc"), 401, "no_credential")
    assert answer.location == "https://app.example/unauthorized"
    answer = refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")
    assert answer.location == "https://app.example/forbidden"
    start = await visitor.start_login("/oidc")
    callback = await visitor.authenticate(start)
    world.idp.behaviour.faults["token"] = Fault(status=500)
    answer = refused(await visitor.come_back(callback), 503, "token_endpoint_unavailable")
    assert answer.location == "https://app.example/unexpected"


async def test_two_credentials_are_a_bad_request_wherever_a_401_would_go(world: World) -> None:
    visitor = world.visitor(await world.plugin(**URIS))
    answer = refused(
        await visitor.fetch("/oidc?access_token=b", authorization="Bearer a"),
        400,
        "credential_repeated",
    )
    assert answer.location is None
    assert answer.challenge == 'Bearer realm="127.0.0.1", error="invalid_request"'


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer a,Bearer b"},
        {"authorization": "Bearer a, Bearer b"},
        {"authorization": "Bearer a", "x_access_token": "b"},
        {"access_token": "a", "x_access_token": "a"},
    ],
)
async def test_two_tokens_in_headers_are_refused(world: World, headers: dict[str, str]) -> None:
    visitor = world.visitor(await world.plugin())
    refused(await visitor.fetch("/oidc", **headers), 400, "credential_repeated")


async def test_expose_error_code_false_says_the_realm_only(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    bad = {"authorization": "Bearer eyJ.eyJ.x"}
    answer = refused(await visitor.fetch("/oidc", **bad), 401, "not_a_jwt")
    assert answer.challenge == 'Bearer realm="127.0.0.1", error="invalid_token"'
    visitor = world.visitor(await world.plugin(expose_error_code=False))
    answer = refused(await visitor.fetch("/oidc", **bad), 401, "not_a_jwt")
    assert answer.challenge == 'Bearer realm="127.0.0.1"'


async def test_a_bad_token_is_a_401_even_where_a_login_would_be_possible(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    answer = refused(await visitor.get("/oidc", authorization="Bearer nonsense"), 401, "not_a_jwt")
    assert answer.location is None
    assert answer.response_headers == ()


async def test_basic_credentials_are_none_that_we_know(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    redirected(await visitor.get("/oidc", authorization="Basic YTpi"), "login_started")


async def test_while_nothing_is_known_of_the_issuer_everything_is_a_503(world: World) -> None:
    plugin = await world.plugin(issuer_is_known=False)
    await world.idp.down()
    visitor = world.visitor(plugin)
    answer = refused(await visitor.get("/oidc"), 503, "idp_unreachable")
    assert answer.retry_after_s
    assert answer.location is None
    assert answer.message == "An unexpected error occurred"
    token = world.idp.access_token("Blog_with_scope")
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 503, "idp_unreachable")
    # As soon as the provider is back all is well, untouched.
    await world.idp.start()
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    allowed(await world.visitor(plugin).log_in())


async def test_a_script_without_credential_gets_its_401_without_the_provider(world: World) -> None:
    plugin = await world.plugin(issuer_is_known=False)
    await world.idp.down()
    refused(await world.visitor(plugin).fetch("/oidc"), 401, "no_credential")


async def test_an_unknown_key_is_looked_up_once_and_then_known(world: World) -> None:
    plugin = await world.plugin()
    world.idp.rotate_keys()
    token = world.idp.access_token("Blog_with_scope")
    for _ in range(3):
        program = world.visitor(plugin)
        allowed(await program.fetch("/oidc", authorization=f"Bearer {token}"))
    assert world.facts.fetches == 1


async def test_an_endpoint_that_nobody_names_is_our_own_fault(world: World) -> None:
    world.idp.behaviour.discovery.without.append("authorization_endpoint")
    visitor = world.visitor(await world.plugin(**URIS))
    answer = refused(await visitor.get("/oidc"), 500, "endpoint_missing")
    assert answer.location == "https://app.example/unexpected"


async def test_unauthorized_destroy_session_false_leaves_a_cookie_that_does_not_open(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(unauthorized_destroy_session=False))
    visitor.cookies["session"] = "1nonsense"
    answer = refused(await visitor.fetch("/oidc"), 401, "session_not_authentic")
    assert answer.response_headers == ()
    visitor.plugin = await world.plugin()
    refused(await visitor.fetch("/oidc"), 401, "session_not_authentic")
    assert not visitor.has_session


async def test_a_failed_second_login_ends_the_session_that_was_there(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    pending = await visitor.start_login("/oidc")
    await visitor.log_in()
    copy = visitor.copy()
    callback = await visitor.authenticate(pending)
    world.idp.behaviour.id_token.set["nonce"] = "of another login"
    refused(await visitor.come_back(callback), 401, "nonce_mismatch")
    assert not visitor.has_session
    refused(await copy.fetch("/oidc"), 401, "session_ended")
