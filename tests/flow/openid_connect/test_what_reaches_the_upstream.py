"""Nothing unchecked goes on beside what was checked, and no claim writes a header of its own.

Source: contract openid-connect.md §8, §22 (1), (2).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from scopegate.plugins.consumers import ConsumerRecord
from support.plugin_dialogue import (
    NAVIGATION,
    PREFLIGHT,
    SCRIPT,
    WITH_SCOPE,
    World,
    allowed,
    refused,
    upstream,
)

BREAK = "x\r\nx-scopegate-query: ?admin\r\nx-consumer-username: root"


def bearer(world: World, **claims: Any) -> dict[str, str]:
    """The header with an access token that carries these claims."""
    token = world.idp.mint(
        {
            "iss": world.idp.issuer,
            "sub": "somebody",
            "typ": "Bearer",
            "exp": int(world.clock()) + 300,
            **claims,
        }
    )
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("config", "claim", "header"),
    [
        ({}, "sub", "x-credential-identifier"),
        ({"authenticated_groups_claim": ["groups"]}, "groups", "x-authenticated-groups"),
        ({"session_request_headers": ["subject"]}, "sub", "session-subject"),
        ({"upstream_headers": [{"header": "x-name", "path": ["n"]}]}, "n", "x-name"),
    ],
)
@pytest.mark.parametrize(
    "value", [BREAK, " root", "root ", "\u3000root"], ids=["break", "before", "behind", "wide"]
)
async def test_a_claim_that_would_arrive_as_another_gives_no_header(
    world: World, config: dict[str, Any], claim: str, header: str, value: str
) -> None:
    claims = {claim: [value] if claim == "groups" else value}
    visitor = world.visitor(await world.plugin(**config))
    answer = allowed(await visitor.send("GET", "/", SCRIPT | bearer(world, **claims)))
    assert header not in upstream(answer)
    assert {line.fields["header"] for line in answer.log} >= {header}
    good = allowed(
        await world.visitor(await world.plugin(**config)).send(
            "GET", "/", SCRIPT | bearer(world, n="x", groups=["x"])
        )
    )
    assert header in upstream(good)


async def test_a_subject_with_a_line_break_gives_the_client_no_header(world: World) -> None:
    visitor = world.visitor(await world.plugin(session_response_headers=["subject"]))
    answer = allowed(await visitor.send("GET", "/", SCRIPT | bearer(world, sub=BREAK)))
    assert "session-subject" not in dict(answer.response_headers)


ELSEWHERE = {
    "authorization": "Bearer forged",
    "access-token": "forged",
    "x-access-token": "forged",
    "refresh-token": "forged",
    "x_name": "root",
}
PLACES: dict[str, Any] = {
    "bearer_token_param_type": ["header", "query", "body", "cookie"],
    "bearer_token_cookie_name": "jwt",
    "refresh_token_param_name": "refresh_token",
    "upstream_access_token_header": None,
    "upstream_headers": [{"header": "x-name", "path": ["name"]}],
}
TARGET = (
    "/oidc?a=1&access_token=forged&refresh_token=forged"
    "&Access.Token=forged&access_token%5B%5D=forged&REFRESH-TOKEN=forged&b=2"
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


def has_no_forged_credential(answer: Any) -> None:
    """Of ELSEWHERE, TARGET and the cookies nothing goes on but what is no credential."""
    assert set(ELSEWHERE) <= set(allowed(answer).remove_headers)
    assert answer.query == "a=1&b=2"
    assert upstream(answer)["cookie"] == "theme=dark"


async def test_beside_a_session_no_unchecked_credential_goes_on(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    await visitor.log_in("/oidc")
    visitor.cookies |= {"theme": "dark", "jwt": "forged"}
    has_no_forged_credential(await visitor.send("GET", TARGET, NAVIGATION | ELSEWHERE))


async def test_a_callback_takes_no_unchecked_credential_along(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    _, _, query = callback.url.partition("?")
    answer = await visitor.send("GET", f"/oidc?{query}", NAVIGATION | ELSEWHERE)
    assert set(ELSEWHERE) <= set(allowed(answer).remove_headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD"])
async def test_a_callback_takes_no_form_along_whatever_its_method(
    world: World, method: str
) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    _, _, query = callback.url.partition("?")
    body = b"access_token=forged"
    answer = allowed(await visitor.send(method, f"/oidc?{query}", NAVIGATION | FORM, body))
    assert answer.drop_body
    assert answer.method == (None if method in ("GET", "HEAD") else "GET")


async def test_a_callback_that_came_to_nothing_takes_no_form_along(world: World) -> None:
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    plugin = await world.plugin(**PLACES, anonymous="guest", consumers=[guest])
    visitor = world.visitor(await world.plugin(**PLACES))
    callback = await visitor.authenticate(await visitor.start_login("/oidc"))
    visitor.plugin = plugin
    world.idp.behaviour.id_token.set["nonce"] = "of another login"
    _, _, query = callback.url.partition("?")
    body = b"access_token=forged"
    answer = allowed(await visitor.send("POST", f"/oidc?{query}", NAVIGATION | FORM, body))
    assert (answer.reason, answer.method, answer.drop_body) == ("anonymous", "GET", True)


async def test_other_cookies_go_on_as_they_came(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    visitor.cookies |= {"session": "1forged", "theme": "Öl".encode().decode("latin-1")}
    visitor.cookies |= {"jwt2": "theirs", "authorization2": "theirs"}
    answer = await visitor.send("GET", "/oidc", NAVIGATION | bearer(world))
    left = "theme=Öl; jwt2=theirs; authorization2=theirs"
    assert upstream(answer)["cookie"].encode() == left.encode()


async def test_two_refresh_tokens_are_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    form = {"refresh_token": "forged"}
    answer = await visitor.post("/oidc", form, refresh_token="forged")
    refused(answer, 400, "credential_repeated")
    # Envoy joins a header that came twice with a comma.
    answer = await visitor.fetch("/oidc", refresh_token="forged,forged")
    refused(answer, 400, "credential_repeated")


@pytest.mark.parametrize("twin", ["Access_Token", "access.token", "access_token[]"])
async def test_a_token_and_its_twin_are_two(world: World, twin: str) -> None:
    """A server that takes one for the other would read one that nobody has checked."""
    visitor = world.visitor(await world.plugin(**PLACES, hide_credentials=False))
    headers = SCRIPT | bearer(world)
    answer = await visitor.send("GET", f"/oidc?{urlencode({twin: 'forged'})}", headers)
    refused(answer, 400, "credential_repeated")
    answer = await visitor.post("/oidc", {twin: "forged"}, **bearer(world))
    refused(answer, 400, "credential_repeated")
    token = bearer(world)["authorization"].removeprefix("Bearer ")
    query = urlencode({"access_token": token, twin: "forged"})
    answer = refused(await visitor.fetch(f"/oidc?{query}"), 400, "credential_repeated")
    assert "query access_token in another spelling" in answer.detail
    form = {"refresh_token": "forged", "Refresh.Token": "forged"}
    refused(await visitor.post("/oidc", form), 400, "credential_repeated")


async def test_a_twin_alone_is_no_credential(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    token = bearer(world)["authorization"].removeprefix("Bearer ")
    refused(await visitor.fetch(f"/oidc?Access_Token={token}"), 401, "no_credential")


@pytest.mark.parametrize("encoding", ["gzip", "identity, br"])
async def test_a_form_that_cannot_be_looked_into_is_refused(world: World, encoding: str) -> None:
    """Some servers unpack it, and what it holds nobody has checked."""
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    plugin = await world.plugin(
        **PLACES, anonymous="guest", consumers=[guest], run_on_preflight=False
    )
    headers = SCRIPT | FORM | {"content-encoding": encoding}
    visitor = world.visitor(plugin)
    for method, others in (
        ("POST", {}),
        ("POST", bearer(world)),
        ("OPTIONS", {}),
        ("OPTIONS", PREFLIGHT),
    ):
        answer = await visitor.send(method, "/oidc", headers | others)
        assert "bearer_token_param_type" in refused(answer, 400, "form_encoded").detail
    visitor = world.visitor(await world.plugin(**PLACES))
    await visitor.log_in("/oidc")
    refused(await visitor.send("POST", "/oidc", headers), 400, "form_encoded")
    assert visitor.has_session
    # What is no form, or no place for a token, is the application's.
    json_call = headers | {"content-type": "application/json"}
    allowed(await visitor.send("POST", "/oidc", json_call))
    plugin = await world.plugin(bearer_token_param_type=["header"])
    allowed(await world.visitor(plugin).send("POST", "/oidc", headers | bearer(world)))


async def test_half_a_character_in_json_is_a_token_that_is_wrong(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    kind = {"content-type": "application/json"}
    body = rb'{"refresh_token": "\ud800"}'
    refused(await visitor.send("POST", "/", SCRIPT | kind, body), 401, "invalid_grant")


async def test_beside_a_bearer_token_no_refresh_token_goes_on(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    headers = SCRIPT | bearer(world) | {"refresh-token": "forged"}
    answer = allowed(await visitor.send("GET", "/oidc?refresh_token=forged", headers))
    assert {"authorization", "refresh-token"} <= set(answer.remove_headers)
    assert answer.query == ""


async def test_no_other_spelling_and_no_other_scheme_goes_on(world: World) -> None:
    """Many servers take `_` or `.` for `-`; whatever stands in Authorization reads as checked."""
    others = {
        "x_access_token": "forged",
        "access_token": "forged",
        "x-access_token": "forged",
        "refresh_token": "forged",
        "authorization": "Basic Zm9yZ2VkOng=",
        "proxy-authorization": "Basic Zm9yZ2VkOng=",
        "proxy_authorization": "Bearer forged",
        "proxy.authorization": "Bearer forged",
        "x~access~token": "forged",
    }
    visitor = world.visitor(await world.plugin(**PLACES))
    await visitor.log_in("/oidc")
    answer = allowed(await visitor.send("GET", "/oidc", NAVIGATION | others))
    assert set(others) <= set(answer.remove_headers)


async def test_where_headers_are_no_place_for_a_token_none_goes_on_either(world: World) -> None:
    plugin = await world.plugin(
        bearer_token_param_type=["query"], upstream_access_token_header=None
    )
    token = world.idp.access_token(WITH_SCOPE)
    headers = SCRIPT | {"authorization": "Bearer forged"}
    answer = await world.visitor(plugin).send("GET", f"/?access_token={token}", headers)
    assert "authorization" in allowed(answer).remove_headers


async def test_the_checked_token_goes_on_without_its_twin(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES, hide_credentials=False))
    token = bearer(world)["authorization"].removeprefix("Bearer ")
    headers = {"x-access-token": token, "x_access_token": "forged", "access_token": "forged"}
    answer = allowed(await visitor.send("GET", "/oidc", SCRIPT | headers))
    assert "x-access-token" not in answer.remove_headers
    assert {"x_access_token", "access_token"} <= set(answer.remove_headers)


async def test_what_says_which_client_is_meant_does_not_go_on(world: World) -> None:
    plugin = await world.plugin(
        client_id=["blog_post", "second"], client_secret=["blog_post_secret", "second_secret"]
    )
    visitor = world.visitor(plugin)
    headers = bearer(world) | {"client-id": "1", "x_client_id": "1"}
    answer = allowed(await visitor.send("GET", "/oidc?client_id=1&a=1", SCRIPT | headers))
    assert {"client-id", "x_client_id"} <= set(answer.remove_headers)
    assert answer.query == "a=1"


async def test_the_page_that_was_asked_for_comes_without_the_clients_choice(world: World) -> None:
    plugin = await world.plugin(
        client_id=["blog_post", "second"],
        client_secret=["blog_post_secret", "second_secret"],
        login_action="upstream",
        preserve_query_args=True,
    )
    answer = await world.visitor(plugin).log_in("/oidc?a=1&client_id=second&b=2")
    assert allowed(answer).query == "a=1&b=2"


async def test_a_token_in_a_form_beside_a_session_is_refused(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in("/oidc")
    allowed(await visitor.post("/oidc", {"a": "1"}))
    for twin in ("Access-Token", "access_token[0]"):
        refused(await visitor.post("/oidc", {twin: "forged"}), 400, "credential_repeated")
    answer = await visitor.post("/oidc", {"a": "1", "access_token": "forged"})
    assert "bearer_token_param_type" in refused(answer, 400, "credential_repeated").detail
    assert visitor.has_session


@pytest.mark.parametrize(
    "config",
    [
        {"bearer_token_param_type": ["header", "query"]},
        {"auth_methods": ["session", "authorization_code"]},
    ],
)
async def test_where_bodies_are_no_place_for_a_token_forms_are_not_asked_for(
    world: World, config: dict[str, Any]
) -> None:
    visitor = world.visitor(await world.plugin(**config))
    await visitor.log_in("/oidc")
    answer = allowed(await visitor.post("/oidc", {"access_token": "the application's"}))
    assert not visitor.asked_for_body
    assert answer.body_cuts == ()


async def test_json_beside_another_credential_is_the_applications(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    await visitor.log_in("/oidc")
    kind = {"content-type": "application/json"}
    body = b'{"access_token": "of an account to link"}'
    assert allowed(await visitor.send("POST", "/oidc", SCRIPT | kind, body)).body_cuts == ()
    assert not visitor.asked_for_body
    headers = SCRIPT | kind | bearer(world)
    answer = await world.visitor(visitor.plugin).send("POST", "/oidc", headers, body)
    assert allowed(answer).body_cuts == ()


async def test_a_refresh_token_in_a_form_does_not_go_on_beside_a_bearer_token(world: World) -> None:
    config = PLACES | {"bearer_token_param_type": ["header"]}
    visitor = world.visitor(await world.plugin(**config))
    form = {"a": "1", "refresh_token": "forged"}
    answer = allowed(await visitor.post("/oidc", form, **bearer(world)))
    ((start, end),) = answer.body_cuts
    body = b"a=1&refresh_token=forged"
    assert body[:start] + body[end:] == b"a=1"


async def test_the_credential_that_was_checked_stays_if_so_configured(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES, hide_credentials=False))
    answer = allowed(await visitor.send("GET", "/oidc", SCRIPT | bearer(world)))
    assert "authorization" not in answer.remove_headers


async def test_nobody_takes_a_credential_along(world: World) -> None:
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    plugin = await world.plugin(**PLACES, anonymous="guest", consumers=[guest])
    visitor = world.visitor(plugin)
    visitor.cookies |= {"theme": "dark", "jwt": "forged", "session": "1forged"}
    wrong = {"authorization": "Basic Zm9yZ2Vk", "refresh-token": "forged", "x_name": "root"}
    target = "/oidc?a=1&refresh_token=forged"
    answer = allowed(await visitor.send("GET", target, NAVIGATION | wrong))
    assert (answer.reason, answer.query) == ("anonymous", "a=1")
    assert set(wrong) <= set(answer.remove_headers)
    assert upstream(answer)["cookie"] == "theme=dark"
    assert upstream(answer)["x-anonymous-consumer"] == "true"


async def test_nobody_takes_a_token_along_where_tokens_are_not_looked_for(world: World) -> None:
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    plugin = await world.plugin(
        auth_methods=["authorization_code", "session"], anonymous="guest", consumers=[guest]
    )
    answer = allowed(await world.visitor(plugin).get("/oidc?a=1&access_token=forged"))
    assert (answer.reason, answer.query) == ("anonymous", "a=1")


async def test_nobody_keeps_the_arguments_of_the_application(world: World) -> None:
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    visitor = world.visitor(await world.plugin(anonymous="guest", consumers=[guest]))
    answer = allowed(await visitor.get("/oidc?state=CA&page=2"))
    assert (answer.reason, answer.query) == ("anonymous", None)
    answer = allowed(await visitor.get("/oidc?state=forged&code=forged&page=2"))
    assert (answer.reason, answer.query) == ("anonymous", "page=2")


async def test_a_preflight_takes_nothing_along_that_is_ours(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES, run_on_preflight=False))
    visitor.cookies |= {"theme": "dark", "jwt": "forged", "session": "1x", "session2": "x"}
    answer = await visitor.send(
        "OPTIONS", TARGET, PREFLIGHT | ELSEWHERE | {"x_consumer_id": "root"}
    )
    assert allowed(answer).reason == "preflight"
    assert "x_consumer_id" in allowed(answer).remove_headers
    has_no_forged_credential(answer)


async def test_a_preflight_takes_no_form_with_a_token_along(world: World) -> None:
    """A real one has no body; this is a request that calls itself one."""
    visitor = world.visitor(await world.plugin(**PLACES, run_on_preflight=False))
    body = b"a=1&access_token=forged&b=2&Access.Token=forged"
    answer = allowed(await visitor.send("OPTIONS", "/oidc", PREFLIGHT | FORM, body))
    assert visitor.asked_for_body
    left = bytearray(body)
    for start, end in reversed(answer.body_cuts):
        del left[start:end]
    assert bytes(left) == b"a=1&b=2"
    allowed(await visitor.send("OPTIONS", "/oidc", PREFLIGHT))
    assert not visitor.asked_for_body
