"""Dialogues: sessions whose access token is about to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from scopegate.plugins.access import Continue, Outcome
from scopegate_demo.idp import Behaviour, DemoIdp, Fault, Signature, TokenEdit
from support.plugin_dialogue import (
    SCRIPT,
    WITHOUT_SCOPE,
    Visitor,
    World,
    allowed,
    redirected,
    refused,
    set_cookies,
    upstream,
)

TOKEN_LIFE_S = 300


async def logged_in(world: World, **config: object) -> Visitor:
    visitor = world.visitor(await world.plugin(leeway=10, **config))
    allowed(await visitor.log_in())
    return visitor


def refreshes(world: World) -> int:
    return world.idp.calls["token.refresh_token"]


async def test_a_token_that_is_about_to_end_is_refreshed_within_the_leeway(world: World) -> None:
    visitor = await logged_in(world)
    former = upstream(await visitor.get("/oidc"))["authorization"]
    world.clock.advance(TOKEN_LIFE_S - 11)
    assert upstream(await visitor.get("/oidc"))["authorization"] == former
    world.clock.advance(1)
    answer = await visitor.get("/oidc")
    assert upstream(answer)["authorization"] != former
    assert any(cookie.startswith("session=") for cookie in set_cookies(answer))
    assert refreshes(world) == 1
    again = upstream(await visitor.get("/oidc"))["authorization"]
    assert again == upstream(answer)["authorization"]
    assert refreshes(world) == 1


async def test_twenty_requests_at_once_cost_one_refresh_and_all_get_the_new_token(
    world: World,
) -> None:
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    world.idp.behaviour.faults["token"] = Fault(delay_s=0.2)
    answers = await asyncio.gather(*(visitor.copy().get("/oidc") for _ in range(20)))
    assert len({upstream(answer)["authorization"] for answer in answers}) == 1
    assert refreshes(world) == 1


async def test_two_workers_share_one_refresh(world: World) -> None:
    visitor = await logged_in(world)
    other = visitor.copy()
    other.plugin = await world.plugin(leeway=10)
    world.clock.advance(TOKEN_LIFE_S)
    world.idp.behaviour.faults["token"] = Fault(delay_s=0.1)
    one, two = await asyncio.gather(visitor.get("/oidc"), other.get("/oidc"))
    assert upstream(one)["authorization"] == upstream(two)["authorization"]
    assert refreshes(world) == 1


async def test_a_request_with_the_former_cookie_gets_the_new_token_too(world: World) -> None:
    visitor = await logged_in(world)
    late = visitor.copy()
    world.clock.advance(TOKEN_LIFE_S)
    new = upstream(await visitor.get("/oidc"))["authorization"]
    assert upstream(await late.get("/oidc"))["authorization"] == new
    assert refreshes(world) == 1


async def test_a_request_that_goes_away_does_not_lose_the_new_token(world: World) -> None:
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    asked_before = world.idp.calls["token"]
    world.idp.behaviour.faults["token"] = Fault(delay_s=0.2, times=1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(visitor.copy().get("/oidc"), 0.05)
    allowed(await visitor.get("/oidc"))
    # Counted on arrival: a refresh that was given up and asked again would be two.
    assert world.idp.calls["token"] == asked_before + 1


async def test_a_refused_refresh_sends_a_navigation_to_the_login_and_a_script_gets_401(
    world: World,
) -> None:
    visitor = await logged_in(world)
    script = visitor.copy()
    world.clock.advance(TOKEN_LIFE_S)
    world.idp.behaviour.refuse_refresh = True
    redirected(await visitor.get("/oidc"), "login_started")
    # The session is over in every copy, whatever the provider would say now.
    world.idp.behaviour.refuse_refresh = False
    answer = refused(await script.fetch("/oidc"), 401, "session_ended")
    assert not script.has_session
    assert answer.location is None


async def test_a_script_is_told_that_the_refresh_was_refused(world: World) -> None:
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    world.idp.behaviour.refuse_refresh = True
    refused(await visitor.fetch("/oidc"), 401, "invalid_grant")
    assert not visitor.has_session
    assert world.facts.suspected == [], "a provider that refuses is not down"


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(disconnect=True), Fault(status=429)])
async def test_a_provider_that_is_down_at_the_refresh_is_a_503_and_never_a_login(
    world: World, fault: Fault
) -> None:
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    world.idp.behaviour.faults["token"] = fault
    assert world.facts.suspected == []
    answer = refused_503(await visitor.get("/oidc"))
    assert set_cookies(answer) == []
    assert visitor.has_session
    assert world.facts.suspected == [*world.facts.requests], "control hears of it"
    # Once the provider is back the session goes on, untouched.
    world.idp.behaviour = Behaviour()
    world.clock.advance(3)
    allowed(await visitor.get("/oidc"))


def refused_503(answer: Outcome) -> Outcome:
    assert getattr(answer, "status", None) == 503, answer
    assert getattr(answer, "location", None) is None
    return answer


async def test_a_provider_without_a_socket_is_a_503_too(world: World) -> None:
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    await world.idp.down()
    refused(await visitor.get("/oidc"), 503, "idp_unreachable")
    await world.idp.start()
    world.clock.advance(3)
    allowed(await visitor.get("/oidc"))


@pytest.mark.parametrize("token", ["refreshed_id_token", "refreshed_access_token"])
async def test_a_refresh_that_speaks_of_somebody_else_ends_the_session(
    world: World, token: str
) -> None:
    visitor = await logged_in(world)
    copy = visitor.copy()
    other = world.idp.realm.user(WITHOUT_SCOPE)
    setattr(world.idp.behaviour, token, TokenEdit(set={"sub": other.sub}))
    world.clock.advance(TOKEN_LIFE_S)
    redirected(await visitor.get("/oidc"), "login_started")
    refused(await copy.fetch("/oidc"), 401, "session_ended")


@pytest.mark.parametrize("token", ["refreshed_id_token", "refreshed_access_token"])
async def test_a_refresh_by_another_issuer_ends_the_session(world: World, token: str) -> None:
    """Also one that is allowed here: nobody says that its `sub` is the same person."""
    other = "https://other.example"
    visitor = await logged_in(
        world, issuers_allowed=[world.idp.issuer, other], verify_signature=False
    )
    copy = visitor.copy()
    setattr(world.idp.behaviour, token, TokenEdit(set={"iss": other}))
    world.clock.advance(TOKEN_LIFE_S)
    refused(await visitor.fetch("/oidc"), 401, "issuer_changed")
    refused(await copy.fetch("/oidc"), 401, "session_ended")


def only(access_token: TokenEdit | str) -> Callable[[DemoIdp], None]:
    """A refresh that brings this access token and no ID token."""

    def misbehave(idp: DemoIdp) -> None:
        idp.behaviour.token_answer.without.append("id_token")
        if isinstance(access_token, str):
            idp.behaviour.token_answer.set["access_token"] = access_token
        else:
            idp.behaviour.refreshed_access_token = access_token

    return misbehave


async def test_a_refresh_that_names_nobody_ends_the_session(world: World) -> None:
    for misbehave in (only(TokenEdit(without=["sub"])), only("opaque")):
        visitor = await logged_in(world)
        copy = visitor.copy()
        misbehave(world.idp)
        world.clock.advance(TOKEN_LIFE_S)
        refused(await visitor.fetch("/oidc"), 401, "subject_changed")
        refused(await copy.fetch("/oidc"), 401, "session_ended")
        world.idp.behaviour = Behaviour()


async def test_where_access_tokens_are_opaque_a_refresh_need_not_name_anybody(
    world: World,
) -> None:
    """OpenID Connect Core §12.2: it need not bring an ID token."""
    world.idp.behaviour.id_token.without.append("at_hash")
    world.idp.behaviour.token_answer.set["access_token"] = "opaque"
    visitor = await logged_in(world)
    world.idp.behaviour.token_answer.without.append("id_token")
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await visitor.fetch("/oidc"))


@pytest.mark.parametrize("is_same", [True, False])
async def test_a_refreshed_token_without_its_like_is_compared_with_the_session(
    world: World, is_same: bool
) -> None:
    """The access token was opaque before."""
    world.idp.behaviour.id_token.without.append("at_hash")
    world.idp.behaviour.token_answer.set["access_token"] = "opaque"
    visitor = await logged_in(world)
    world.idp.behaviour.token_answer.set.clear()
    if not is_same:
        other = world.idp.realm.user(WITHOUT_SCOPE)
        world.idp.behaviour.refreshed_access_token = TokenEdit(set={"sub": other.sub})
    world.clock.advance(TOKEN_LIFE_S)
    answer = await visitor.fetch("/oidc")
    if is_same:
        allowed(answer)
    else:
        refused(answer, 401, "subject_changed")


async def test_an_id_token_vouches_for_an_access_token_that_cannot(world: World) -> None:
    visitor = await logged_in(world)
    world.idp.behaviour.refreshed_access_token = TokenEdit(without=["sub"])
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await visitor.fetch("/oidc"))


async def test_a_refreshed_token_with_a_bad_signature_ends_the_session(world: World) -> None:
    visitor = await logged_in(world)
    world.idp.behaviour.refreshed_access_token = TokenEdit(signature=Signature.CORRUPT)
    world.clock.advance(TOKEN_LIFE_S)
    refused(await visitor.fetch("/oidc"), 401, "signature_invalid")
    assert not visitor.has_session


async def test_what_is_required_is_asked_of_the_refreshed_token(world: World) -> None:
    visitor = await logged_in(world, scopes_required=["kong_api_access"])
    world.idp.behaviour.refreshed_access_token = TokenEdit(set={"scope": "openid email"})
    world.clock.advance(TOKEN_LIFE_S)
    answer = refused(await visitor.get("/oidc"), 403, "scopes_missing")
    assert answer.detail == "required scopes were not found [ openid, email ]"
    assert not visitor.has_session


async def test_tokens_spent_before_a_403_are_saved_where_the_session_stays(world: World) -> None:
    config = {"scopes_required": ["kong_api_access"], "forbidden_destroy_session": False}
    visitor = await logged_in(world, **config)
    world.idp.behaviour.refreshed_access_token = TokenEdit(set={"scope": "openid"})
    world.clock.advance(TOKEN_LIFE_S)
    refused(await visitor.get("/oidc"), 403, "scopes_missing")
    assert visitor.has_session
    world.clock.advance(61)  # the outcome of the flight is forgotten
    world.idp.behaviour.refreshed_access_token = None
    refused(await visitor.get("/oidc"), 403, "scopes_missing")
    assert refreshes(world) == 1
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await visitor.get("/oidc"))


async def test_refresh_tokens_false_ends_the_session_with_its_token(world: World) -> None:
    visitor = await logged_in(world, refresh_tokens=False)
    world.clock.advance(TOKEN_LIFE_S)
    refused(await visitor.fetch("/oidc"), 401, "session_token_expired")
    assert refreshes(world) == 0


async def test_why_a_session_is_over_is_told_of_a_request_with_a_body_too(world: World) -> None:
    visitor = await logged_in(world, refresh_tokens=False)
    world.clock.advance(TOKEN_LIFE_S)
    json_call = SCRIPT | {"content-type": "application/json"}
    refused(await visitor.send("POST", "/oidc", json_call, b"{}"), 401, "session_token_expired")
    assert not visitor.has_session


async def test_without_a_refresh_token_the_session_ends_with_its_token(world: World) -> None:
    world.idp.behaviour.token_answer.without.append("refresh_token")
    visitor = await logged_in(world)
    world.clock.advance(TOKEN_LIFE_S)
    redirected(await visitor.get("/oidc"), "login_started")


async def test_a_refresh_without_id_token_and_refresh_token_keeps_the_former(world: World) -> None:
    visitor = await logged_in(
        world, upstream_id_token_header="x-id", upstream_refresh_token_header="x-refresh"
    )
    former = upstream(await visitor.get("/oidc"))
    world.idp.behaviour.token_answer.without += ["refresh_token", "id_token"]
    world.clock.advance(TOKEN_LIFE_S)
    now = upstream(await visitor.get("/oidc"))
    assert now["authorization"] != former["authorization"]
    assert (now["x-id"], now["x-refresh"]) == (former["x-id"], former["x-refresh"])


async def test_a_refresh_token_of_the_client_is_a_credential_where_it_has_a_name(
    world: World,
) -> None:
    visitor = await logged_in(world, upstream_refresh_token_header="x-refresh")
    token = upstream(await visitor.get("/oidc"))["x-refresh"]
    plugin = await world.plugin(refresh_token_param_name="refresh_token")
    program = world.visitor(plugin)
    answer = allowed(await program.fetch("/oidc", refresh_token=token))
    assert "refresh-token" in answer.remove_headers
    assert upstream(answer)["authorization"].startswith("Bearer eyJ")
    assert program.has_session
    other = world.visitor(plugin)
    refused(await other.fetch("/oidc", refresh_token=token), 401, "invalid_grant")
    unnamed = world.visitor(await world.plugin())
    refused(await unnamed.fetch("/oidc", refresh_token=token), 401, "no_credential")


@pytest.mark.parametrize("scopes", [["openid"], ["profile"]], ids=["id token", "access token"])
async def test_a_refresh_token_of_an_old_login_lets_nobody_in(
    world: World, scopes: list[str]
) -> None:
    visitor = await logged_in(
        world, scopes=scopes, upstream_refresh_token_header="x-refresh", max_age=60
    )
    token = upstream(await visitor.get("/oidc"))["x-refresh"]
    plugin = await world.plugin(scopes=scopes, refresh_token_param_name="refresh_token", max_age=60)
    world.clock.advance(61)
    program = world.visitor(plugin)
    refused(await program.fetch("/oidc", refresh_token=token), 401, "login_too_old")
    assert not program.has_session


@pytest.mark.parametrize("scopes", [["openid"], ["profile"]], ids=["id token", "access token"])
async def test_a_session_that_began_in_time_is_refreshed_when_its_login_is_old(
    world: World, scopes: list[str]
) -> None:
    visitor = await logged_in(world, scopes=scopes, max_age=60)
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await visitor.get("/oidc"))
    assert refreshes(world) == 1


async def test_a_session_does_not_care_who_else_refreshes(world: World) -> None:
    """Every session has its own flight: one that is refused does not end another."""
    one, two = await logged_in(world), world.visitor(await world.plugin(leeway=10), "other")
    await two.log_in(username=WITHOUT_SCOPE)
    world.clock.advance(TOKEN_LIFE_S)
    answers = await asyncio.gather(one.get("/oidc"), two.get("/oidc"))
    assert [type(answer) for answer in answers] == [Continue, Continue]
    assert allowed(answers[0]).subject != allowed(answers[1]).subject
    assert refreshes(world) == 2


# A slow answer brings an older cookie after a newer one


async def test_a_browser_that_fell_back_to_spent_tokens_gets_the_newest(world: World) -> None:
    """The answer to a request before the refresh may be the last to arrive."""
    visitor = await logged_in(world)
    fallen_back = visitor.copy()
    for _ in range(2):
        world.clock.advance(TOKEN_LIFE_S - 10)
        newest = upstream(await visitor.get("/oidc"))["authorization"]
    # Longer than the outcome of a refresh is kept for requests under way.
    world.clock.advance(120)
    assert upstream(await fallen_back.get("/oidc"))["authorization"] == newest
    assert refreshes(world) == 2
    world.clock.advance(TOKEN_LIFE_S - 130)
    allowed(await fallen_back.get("/oidc"))
    assert refreshes(world) == 3


async def test_fallen_back_and_the_newest_end_too_so_that_one_refresh_is_due(
    world: World,
) -> None:
    visitor = await logged_in(world)
    fallen_back = visitor.copy()
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await visitor.get("/oidc"))
    world.clock.advance(TOKEN_LIFE_S)
    allowed(await fallen_back.get("/oidc"))
    assert refreshes(world) == 2
    assert upstream(await visitor.get("/oidc")) == upstream(await fallen_back.get("/oidc"))
    assert refreshes(world) == 2


async def test_a_slow_answer_from_before_a_renewal_logs_nobody_out(world: World) -> None:
    visitor = await logged_in(world, session_rolling_timeout=1200, session_idling_timeout=0)
    world.clock.advance(895)
    slow = visitor.copy()
    allowed(await slow.get("/oidc"))  # refreshed, and the upstream takes its time
    world.clock.advance(10)
    allowed(await visitor.get("/oidc"))
    world.clock.advance(11)
    allowed(await slow.get("/oidc"))
    # Whoever has neither of the two cookies has one that is over.
    other = await logged_in(world, session_rolling_timeout=1200, session_idling_timeout=0)
    stolen = other.copy()
    world.clock.advance(905)
    allowed(await other.get("/oidc"))
    world.clock.advance(11)
    refused(await stolen.fetch("/oidc"), 401, "session_ended")
