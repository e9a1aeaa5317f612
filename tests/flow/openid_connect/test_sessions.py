"""Dialogues: how long a session lives, what it rests on, and how it ends."""

from __future__ import annotations

import json
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest

from scopegate.plugins.access import Respond
from scopegate_demo.idp import Signature, TokenEdit
from support.plugin_dialogue import (
    NAVIGATION,
    NOW_S,
    SCRIPT,
    Visitor,
    World,
    allowed,
    redirected,
    refused,
    set_cookies,
    upstream,
)


async def logged_in(world: World, **config: object) -> Visitor:
    # Tokens that outlast every clock of the session: no refresh comes between.
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin(**config))
    allowed(await visitor.log_in())
    return visitor


async def test_an_unused_session_ends_with_the_idling_timeout(world: World) -> None:
    visitor = await logged_in(world, session_idling_timeout=900)
    copy = visitor.copy()
    world.clock.advance(899)
    allowed(await copy.get("/oidc"))
    world.clock.advance(1)
    refused(await visitor.fetch("/oidc"), 401, "session_idling_timeout")
    assert not visitor.has_session
    # The use was written down in the answer to whoever used it.
    allowed(await copy.get("/oidc"))


async def test_a_use_is_written_down_once_a_minute(world: World) -> None:
    visitor = await logged_in(world)
    world.clock.advance(59)
    assert set_cookies(await visitor.get("/oidc")) == []
    world.clock.advance(1)
    assert set_cookies(await visitor.get("/oidc")) != []
    assert set_cookies(await visitor.get("/oidc")) == []


async def test_the_rolling_timeout_issues_a_new_generation_and_ends_the_former(
    world: World,
) -> None:
    visitor = await logged_in(world, session_rolling_timeout=3600, session_idling_timeout=0)
    former = visitor.copy()
    world.clock.advance(2699)
    assert set_cookies(await visitor.get("/oidc")) == []
    world.clock.advance(1)
    assert set_cookies(await visitor.get("/oidc")) != []
    # Requests under way with the former cookie survive for ten seconds.
    allowed(await former.copy().get("/oidc"))
    world.clock.advance(10)
    refused(await former.fetch("/oidc"), 401, "session_ended")
    world.clock.advance(3589)
    allowed(await visitor.get("/oidc"))


async def test_an_unused_session_ends_with_the_rolling_timeout(world: World) -> None:
    visitor = await logged_in(world, session_rolling_timeout=3600, session_idling_timeout=0)
    world.clock.advance(3600)
    refused(await visitor.fetch("/oidc"), 401, "session_rolling_timeout")


async def test_the_absolute_timeout_ends_a_session_however_much_it_is_used(world: World) -> None:
    visitor = await logged_in(world, session_absolute_timeout=7200)
    for _ in range(12):
        world.clock.advance(599)
        allowed(await visitor.get("/oidc"))
    world.clock.advance(12)
    redirected(await visitor.get("/oidc"), "login_started")


async def test_clocks_at_zero_are_off(world: World) -> None:
    world.idp.lifetimes.access_token_s = 400 * 86400
    visitor = world.visitor(
        await world.plugin(
            session_idling_timeout=0, session_rolling_timeout=0, session_absolute_timeout=0
        )
    )
    await visitor.log_in()
    world.clock.advance(300 * 86400)
    allowed(await visitor.get("/oidc"))


async def test_a_changed_secret_keeps_sessions_and_moves_them_to_the_new_one(world: World) -> None:
    visitor = await logged_in(world, session_secret="the former secret")
    visitor.plugin = await world.plugin(
        session_secret="the new secret",
        former_session_secrets=(("the former secret", int(NOW_S)),),
    )
    assert set_cookies(allowed(await visitor.get("/oidc"))) != []
    visitor.plugin = await world.plugin(session_secret="the new secret")
    allowed(await visitor.get("/oidc"))


async def test_a_changed_secret_disturbs_no_login_that_is_under_way(world: World) -> None:
    visitor = world.visitor(await world.plugin(session_secret="the former secret"))
    there = await visitor.authenticate(await visitor.start_login("/oidc"))
    visitor.plugin = await world.plugin(session_secret="the new secret")
    allowed(await visitor.come_back(there))


async def test_a_former_secret_opens_nothing_once_its_sessions_have_expired(world: World) -> None:
    visitor = await logged_in(
        world,
        session_secret="the former secret",
        session_idling_timeout=0,
        session_rolling_timeout=0,
        session_absolute_timeout=1000,
    )
    visitor.plugin = await world.plugin(
        session_secret="the new secret",
        session_idling_timeout=0,
        session_rolling_timeout=0,
        session_absolute_timeout=1000,
        former_session_secrets=(("the former secret", int(NOW_S) - 500),),
    )
    world.clock.advance(499)
    allowed(await visitor.copy().get("/oidc"))
    world.clock.advance(1)
    redirected(await visitor.get("/oidc"), "login_started")


async def test_the_first_configured_secret_keeps_sessions_of_the_clusters_own(
    world: World,
) -> None:
    visitor = await logged_in(world)
    visitor.plugin = await world.plugin(
        session_secret="a secret", former_session_secrets=((None, int(NOW_S)),)
    )
    allowed(await visitor.get("/oidc"))


async def test_another_secret_is_another_world(world: World) -> None:
    visitor = await logged_in(world, session_secret="one")
    visitor.plugin = await world.plugin(session_secret="two")
    refused(await visitor.fetch("/oidc"), 401, "session_not_authentic")


@pytest.mark.parametrize("bound", ["ip", "scheme", "user-agent"])
async def test_a_bound_session_opens_only_where_it_was_made(world: World, bound: str) -> None:
    visitor = await logged_in(world, session_bind=[bound])
    allowed(await visitor.get("/oidc"))
    elsewhere, headers = moved(visitor, bound)
    refused(await elsewhere.fetch("/oidc", **headers), 401, "session_bound_elsewhere")


def moved(visitor: Visitor, bound: str) -> tuple[Visitor, dict[str, str]]:
    """The same cookies where what is bound differs, and the headers that make it so."""
    elsewhere = visitor.copy()
    match bound:
        case "ip":
            elsewhere.client_ip = "192.0.2.2"
        case "scheme":
            elsewhere.scheme = "https"
        case _:
            return elsewhere, {"user_agent": "another"}
    return elsewhere, {}


@pytest.mark.parametrize("bound", ["ip", "scheme", "user-agent"])
async def test_who_moved_can_still_log_out(world: World, bound: str) -> None:
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    visitor = await logged_in(world, session_bind=[bound], **config)
    elsewhere, headers = moved(visitor, bound)
    answer = redirected(await elsewhere.get("/oidc?logout=1", **headers), "logout")
    # A copied cookie alone must not show the ID token of its owner.
    assert "id_token_hint" not in answer.location
    assert elsewhere.cookies == {}
    refused(await visitor.fetch("/oidc"), 401, "session_ended")


async def test_the_second_login_of_who_moved_ends_the_first_session(world: World) -> None:
    visitor = await logged_in(world, session_bind=["ip"])
    former = visitor.copy()
    visitor.client_ip = "192.0.2.2"
    allowed(await visitor.log_in())
    refused(await former.fetch("/oidc"), 401, "session_ended")


async def test_an_unbound_session_opens_anywhere(world: World) -> None:
    visitor = await logged_in(world)
    visitor.client_ip = "192.0.2.2"
    allowed(await visitor.get("/oidc", user_agent="another"))


@pytest.mark.parametrize(
    "lax",
    [
        {"verify_claims": False},
        {"ssl_verify": False},
        {"require_proof_key_for_code_exchange": False},
        {"scopes": ["profile"]},
        {"authorization_query_args_client": ["acr_values"]},
    ],
    ids=lambda lax: next(iter(lax)),
)
async def test_a_session_of_a_lax_configuration_does_not_open_a_strict_one(
    world: World, lax: dict[str, object]
) -> None:
    visitor = await logged_in(world, **lax)
    visitor.plugin = await world.plugin()
    refused(await visitor.fetch("/oidc"), 401, "session_not_authentic")


async def test_a_session_without_the_second_factor_does_not_open_what_asks_for_it(
    world: World,
) -> None:
    visitor = await logged_in(world)
    visitor.plugin = await world.plugin(
        authorization_query_args_names=["acr_values"], authorization_query_args_values=["mfa"]
    )
    start = redirected(await visitor.get("/oidc"), "login_started")
    assert parse_qs(urlsplit(start.location).query)["acr_values"] == ["mfa"]


async def test_a_session_opens_for_a_configuration_that_only_requires_more(world: World) -> None:
    visitor = await logged_in(world)
    visitor.plugin = await world.plugin(scopes_required=["kong_api_access"])
    allowed(await visitor.get("/oidc"))


async def test_a_session_of_a_bearer_token_does_not_stand_for_a_login(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    token = world.idp.access_token("Blog_with_scope")
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    assert visitor.has_session
    visitor.plugin = await world.plugin(auth_methods=["session"])
    allowed(await visitor.copy().fetch("/oidc"))
    visitor.plugin = await world.plugin(auth_methods=["session", "authorization_code"])
    refused(await visitor.fetch("/oidc"), 401, "session_method_not_enabled")


async def test_a_tampered_cookie_is_no_session(world: World) -> None:
    visitor = await logged_in(world)
    value = visitor.cookies["session"]
    middle = len(value) // 2
    flipped = "A" if value[middle] != "A" else "B"
    visitor.cookies["session"] = value[:middle] + flipped + value[middle + 1 :]
    answer = refused(await visitor.fetch("/oidc"), 401, "session_not_authentic")
    assert any("session=; Max-Age=0" in cookie for cookie in set_cookies(answer))


async def test_two_session_cookies_are_refused_and_both_expired(world: World) -> None:
    visitor = await logged_in(world)
    twice = f"session={visitor.cookies['session']}; session=another"
    visitor.cookies.clear()
    answer = refused(
        await visitor.send("GET", "/oidc", NAVIGATION | {"cookie": twice}), 400, "cookie_repeated"
    )
    assert any("session=; Max-Age=0" in cookie for cookie in set_cookies(answer))


async def test_gateway_cookies_stay_here_and_others_go_on(world: World) -> None:
    visitor = await logged_in(world)
    visitor.cookies["theme"] = "dark"
    assert upstream(await visitor.get("/oidc"))["cookie"] == "theme=dark"


async def test_a_large_session_is_split_and_every_chunk_expires(world: World) -> None:
    world.idp.behaviour.id_token.set["groups"] = [secrets.token_urlsafe(16) for _ in range(300)]
    visitor = await logged_in(world, logout_query_arg="logout", logout_methods=["GET"])
    assert {"session", "session2"} <= set(visitor.cookies)
    assert all(len(cookie) <= 4096 for cookie in visitor.cookies.values())
    allowed(await visitor.get("/oidc"))
    await visitor.get("/oidc?logout=1")
    assert visitor.cookies == {}


async def test_a_session_that_is_too_large_is_an_error_and_no_half_session(world: World) -> None:
    world.idp.behaviour.id_token.set["noise"] = [secrets.token_urlsafe(32) for _ in range(1000)]
    visitor = world.visitor(await world.plugin())
    refused(await visitor.log_in(), 500, "session_too_large")
    assert not visitor.has_session


async def test_without_the_session_method_none_is_written_or_read(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["authorization_code"]))
    allowed(await visitor.log_in())
    assert not visitor.has_session
    redirected(await visitor.get("/oidc"), "login_started")


async def test_a_token_that_names_nobody_begins_no_session(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    token = world.idp.access_token("Blog_with_scope", TokenEdit(without=["sub"]))
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    assert not visitor.has_session


@pytest.mark.parametrize("place", ["header", "cookie", "query", "form", "json"])
async def test_a_token_that_a_link_can_hold_begins_no_session(world: World, place: str) -> None:
    """Login CSRF: the visitor would go on in the name of whoever wrote the link."""
    plugin = await world.plugin(
        bearer_token_param_type=["header", "query", "body", "cookie"],
        bearer_token_cookie_name="jwt",
    )
    visitor = world.visitor(plugin)
    token = world.idp.access_token("Blog_with_scope")
    match place:
        case "header":
            answer = await visitor.get("/oidc", authorization=f"Bearer {token}")
        case "cookie":
            visitor.cookies["jwt"] = token
            answer = await visitor.get("/oidc")
        case "query":
            answer = await visitor.get(f"/oidc?access_token={token}")
        case "form":
            answer = await visitor.post("/oidc", {"access_token": token})
        case _:
            headers = SCRIPT | {"content-type": "application/json"}
            body = json.dumps({"access_token": token}).encode()
            answer = await visitor.send("POST", "/oidc", headers, body)
    assert allowed(answer).subject == world.idp.realm.user("Blog_with_scope").sub
    assert visitor.has_session is (place in ("header", "cookie"))


@pytest.mark.parametrize("place", ["query", "body"])
async def test_a_refresh_token_that_a_link_can_hold_begins_no_session(
    world: World, place: str
) -> None:
    config = {"upstream_refresh_token_header": "x-refresh"}
    token = upstream(await (await logged_in(world, **config)).get("/oidc"))["x-refresh"]
    visitor = world.visitor(await world.plugin(refresh_token_param_name="refresh_token"))
    if place == "query":
        allowed(await visitor.get(f"/oidc?refresh_token={token}"))
    else:
        allowed(await visitor.post("/oidc", {"refresh_token": token}))
    assert not visitor.has_session


async def test_disable_session_names_methods_that_start_none(world: World) -> None:
    token = world.idp.access_token("Blog_with_scope")
    visitor = world.visitor(await world.plugin(disable_session=["bearer"]))
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    assert not visitor.has_session
    visitor.plugin = await world.plugin()
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    assert visitor.has_session


async def test_a_session_of_such_a_method_that_began_elsewhere_does_not_open(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    token = world.idp.access_token("Blog_with_scope")
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    visitor.plugin = await world.plugin(disable_session=["bearer"])
    refused(await visitor.fetch("/oidc"), 401, "session_method_not_enabled")


async def test_reverify_looks_at_the_tokens_of_the_session_again(world: World) -> None:
    visitor = world.visitor(await world.plugin(reverify=True))
    await visitor.log_in()
    allowed(await visitor.get("/oidc"))
    world.idp.rotate_keys(overlap=False)
    visitor.plugin = await world.plugin(reverify=True)
    refused(await visitor.fetch("/oidc"), 401, "key_unknown")
    assert not visitor.has_session


async def test_reverify_looks_at_the_id_token_too(world: World) -> None:
    # Nobody can verify this access token, and nobody is to: what is left is the ID token.
    config = {"ignore_signature": ["authorization_code", "session"]}
    world.idp.behaviour.access_token.signature = Signature.CORRUPT
    visitor = world.visitor(await world.plugin(reverify=True, **config))
    await visitor.log_in()
    allowed(await visitor.get("/oidc"))
    world.idp.rotate_keys(overlap=False)
    visitor.plugin = await world.plugin(reverify=True, **config)
    refused(await visitor.fetch("/oidc"), 401, "key_unknown")
    assert not visitor.has_session


async def test_reverify_asks_no_more_of_an_id_token_than_a_session_can_keep(world: World) -> None:
    """It ends before the session does, and a refresh may bring none beside a new access token."""
    world.idp.lifetimes.id_token_s = 60
    visitor = world.visitor(await world.plugin(reverify=True, max_age=30))
    await visitor.log_in()
    world.clock.advance(61)
    allowed(await visitor.get("/oidc"))
    world.idp.behaviour.token_answer.without.append("id_token")
    world.clock.advance(300)
    former = upstream(await visitor.get("/oidc"))["authorization"]
    assert world.idp.calls["token.refresh_token"] == 1
    assert upstream(await visitor.get("/oidc"))["authorization"] == former


async def test_without_reverify_a_session_outlives_the_key_of_its_token(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in()
    world.idp.rotate_keys(overlap=False)
    visitor.plugin = await world.plugin()
    allowed(await visitor.get("/oidc"))


async def test_another_credential_beside_the_session_does_not_go_on(world: World) -> None:
    visitor = await logged_in(world, upstream_access_token_header=None)
    headers = {"x_access_token": "unchecked", "authorization": "Bearer unchecked"}
    answer = allowed(await visitor.get("/oidc?access_token=unchecked&page=2", **headers))
    assert {"authorization", "x-access-token"} <= set(answer.remove_headers)
    assert answer.query == "page=2"


# Logout


async def leave(visitor: Visitor, how: str) -> object:
    match how:
        case "suffix":
            return await visitor.get("/oidc/logout")
        case "query":
            return await visitor.get("/oidc?logout=1")
        case _:
            return await visitor.post("/oidc", {"page": "2", "logout": "1"})


@pytest.mark.parametrize("how", ["suffix", "query", "post"])
async def test_logout_expires_the_cookies_and_goes_to_the_provider(world: World, how: str) -> None:
    visitor = await logged_in(
        world,
        logout_uri_suffix="/logout",
        logout_query_arg="logout",
        logout_post_arg="logout",
        logout_methods=["GET", "POST"],
        logout_redirect_uri=["https://app.example/bye"],
        upstream_id_token_header="x-id",
    )
    id_token = upstream(await visitor.get("/oidc"))["x-id"]
    copy = visitor.copy()
    answer = redirected(await leave(visitor, how), "logout")
    assert visitor.asked_for_body is (how == "post")
    assert answer.location.startswith(f"{world.idp.issuer}/protocol/openid-connect/logout?")
    assert parse_qs(urlsplit(answer.location).query) == {
        "id_token_hint": [id_token],
        "client_id": ["blog_post"],
        "post_logout_redirect_uri": ["https://app.example/bye"],
    }
    assert visitor.cookies == {}
    refused(await copy.fetch("/oidc"), 401, "session_ended")


async def test_a_hint_too_long_for_a_url_is_left_out_and_the_client_still_named(
    world: World,
) -> None:
    """A provider that refuses the URL would leave its own session open."""
    world.idp.behaviour.id_token.set["noise"] = "x" * 4000
    visitor = await logged_in(world, logout_query_arg="logout", logout_methods=["GET"])
    answer = redirected(await visitor.get("/oidc?logout=1"), "logout")
    query = parse_qs(urlsplit(answer.location).query)
    assert query == {"client_id": ["blog_post"]}
    assert [line.fields["reason"] for line in answer.log] == ["id_token_hint_too_long"]
    assert visitor.cookies == {}


async def test_the_copied_cookie_stays_dead_until_it_would_have_expired(world: World) -> None:
    visitor = await logged_in(
        world, logout_query_arg="logout", logout_methods=["GET"], session_idling_timeout=0
    )
    copy = visitor.copy()
    await visitor.get("/oidc?logout=1")
    for _ in range(10):
        world.clock.advance(330)
        refused(await copy.copy().fetch("/oidc"), 401, "session_ended")
    other_worker = copy.copy()
    other_worker.plugin = await world.plugin(session_idling_timeout=0)
    refused(await other_worker.fetch("/oidc"), 401, "session_ended")


async def test_a_logout_with_a_cookie_of_before_ends_what_was_renewed_since(world: World) -> None:
    """A thief who renews the session leaves its owner with a cookie that opens nothing."""
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    owner = await logged_in(world, session_idling_timeout=0, **config)
    thief = owner.copy()
    world.clock.advance(2700)
    allowed(await thief.get("/oidc"))
    world.clock.advance(11)
    refused(await owner.copy().fetch("/oidc"), 401, "session_ended")
    redirected(await owner.get("/oidc?logout=1"), "logout")
    refused(await thief.fetch("/oidc"), 401, "session_ended")


async def test_a_logout_with_a_cookie_that_ran_out_ends_the_copy_that_was_used(
    world: World,
) -> None:
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    owner = await logged_in(world, session_idling_timeout=900, **config)
    thief = owner.copy()
    world.clock.advance(600)
    allowed(await thief.get("/oidc"))
    world.clock.advance(600)
    redirected(await owner.get("/oidc?logout=1"), "logout")
    refused(await thief.fetch("/oidc"), 401, "session_ended")


async def test_a_login_ends_the_session_whose_cookie_it_replaces_though_it_ran_out(
    world: World,
) -> None:
    owner = await logged_in(world, session_idling_timeout=900)
    thief = owner.copy()
    world.clock.advance(600)
    allowed(await thief.get("/oidc"))
    world.clock.advance(600)
    allowed(await owner.log_in())
    refused(await thief.fetch("/oidc"), 401, "session_ended")
    allowed(await owner.get("/oidc"))


async def test_a_logout_ends_a_session_that_this_configuration_does_not_take(world: World) -> None:
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    taking = await world.plugin(**config)
    visitor = world.visitor(taking)
    token = world.idp.access_token("Blog_with_scope")
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    copy = visitor.copy()
    visitor.plugin = await world.plugin(auth_methods=["session", "authorization_code"], **config)
    redirected(await visitor.get("/oidc?logout=1"), "logout")
    refused(await copy.fetch("/oidc"), 401, "session_ended")


async def test_logout_methods_decide(world: World) -> None:
    visitor = await logged_in(world, logout_query_arg="logout")
    allowed(await visitor.get("/oidc?logout=1"))
    redirected(await visitor.send("DELETE", "/oidc?logout=1", SCRIPT), "logout")


async def test_a_logout_needs_no_session(world: World) -> None:
    plugin = await world.plugin(logout_query_arg="logout", logout_methods=["GET"])
    answer = redirected(await world.visitor(plugin).get("/oidc?logout=1"), "logout")
    assert parse_qs(urlsplit(answer.location).query) == {"client_id": ["blog_post"]}


async def test_a_form_of_another_site_takes_no_session_away(world: World) -> None:
    """SameSite=Lax keeps the cookie from being sent with it."""
    visitor = await logged_in(world, logout_uri_suffix="/logout")
    kept = dict(visitor.cookies)
    visitor.cookies = {}
    answer = redirected(await visitor.post("/oidc/logout", {}), "logout")
    assert answer.response_headers == ()
    visitor.cookies = kept
    allowed(await visitor.get("/oidc"))


async def test_a_logout_works_while_the_provider_is_unknown(world: World) -> None:
    visitor = await logged_in(world)
    copy = visitor.copy()
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    visitor.plugin = await world.plugin(issuer_is_known=False, **config)
    await world.idp.down()
    answer = await visitor.get("/oidc?logout=1")
    assert isinstance(answer, Respond)
    assert (answer.status, answer.body) == (200, b"{}")
    assert visitor.cookies == {}
    refused(await copy.fetch("/oidc"), 401, "session_ended")


async def test_without_an_end_session_endpoint_the_browser_goes_to_the_redirect_uri(
    world: World,
) -> None:
    world.idp.behaviour.discovery.without.append("end_session_endpoint")
    visitor = await logged_in(
        world,
        logout_query_arg="logout",
        logout_methods=["GET"],
        logout_redirect_uri=["https://app.example/bye"],
    )
    answer = redirected(await visitor.get("/oidc?logout=1"), "logout")
    assert answer.location == "https://app.example/bye"


async def test_while_the_shared_state_is_gone_no_session_is_believed(world: World) -> None:
    visitor = await logged_in(world)
    token = world.idp.access_token("Blog_with_scope")
    stateless = world.visitor(await world.plugin(disable_session=["bearer"]))
    await world.shared.close()
    refused(await visitor.get("/oidc"), 503, "shared_state_unavailable")
    assert visitor.has_session
    # A token costs the store nothing.
    allowed(await stateless.fetch("/oidc", authorization=f"Bearer {token}"))


async def test_while_the_shared_state_is_gone_nobody_is_told_that_he_has_left(
    world: World,
) -> None:
    visitor = await logged_in(world, logout_query_arg="logout", logout_methods=["GET"])
    await world.shared.close()
    refused(await visitor.get("/oidc?logout=1"), 503, "shared_state_unavailable")
    assert visitor.has_session


async def test_the_session_headers_say_how_long_it_lasts(world: World) -> None:
    items = ["id", "subject", "timeout", "absolute-timeout"]
    visitor = await logged_in(world, session_request_headers=items)
    world.clock.advance(59)
    headers = upstream(await visitor.get("/oidc", session_id="mine"))
    assert headers["session-timeout"] == str(900 - 59)
    assert headers["session-absolute-timeout"] == str(86400 - 59)
    assert len(headers["session-id"]) == 32


@pytest.mark.parametrize(
    "short", [{"session_absolute_timeout": 600}, {"session_absolute_timeout": 0}]
)
async def test_a_logout_where_sessions_are_short_holds_where_they_are_long(
    world: World, short: dict[str, int]
) -> None:
    """Both take the same cookie: how long its end is remembered is not for one of them to say."""
    config = {"logout_query_arg": "logout", "logout_methods": ["GET"]}
    clocks = {"session_idling_timeout": 0, "session_rolling_timeout": 600}
    long = {"session_idling_timeout": 0, "session_rolling_timeout": 0}
    if short["session_absolute_timeout"] == 0:
        long["session_absolute_timeout"] = 0
    visitor = await logged_in(world, **long)
    thief = visitor.copy()
    visitor.plugin = await world.plugin(**config, **clocks, **short)
    world.clock.advance(300)
    redirected(await visitor.get("/oidc?logout=1"), "logout")
    world.clock.advance(7200)
    refused(await thief.fetch("/oidc"), 401, "session_ended")


async def test_a_generation_superseded_where_sessions_are_short_is_over_where_they_are_long(
    world: World,
) -> None:
    long = {"session_idling_timeout": 0, "session_rolling_timeout": 0}
    visitor = await logged_in(world, **long)
    thief = visitor.copy()
    visitor.plugin = await world.plugin(session_idling_timeout=0, session_rolling_timeout=600)
    world.clock.advance(500)
    allowed(await visitor.get("/oidc"))
    world.clock.advance(3600)
    refused(await thief.fetch("/oidc"), 401, "session_ended")


async def test_a_longer_absolute_timeout_makes_no_session_longer_that_began_before(
    world: World,
) -> None:
    clocks = {"session_idling_timeout": 0, "session_rolling_timeout": 0}
    visitor = await logged_in(world, session_absolute_timeout=600, **clocks)
    visitor.plugin = await world.plugin(session_absolute_timeout=0, **clocks)
    world.clock.advance(599)
    allowed(await visitor.get("/oidc"))
    world.clock.advance(1)
    refused(await visitor.fetch("/oidc"), 401, "session_absolute_timeout")
