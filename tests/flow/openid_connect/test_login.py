"""Dialogues: logging in, and coming to the page that was asked for."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from scopegate.plugins.access import Redirect, Respond
from support.plugin_dialogue import (
    NAVIGATION,
    PREFLIGHT,
    SCRIPT,
    WITH_SCOPE,
    WITHOUT_SCOPE,
    World,
    allowed,
    redirected,
    refused,
    set_cookies,
    target_of,
    upstream,
)


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


async def test_an_unknown_visitor_is_sent_to_the_provider(world: World) -> None:
    visitor = world.visitor(await world.plugin(scopes=["openid", "email"], max_age=600))
    start = await visitor.start_login("/oidc?page=2")
    query = query_of(start.location)
    assert start.location.startswith(f"{world.idp.issuer}/protocol/openid-connect/auth?")
    assert query["redirect_uri"] == ["http://localhost:8000/oidc"]
    assert query["scope"] == ["openid email"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["response_type"] == ["code"]
    assert query["max_age"] == ["600"]
    assert set(query) >= {"state", "nonce", "code_challenge", "client_id"}


async def test_after_the_login_the_upstream_sees_the_headers_and_no_code(world: World) -> None:
    visitor = world.visitor(await world.plugin(upstream_id_token_header="x-id-token"))
    answer = allowed(await visitor.log_in("/oidc?page=2"))
    assert answer.query == "", "neither the code nor the original query"
    headers = upstream(answer)
    assert headers["authorization"].startswith("Bearer eyJ")
    assert headers["x-id-token"].startswith("eyJ")
    assert headers["x-credential-identifier"] == world.idp.realm.user(WITH_SCOPE).sub
    assert "cookie" in answer.remove_headers
    assert answer.subject == world.idp.realm.user(WITH_SCOPE).sub


async def test_the_session_cookie_comes_in_the_answer_to_the_callback(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    answer = await visitor.log_in()
    (cookie,) = [value for value in set_cookies(answer) if value.startswith("session=")]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")
    calls = world.idp.calls["token"]
    again = upstream(await visitor.get("/oidc"))
    assert again["authorization"] == upstream(answer)["authorization"]
    assert world.idp.calls["token"] == calls, "a live session needs no provider"


async def test_over_https_cookies_are_secure(world: World) -> None:
    visitor = world.visitor(await world.plugin(), scheme="https")
    start = await visitor.start_login("/oidc")
    assert "; Secure" in set_cookies(start)[0]
    answer = await visitor.come_back(await visitor.authenticate(start))
    assert all("; Secure" in cookie for cookie in set_cookies(answer))


async def test_preserve_query_args_brings_the_query_back(world: World) -> None:
    visitor = world.visitor(await world.plugin(preserve_query_args=True))
    answer = allowed(await visitor.log_in("/oidc?page=2&q=a%20b"))
    assert answer.query == "page=2&q=a%20b"


async def test_login_action_redirect_hands_the_id_token_over_in_the_fragment(world: World) -> None:
    visitor = world.visitor(await world.plugin(login_action="redirect"))
    answer = redirected(await visitor.log_in("/oidc/deep?page=2"), "login_redirect")
    base, _, fragment = answer.location.partition("#")
    assert base == "/oidc/deep"
    assert list(parse_qs(fragment)) == ["id_token"]
    assert visitor.has_session


async def test_login_action_redirect_goes_back_with_the_query_if_wanted(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(login_action="redirect", login_tokens=None, preserve_query_args=True)
    )
    answer = redirected(await visitor.log_in("/oidc?page=2"), "login_redirect")
    assert answer.location == "/oidc?page=2"


@pytest.mark.parametrize(
    "config",
    [{"auth_methods": ["authorization_code"]}, {"disable_session": ["authorization_code"]}],
)
async def test_login_action_redirect_without_a_session_goes_on_to_the_upstream(
    world: World, config: dict[str, object]
) -> None:
    """The page that was asked for would only begin the next login."""
    visitor = world.visitor(await world.plugin(login_action="redirect", **config))
    answer = allowed(await visitor.log_in("/oidc"))
    assert answer.query == ""
    assert upstream(answer)["authorization"].startswith("Bearer ")


async def test_login_action_redirect_appends_to_the_query_of_the_login_page(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(
            login_action="redirect",
            login_redirect_mode="query",
            login_redirect_uri=["https://app.example/in?a=1"],
            login_tokens=["access_token", "refresh_token"],
        )
    )
    answer = redirected(await visitor.log_in(), "login_redirect")
    assert answer.location.startswith("https://app.example/in?a=1&")
    assert set(query_of(answer.location)) == {"a", "access_token", "refresh_token"}


async def test_login_action_response_answers_with_the_wanted_tokens(world: World) -> None:
    visitor = world.visitor(await world.plugin(login_action="response"))
    answer = await visitor.log_in()
    assert isinstance(answer, Respond)
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert list(json.loads(answer.body)) == ["id_token"]
    assert visitor.has_session


async def test_login_action_response_hands_the_token_endpoints_answer_over(world: World) -> None:
    visitor = world.visitor(await world.plugin(login_action="response", login_tokens=["tokens"]))
    answer = await visitor.log_in()
    assert isinstance(answer, Respond)
    assert {"access_token", "expires_in", "id_token", "token_type"} <= set(json.loads(answer.body))


async def test_the_login_action_is_for_logins_only(world: World) -> None:
    visitor = world.visitor(await world.plugin(login_action="response"))
    await visitor.log_in()
    allowed(await visitor.get("/oidc"))


async def test_a_form_post_callback_reaches_the_upstream_as_get_without_a_body(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(response_mode="form_post"))
    start = await visitor.start_login("/oidc?page=2")
    # A cross-site POST has to bring the cookie.
    assert set_cookies(start)[0].endswith("; Path=/; Secure; HttpOnly; SameSite=None")
    callback = await visitor.authenticate(start)
    assert callback.form is not None
    answer = allowed(await visitor.come_back(callback))
    assert (answer.method, answer.drop_body, answer.query) == ("GET", True, "")
    assert visitor.has_session


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("config", "attributes"),
    [
        ({}, {"SameSite=Lax"}),
        ({"response_mode": "form_post"}, {"Secure", "SameSite=None"}),
        # What is configured stays, for a provider of the same site.
        (
            {"response_mode": "form_post", "authorization_cookie_same_site": "Lax"},
            {"SameSite=Lax"},
        ),
        ({"authorization_cookie_same_site": "Strict"}, {"SameSite=Strict"}),
    ],
)
async def test_the_login_cookie_always_says_its_same_site(
    world: World, scheme: str, config: dict[str, Any], attributes: set[str]
) -> None:
    visitor = world.visitor(await world.plugin(**config), scheme=scheme)
    (cookie,) = set_cookies(await visitor.start_login("/oidc"))
    found = {part for part in cookie.split("; ") if part.startswith(("SameSite", "Secure"))}
    assert found == attributes | ({"Secure"} if scheme == "https" else set())


async def test_a_session_cookie_with_same_site_default_is_lax(world: World) -> None:
    visitor = world.visitor(await world.plugin(session_cookie_same_site="Default"))
    (cookie,) = set_cookies(await visitor.log_in())
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax")


async def test_form_post_takes_no_answer_from_the_query(world: World) -> None:
    visitor = world.visitor(await world.plugin(response_mode="form_post"))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    forged = "&".join(f"{name}={value}" for name, value in callback.parameters.items())
    redirected(await visitor.get(f"/oidc?{forged}"), "login_started")
    assert world.idp.calls["token.authorization_code"] == 0


async def test_arguments_of_the_client_go_along_but_never_override_ours(world: World) -> None:
    plugin = await world.plugin(
        authorization_query_args_client=["login_hint", "prompt"],
        authorization_query_args_names=["prompt"],
        authorization_query_args_values=["login"],
    )
    target = "/oidc?login_hint=me&prompt=none&redirect_uri=https://x"
    start = await world.visitor(plugin).start_login(target)
    query = query_of(start.location)
    assert (query["login_hint"], query["prompt"]) == (["me"], ["login"])
    assert query["redirect_uri"] == ["http://localhost:8000/oidc"]


async def test_ten_tabs_that_log_in_at_once_all_arrive_at_their_own_page(world: World) -> None:
    plugin = await world.plugin(login_action="redirect", login_tokens=None)
    visitor = world.visitor(plugin)
    # Started together: none of them has brought a cookie, the last answer wins.
    starts = await asyncio.gather(
        *(visitor.copy().start_login(f"/oidc/{number}") for number in range(10))
    )
    visitor.cookies["authorization"] = (
        set_cookies(starts[-1])[0].partition(";")[0].partition("=")[2]
    )
    for number, start in enumerate(starts):
        answer = await visitor.come_back(await visitor.authenticate(start))
        for _ in range(3):
            if not isinstance(answer, Redirect) or answer.reason != "login_started":
                break
            answer = await visitor.come_back(await visitor.authenticate(answer))
        assert isinstance(answer, Redirect)
        assert answer.location == f"/oidc/{number}"
        allowed(await visitor.get(answer.location))


async def test_ten_tabs_that_share_the_cookie_finish_in_any_order(world: World) -> None:
    visitor = world.visitor(await world.plugin(login_action="redirect", login_tokens=None))
    starts = [await visitor.start_login(f"/oidc/{number}") for number in range(10)]
    for number in (9, 0, 5, 1, 8, 2, 7, 3, 6, 4):
        answer = await visitor.come_back(await visitor.authenticate(starts[number]))
        assert redirected(answer, "login_redirect").location == f"/oidc/{number}"


async def test_two_hundred_navigations_leave_less_than_4_kb_of_cookies(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    for number in range(200):
        await visitor.start_login(f"/oidc/page-{number}")
    assert 0 < visitor.cookie_bytes < 4096
    assert list(visitor.cookies) == ["authorization"]


@pytest.mark.parametrize(
    "headers",
    [
        SCRIPT,
        {"accept": "*/*", "sec-fetch-mode": "cors"},
        {"accept": "*/*", "x-requested-with": "XMLHttpRequest"},
        {"accept": "application/json"},
        {"upgrade": "websocket", "sec-fetch-mode": "websocket"},
        {"content-type": "application/grpc+proto", "accept": "*/*"},
    ],
    ids=["script", "cors", "xhr", "json", "websocket", "grpc"],
)
async def test_what_is_no_navigation_gets_401_and_no_cookie(
    world: World, headers: dict[str, str]
) -> None:
    visitor = world.visitor(await world.plugin())
    answer = refused(await visitor.send("GET", "/oidc", headers), 401, "no_credential")
    assert answer.location is None
    assert answer.response_headers == ()
    assert answer.challenge == 'Bearer realm="127.0.0.1"'


async def test_a_plain_post_gets_401_and_plain_curl_a_redirect(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    refused(await visitor.send("POST", "/oidc", {"accept": "*/*"}), 401, "no_credential")
    redirected(await visitor.send("GET", "/oidc", {"accept": "*/*"}), "login_started")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_form_without_a_session_is_never_sent_to_the_login(
    world: World, method: str
) -> None:
    """After the login it would arrive as a GET, without its body."""
    visitor = world.visitor(await world.plugin())
    answer = refused(await visitor.send(method, "/oidc?a=1", NAVIGATION), 401, "no_credential")
    assert answer.sign_in == "/oidc"
    assert answer.location is None
    assert answer.response_headers == ()
    # The link is a navigation: to the login, and back to the page.
    login = await visitor.authenticate(await visitor.start_login(answer.sign_in))
    allowed(await visitor.come_back(login))
    assert allowed(await visitor.send(method, "/oidc?a=1", NAVIGATION)).method is None


async def test_the_link_to_sign_in_keeps_the_query_where_logins_do(world: World) -> None:
    visitor = world.visitor(await world.plugin(preserve_query_args=True))
    answer = refused(await visitor.post("/oidc?a=1&b=%22", {"c": "2"}), 401, "no_credential")
    assert answer.sign_in == "/oidc?a=1&b=%22"


async def test_the_link_to_sign_in_stays_on_the_site(world: World) -> None:
    visitor = world.visitor(await world.plugin(preserve_query_args=True))
    for target in ("//evil.example/", "/\\evil.example", "/oidc?a=\x01"):
        answer = refused(await visitor.post(target, {}), 401, "no_credential")
        assert answer.sign_in == "/"


async def test_a_form_with_a_session_that_ended_is_not_lost(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in("/oidc")
    world.clock.advance(3601)
    answer = refused(await visitor.post("/oidc", {"a": "1"}), 401, "session_rolling_timeout")
    assert answer.sign_in == "/oidc"


async def test_a_script_that_posts_gets_a_plain_401(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    answer = refused(await visitor.send("POST", "/oidc", SCRIPT), 401, "no_credential")
    assert answer.sign_in is None


async def test_without_the_code_flow_a_form_gets_no_link(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer", "session"]))
    answer = refused(await visitor.post("/oidc", {"a": "1"}), 401, "no_credential")
    assert answer.sign_in is None


async def test_without_the_code_flow_nobody_is_sent_to_a_login(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer", "session"]))
    refused(await visitor.get("/oidc"), 401, "no_credential")


async def test_preflights_pass_untouched_only_if_so_configured(world: World) -> None:
    visitor = world.visitor(await world.plugin(run_on_preflight=False))
    answer = allowed(await visitor.send("OPTIONS", "/oidc", PREFLIGHT | {"X_Consumer_Id": "me"}))
    assert answer.reason == "preflight"
    visitor = world.visitor(await world.plugin())
    refused(await visitor.send("OPTIONS", "/oidc", PREFLIGHT), 401, "no_credential")


@pytest.mark.parametrize("missing", PREFLIGHT)
@pytest.mark.parametrize("is_empty", [False, True])
async def test_options_that_is_no_preflight_needs_credentials(
    world: World, missing: str, is_empty: bool
) -> None:
    visitor = world.visitor(await world.plugin(run_on_preflight=False))
    headers = {name: value for name, value in PREFLIGHT.items() if name != missing}
    if is_empty:
        headers[missing] = ""
    refused(await visitor.send("OPTIONS", "/oidc", headers), 401, "no_credential")
    # Nor does another method become a preflight by these headers.
    refused(await visitor.send("POST", "/oidc", SCRIPT | PREFLIGHT), 401, "no_credential")
    token = f"Bearer {world.idp.access_token(WITH_SCOPE)}"
    answer = await visitor.send("OPTIONS", "/oidc", headers | {"authorization": token})
    assert allowed(answer).reason != "preflight"


async def test_a_repeated_callback_with_a_live_session_goes_to_its_page(world: World) -> None:
    visitor = world.visitor(await world.plugin(preserve_query_args=True))
    callback = await visitor.authenticate(await visitor.start_login("/oidc?page=2"))
    allowed(await visitor.come_back(callback))
    answer = redirected(await visitor.come_back(callback), "login_repeated")
    assert answer.location == "/oidc?page=2"
    assert world.idp.calls["token.authorization_code"] == 1
    allowed(await visitor.get("/oidc"))


async def test_a_repeated_callback_without_a_session_starts_again(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    allowed(await visitor.come_back(callback))
    del visitor.cookies["session"]
    redirected(await visitor.come_back(callback), "login_started")
    assert world.idp.calls["token.authorization_code"] == 1


async def test_the_callback_of_another_browser_never_redeems_the_code(world: World) -> None:
    plugin = await world.plugin()
    attacker, victim = world.visitor(plugin), world.visitor(plugin, "other")
    callback = await attacker.authenticate(await attacker.start_login("/oidc"))
    answer = redirected(await victim.come_back(callback), "login_started")
    assert world.idp.calls["token.authorization_code"] == 0
    assert not victim.has_session
    # The victim logs in as himself and is through.
    answer = allowed(await victim.come_back(await victim.authenticate(answer, WITHOUT_SCOPE)))
    assert answer.subject == world.idp.realm.user(WITHOUT_SCOPE).sub


async def test_a_browser_without_cookies_is_refused_after_some_rounds(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    answer = await visitor.get("/oidc")
    for _ in range(10):
        if not isinstance(answer, Redirect):
            break
        visitor.cookies.clear()
        answer = await visitor.come_back(await visitor.authenticate(answer))
    refused(answer, 401, "login_attempts_exhausted")


async def test_a_login_that_took_too_long_starts_again(world: World) -> None:
    visitor = world.visitor(await world.plugin(authorization_rolling_timeout=30))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    world.clock.advance(30)
    redirected(await visitor.come_back(callback), "login_started")
    assert world.idp.calls["token.authorization_code"] == 0


async def test_a_fixed_redirect_uri_takes_the_callback_and_leads_back(world: World) -> None:
    plugin = await world.plugin(
        redirect_uri=["http://localhost:8000/oidc/callback"],
        login_action="redirect",
        login_tokens=None,
    )
    visitor = world.visitor(plugin)
    callback = await visitor.authenticate(await visitor.start_login("/oidc/deep"))
    # Elsewhere it is no callback, only a page with odd arguments.
    parameters = target_of(callback.url).partition("?")[2]
    redirected(await visitor.get(f"/oidc/other?{parameters}"), "login_started")
    answer = redirected(await visitor.come_back(callback), "login_redirect")
    assert answer.location == "/oidc/deep"


@pytest.mark.parametrize(
    ("configured", "arrives_at"),
    [
        ("/back%7Edoor", "/back~door"),
        ("/a%2fb", "/a%2Fb"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("", "/"),
    ],
)
async def test_a_callback_arrives_however_the_proxy_writes_its_path(
    world: World, configured: str, arrives_at: str
) -> None:
    uri = f"http://localhost:8000{configured}"
    visitor = world.visitor(await world.plugin(redirect_uri=[uri]))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    query = urlsplit(callback.url).query
    allowed(await visitor.get(f"{arrives_at}?{query}"))
    assert visitor.has_session
