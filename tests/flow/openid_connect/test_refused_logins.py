"""Dialogues: logins that must not succeed, each with its reason, none with a session."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode

import pytest

from scopegate.plugins.access import Refusal, Request
from scopegate.policy.client_answer import render
from scopegate_demo.idp import DemoIdp, Fault, Signature
from support.leaks import jwts_in
from support.login import Callback
from support.plugin_dialogue import (
    HOST,
    NOW_S,
    WITH_SCOPE,
    WITHOUT_SCOPE,
    World,
    allowed,
    redirected,
    refused,
    set_cookies,
)

Misbehave = Callable[[DemoIdp], None]


def id_token(**claims: object) -> Misbehave:
    return lambda idp: idp.behaviour.id_token.set.update(claims)


def access_token(**claims: object) -> Misbehave:
    return lambda idp: idp.behaviour.access_token.set.update(claims)


def without(name: str) -> Misbehave:
    return lambda idp: idp.behaviour.id_token.without.append(name)


def signed(signature: Signature) -> Misbehave:
    return lambda idp: setattr(idp.behaviour.id_token, "signature", signature)


def callback(**parameters: str) -> Misbehave:
    return lambda idp: idp.behaviour.callback.set.update(parameters)


def denied(idp: DemoIdp) -> None:
    idp.behaviour.callback.set.update(error="access_denied", error_description="not today")
    idp.behaviour.callback.without.append("code")


def forged_access_token(idp: DemoIdp) -> None:
    idp.behaviour.access_token.signature = Signature.CORRUPT


REFUSED: list[tuple[str, Misbehave]] = [
    ("nonce_mismatch", id_token(nonce="of another login")),
    ("nonce_missing", without("nonce")),
    ("issuer_not_allowed", id_token(iss="https://evil.example")),
    ("audience_mismatch", id_token(aud="another")),
    ("azp_mismatch", id_token(azp="another")),
    ("azp_missing", lambda idp: (id_token(aud=["blog_post", "x"])(idp), without("azp")(idp))[0]),
    ("at_hash_mismatch", id_token(at_hash="AAAAAAAAAAAAAAAAAAAAAA")),
    ("token_expired", id_token(exp=1)),
    ("sub_invalid", without("sub")),
    ("signature_invalid", signed(Signature.CORRUPT)),
    ("signature_invalid", forged_access_token),
    ("access_token_presented", id_token(typ="Bearer")),
    ("issuer_not_allowed", access_token(iss="https://evil.example")),
    ("callback_iss_mismatch", callback(iss="https://evil.example")),
    ("callback_iss_missing", lambda idp: idp.behaviour.callback.without.append("iss")),
    ("access_denied", denied),
    ("invalid_grant", callback(code="another")),
    ("id_token_missing", lambda idp: idp.behaviour.token_answer.without.append("id_token")),
]


@pytest.mark.parametrize(("reason", "misbehave"), REFUSED)
async def test_a_login_that_does_not_hold_is_refused_without_a_session(
    world: World, reason: str, misbehave: Misbehave
) -> None:
    visitor = world.visitor(await world.plugin())
    misbehave(world.idp)
    answer = refused(await visitor.log_in(), 401, reason)
    assert answer.challenge == 'Bearer realm="127.0.0.1"'
    assert visitor.cookies == {}, "the login is forgotten, and there is no session"
    assert jwts_in(answer.detail) == []


async def test_an_embedded_or_unsigned_id_token_is_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    world.idp.behaviour.id_token.header.set["alg"] = "none"
    refused(await visitor.log_in(), 401, "alg_none")
    assert not visitor.has_session


async def test_after_a_refused_login_the_next_one_succeeds(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    denied(world.idp)
    refused(await visitor.log_in(), 401, "access_denied")
    world.idp.behaviour = type(world.idp.behaviour)()
    allowed(await visitor.log_in())


async def test_a_user_without_the_scope_leaves_without_a_session(world: World) -> None:
    visitor = world.visitor(await world.plugin(scopes_required=["kong_api_access"]))
    answer = refused(await visitor.log_in(username=WITHOUT_SCOPE), 403, "scopes_missing")
    assert answer.detail == "required scopes were not found [ openid, profile, email ]"
    assert answer.challenge == (
        'Bearer realm="127.0.0.1", error="insufficient_scope", scope="kong_api_access"'
    )
    assert answer.subject == world.idp.realm.user(WITHOUT_SCOPE).sub
    assert not visitor.has_session


async def test_a_refused_user_loses_the_session_that_was_there(world: World) -> None:
    lax, strict = await world.plugin(), await world.plugin(scopes_required=["kong_api_access"])
    visitor = world.visitor(lax)
    await visitor.log_in(username=WITHOUT_SCOPE)
    copy = visitor.copy()
    visitor.plugin = strict
    answer = refused(await visitor.get("/oidc"), 403, "scopes_missing")
    assert any("session=; Max-Age=0" in cookie for cookie in set_cookies(answer))
    redirected(await copy.get("/oidc"), "login_started")


async def test_forbidden_destroy_session_false_leaves_the_session_alone(world: World) -> None:
    lax = await world.plugin()
    visitor = world.visitor(lax)
    await visitor.log_in(username=WITHOUT_SCOPE)
    visitor.plugin = await world.plugin(
        scopes_required=["kong_api_access"], forbidden_destroy_session=False
    )
    assert refused(await visitor.get("/oidc"), 403, "scopes_missing").response_headers == ()
    visitor.plugin = lax
    allowed(await visitor.get("/oidc"))


async def test_the_access_token_must_be_for_the_configured_audience(world: World) -> None:
    visitor = world.visitor(await world.plugin(audience=["api"]))
    refused(await visitor.log_in(), 401, "audience_mismatch")
    world.idp.behaviour.access_token.set["aud"] = ["account", "api"]
    allowed(await visitor.log_in())


async def test_a_login_older_than_max_age_is_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin(max_age=60))
    world.idp.behaviour.id_token.set["auth_time"] = world.clock.now_s - 61
    refused(await visitor.log_in(), 401, "login_too_old")


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (lambda idp: idp.behaviour.access_token.set.update(auth_time=NOW_S - 61), "login_too_old"),
        (lambda idp: idp.behaviour.access_token.without.append("auth_time"), "auth_time_missing"),
        (lambda idp: idp.behaviour.token_answer.set.update(access_token="x"), "auth_time_missing"),
    ],
    ids=["old", "not told", "opaque"],
)
async def test_without_an_id_token_the_access_token_says_how_old_the_login_is(
    world: World, misbehave: Misbehave, reason: str
) -> None:
    visitor = world.visitor(await world.plugin(max_age=60, scopes=["profile"]))
    allowed(await visitor.log_in())
    misbehave(world.idp)
    visitor.cookies.clear()
    refused(await visitor.log_in(), 401, reason)
    assert not visitor.has_session


@pytest.mark.parametrize("state", ["forged", "", "A" * 5000], ids=["forged", "empty", "oversized"])
async def test_a_state_that_is_not_ours_is_a_bad_callback(world: World, state: str) -> None:
    visitor = world.visitor(await world.plugin())
    answer = refused(
        await visitor.get(f"/oidc?code=x&state={state}"), 401, "callback_state_invalid"
    )
    assert answer.location is None
    assert world.idp.calls["token"] == 0


def page_of(answer: Refusal, *, accept: str) -> str:
    """All that the client gets: status, headers and body."""
    request = Request(
        method="GET",
        scheme="http",
        host=HOST,
        path="/oidc",
        query="",
        headers=(("accept", accept),),
        client_ip="192.0.2.1",
        request_id="r",
    )
    rendered = render(answer, request)
    return f"{rendered.status} {rendered.headers} {rendered.body.decode()}"


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_bad_callback_echoes_nothing(world: World, accept: str) -> None:
    mark = "<b>marked by the test"
    forged = urlencode({"state": mark, "code": mark, "error_description": mark, "iss": mark})
    failed = {"error": mark, "error_description": mark}
    for display_errors in (False, True):
        visitor = world.visitor(await world.plugin(display_errors=display_errors))
        answers = [refused(await visitor.get(f"/oidc?{forged}"), 401, "callback_state_invalid")]
        world.idp.behaviour.callback.set.update(failed)
        world.idp.behaviour.callback.without.append("code")
        answers.append(refused(await visitor.log_in(), 401, "login_refused"))
        for answer in answers:
            shown = page_of(answer, accept=accept)
            # What the provider said of a login of ours is shown where the operator wants errors.
            assert display_errors or "marked by the test" not in shown
            assert accept != "text/html" or "<b>" not in shown
        world.idp.behaviour = type(world.idp.behaviour)()


async def test_a_token_beside_a_code_and_a_state_of_the_application_decides(world: World) -> None:
    visitor = world.visitor(await world.plugin(disable_session=["bearer"]))
    target = "/oidc?code=7&state=CA"
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.fetch(target, authorization=f"Bearer {token}"))
    assert answer.query is None, "the upstream gets its arguments"
    refused(await visitor.fetch(target, authorization="Bearer bad"), 401, "not_a_jwt")
    refused(await visitor.fetch(target), 401, "callback_state_invalid")


async def test_a_bad_callback_does_not_end_the_session_that_is_there(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in()
    allowed(await visitor.get("/oidc?code=x&state=forged"))


async def test_a_parameter_twice_in_the_callback_is_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    there = await visitor.authenticate(await visitor.start_login("/oidc"))
    twice = Callback(f"{there.url}&code=another")
    refused(await visitor.come_back(twice), 401, "callback_parameter_repeated")
    assert world.idp.calls["token"] == 0


async def test_a_state_of_one_configuration_means_nothing_to_another(world: World) -> None:
    lax = world.visitor(await world.plugin(verify_nonce=False))
    there = await lax.authenticate(await lax.start_login("/oidc"))
    lax.plugin = await world.plugin()
    refused(await lax.come_back(there), 401, "callback_state_invalid")


async def test_a_state_is_bound_to_its_code_verifier(world: World) -> None:
    """A code that is moved to another login of the same browser is not redeemed."""
    visitor = world.visitor(await world.plugin())
    first = await visitor.authenticate(await visitor.start_login("/oidc"))
    second = await visitor.start_login("/oidc")
    state = dict(parse_qsl(second.location.partition("?")[2]))["state"]
    swapped = Callback(
        f"http://localhost:8000/oidc?{urlencode(first.parameters | {'state': state})}"
    )
    refused(await visitor.come_back(swapped), 401, "invalid_grant")
    assert not visitor.has_session


async def test_a_second_login_as_somebody_else_ends_the_first_session(world: World) -> None:
    plugin = await world.plugin(preserve_query_args=True)
    visitor = world.visitor(plugin)
    pending = await visitor.start_login("/oidc")
    await visitor.log_in(username=WITH_SCOPE)
    former = visitor.copy()
    visitor.http = world.browsers["other"]
    there = await visitor.authenticate(pending, WITHOUT_SCOPE)
    answer = allowed(await visitor.come_back(there))
    assert answer.subject == world.idp.realm.user(WITHOUT_SCOPE).sub
    redirected(await former.get("/oidc"), "login_started")
    # The second session is another one, not the first with another name in it.
    again = allowed(await visitor.get("/oidc"))
    assert again.subject == answer.subject


async def test_a_refused_second_login_as_somebody_else_ends_the_first_session(
    world: World,
) -> None:
    """Also where a 403 of the same person would leave it alone."""
    plugin = await world.plugin(
        scopes_required=["kong_api_access"], forbidden_destroy_session=False
    )
    visitor = world.visitor(plugin)
    pending = await visitor.start_login("/oidc")
    await visitor.log_in(username=WITH_SCOPE)
    former = visitor.copy()
    allowed(await former.get("/oidc"))
    visitor.http = world.browsers["other"]
    there = await visitor.authenticate(pending, WITHOUT_SCOPE)
    refused(await visitor.come_back(there), 403, "scopes_missing")
    assert not visitor.has_session
    redirected(await former.get("/oidc"), "login_started")


async def test_a_provider_that_is_down_at_the_callback_is_a_503(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    there = await visitor.authenticate(await visitor.start_login("/oidc"))
    world.idp.behaviour.faults["token"] = Fault(status=500)
    answer = refused(await visitor.come_back(there), 503, "token_endpoint_unavailable")
    assert answer.retry_after_s
    assert not visitor.has_session


async def test_a_secret_that_the_provider_refuses_is_our_own_fault(world: World) -> None:
    visitor = world.visitor(await world.plugin(client_secret=["the wrong secret"]))
    answer = refused(await visitor.log_in(), 500, "client_refused")
    assert "the wrong secret" not in answer.detail
    assert not visitor.has_session


@pytest.mark.parametrize("own_is_allowed", [True, False])
async def test_another_allowed_issuer_does_not_answer_for_the_one_that_was_asked(
    world: World, own_is_allowed: bool
) -> None:
    """Mix-up: RFC 9207 §2.4. An issuer of bearer tokens is not one that people log in at."""
    other = "https://other.example"
    allowed_issuers = [world.idp.issuer, other] if own_is_allowed else [other]
    visitor = world.visitor(await world.plugin(issuers_allowed=allowed_issuers))
    world.idp.behaviour.callback.set["iss"] = other
    reason = "callback_iss_mismatch" if own_is_allowed else "issuer_not_allowed"
    refused(await visitor.log_in(), 401, reason)
    assert world.idp.calls["token.authorization_code"] == (0 if own_is_allowed else 1)
    assert not visitor.has_session


async def test_a_state_used_where_logins_are_short_is_used_where_they_are_long(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(authorization_rolling_timeout=600))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    later = visitor.copy()
    visitor.plugin = await world.plugin(authorization_rolling_timeout=60)
    allowed(await visitor.come_back(callback))
    world.clock.advance(100)
    asked = world.idp.calls["token.authorization_code"]
    redirected(await later.come_back(callback), "login_started")
    assert world.idp.calls["token.authorization_code"] == asked
