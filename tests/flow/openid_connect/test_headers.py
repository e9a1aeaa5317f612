"""Dialogues: headers up to the upstream and down to the client."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from scopegate.plugins.access import Body, Continue, NeedBody, Request
from scopegate_demo.idp import Signature, TokenEdit
from support.plugin_dialogue import (
    HOST,
    SCRIPT,
    WITH_SCOPE,
    Visitor,
    World,
    allowed,
    refused,
    upstream,
)

NO_SID = TokenEdit(without=["sid"])


def downstream(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.response_headers if name != "set-cookie"}


def decoded(value: str) -> Any:
    return json.loads(base64.b64decode(value, validate=True))


async def bearer(world: World, token: str | None = None, **config: Any) -> Continue:
    """What becomes of a request with a token."""
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"], **config))
    value = token or world.idp.access_token(WITH_SCOPE)
    return allowed(await visitor.fetch("/oidc", authorization=f"Bearer {value}"))


async def test_every_token_header_goes_where_it_is_wanted(world: World) -> None:
    names = {
        "upstream_access_token_header": "x-access:bearer",
        "upstream_id_token_header": "X_Id",
        "upstream_refresh_token_header": "x-refresh",
        "upstream_session_id_header": "x-session-id",
        "downstream_access_token_header": "y-access",
        "downstream_id_token_header": "y-id",
        "downstream_refresh_token_header": "y-refresh",
        "downstream_session_id_header": "y-session-id",
    }
    visitor = world.visitor(await world.plugin(**names))
    answer = await visitor.log_in()
    up, down = upstream(answer), downstream(answer)
    assert up["x-access"] == f"Bearer {down['y-access']}"
    assert up["x-id"] == down["y-id"]
    assert up["x-refresh"] == down["y-refresh"]
    assert up["x-session-id"] == down["y-session-id"]
    assert "authorization" not in up


async def test_nothing_goes_down_by_default(world: World) -> None:
    visitor = world.visitor(await world.plugin())
    assert downstream(await visitor.log_in()) == {}


async def test_no_access_token_goes_up_if_none_is_wanted(world: World) -> None:
    answer = await bearer(world, upstream_access_token_header=None)
    assert "authorization" not in upstream(answer)
    assert "authorization" in answer.remove_headers


async def test_jwk_headers_carry_the_public_key_that_verified_the_token(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(
            upstream_access_token_jwk_header="x-access-jwk",
            downstream_id_token_jwk_header="x-id-jwk",
        )
    )
    answer = await visitor.log_in()
    for value in (upstream(answer)["x-access-jwk"], downstream(answer)["x-id-jwk"]):
        jwk = decoded(value)
        assert jwk["kid"] == world.idp.keys.active.kid
        assert "d" not in jwk


@pytest.mark.parametrize(
    "config", [{"verify_signature": False}, {"ignore_signature": ["authorization_code"]}]
)
async def test_a_key_that_did_not_sign_the_token_is_not_sent_as_its_key(
    world: World, config: dict[str, Any]
) -> None:
    """Its id and issuer are named by the token, and a token that is only read may name any."""
    world.idp.behaviour.access_token.signature = Signature.CORRUPT
    visitor = world.visitor(
        await world.plugin(
            upstream_access_token_jwk_header="x-access-jwk",
            upstream_id_token_jwk_header="x-id-jwk",
            **config,
        )
    )
    up = upstream(await visitor.log_in())
    assert "x-access-jwk" not in up
    assert decoded(up["x-id-jwk"])["kid"] == world.idp.keys.active.kid
    assert "x-access-jwk" not in upstream(await visitor.get("/oidc"))


async def test_claims_go_up_and_down_as_text_or_encoded(world: World) -> None:
    entries = [
        {"header": "X-Email", "path": ["email"]},
        {"header": "x_roles", "path": ["realm_access", "roles"]},
        {"header": "x-verified", "path": ["email_verified"]},
        {"header": "x-absent", "path": ["nickname"]},
    ]
    answer = await bearer(world, upstream_headers=entries, downstream_headers=entries)
    for headers in (upstream(answer), downstream(answer)):
        assert headers["x-email"] == "blog_with_scope@example.com"
        assert "kong_api_role" in decoded(headers["x-roles"])
        assert decoded(headers["x-verified"]) is True
        assert "x-absent" not in headers


async def test_names_and_claims_of_the_former_spelling_are_pairs(world: World) -> None:
    answer = await bearer(
        world,
        upstream_headers_names=["x-mail", "x-who"],
        upstream_headers_claims=["email", "preferred_username"],
        downstream_headers_names=["y-mail"],
        downstream_headers_claims=["email"],
    )
    assert upstream(answer)["x-mail"] == "blog_with_scope@example.com"
    assert upstream(answer)["x-who"] == "blog_with_scope"
    assert downstream(answer) == {"y-mail": "blog_with_scope@example.com"}


async def test_the_same_header_twice_holds_the_last_claim(world: World) -> None:
    answer = await bearer(
        world,
        upstream_headers=[
            {"header": "x-who", "path": ["email"]},
            {"header": "X-Who", "path": ["preferred_username"]},
        ],
    )
    assert [value for name, value in answer.set_headers if name == "x-who"] == ["blog_with_scope"]


async def test_headers_look_into_the_access_token_first(world: World) -> None:
    world.idp.behaviour.access_token.set["nickname"] = "of the access token"
    world.idp.behaviour.id_token.set.update(nickname="of the id token", only="in the id token")
    entries = [{"header": "x-nick", "path": ["nickname"]}, {"header": "x-only", "path": ["only"]}]
    visitor = world.visitor(await world.plugin(upstream_headers=entries))
    headers = upstream(await visitor.log_in())
    assert headers["x-nick"] == "of the access token"
    assert headers["x-only"] == "in the id token"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"upstream_headers": [{"header": "x-nick", "path": ["nickname"]}]}, "x-nick"),
        ({"upstream_id_token_header": "x-id-token"}, "x-id-token"),
        ({"session_request_headers": ["subject"]}, "session-subject"),
    ],
)
async def test_a_header_of_ours_is_taken_from_the_client_even_where_we_set_none(
    world: World, config: dict[str, Any], name: str
) -> None:
    """Without the claim, the ID token, the session that it would hold."""
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"], **config))
    token = world.idp.access_token(WITH_SCOPE)
    spellings = {name, *(name.replace("-", separator) for separator in "_.~")}
    headers = dict.fromkeys(spellings, "forged") | {"authorization": f"Bearer {token}"}
    answer = allowed(await visitor.send("GET", "/oidc", SCRIPT | headers))
    assert spellings <= set(answer.remove_headers)
    assert name not in upstream(answer)


@pytest.mark.parametrize("character", ["\r", "\n", "\x00", "\x7f", "\r\nx-admin: 1"])
async def test_a_claim_with_control_characters_makes_no_header_but_a_log_line(
    world: World, character: str
) -> None:
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"nickname": f"a{character}b"}))
    entries = [{"header": "x-nick", "path": ["nickname"]}]
    answer = await bearer(world, token, upstream_headers=entries, downstream_headers=entries)
    assert "x-nick" not in upstream(answer)
    assert "x-nick" not in downstream(answer)
    assert [line.fields["header"] for line in answer.log] == ["x-nick", "x-nick"]


@pytest.mark.parametrize("claim", ["credential_claim", "authenticated_groups_claim"])
async def test_a_credential_with_control_characters_makes_no_header(
    world: World, claim: str
) -> None:
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"who": "a\x00b"}))
    answer = await bearer(world, token, **{claim: ["who"]})
    assert all("\x00" not in value for _, value in answer.set_headers)


# Where a token stands, and that it stays here


async def test_a_token_in_the_query_is_used_and_taken_out(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.fetch(f"/oidc?a=%20&access_token={token}&b=+"))
    assert answer.query == "a=%20&b=+"
    assert upstream(answer)["authorization"] == f"Bearer {token}"


async def test_hide_credentials_false_leaves_it_there(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"], hide_credentials=False))
    token = world.idp.access_token(WITH_SCOPE)
    assert allowed(await visitor.fetch(f"/oidc?access_token={token}")).query is None


@pytest.mark.parametrize("header", ["access_token", "x_access_token"])
async def test_the_other_headers_count_too(world: World, header: str) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.fetch("/oidc", **{header: token}))
    assert header.replace("_", "-") in answer.remove_headers


async def test_with_a_header_of_its_own_only_that_one_counts(world: World) -> None:
    plugin = await world.plugin(auth_methods=["bearer"], bearer_token_header_name="x_token")
    token = world.idp.access_token(WITH_SCOPE)
    allowed(await world.visitor(plugin).fetch("/oidc", x_token=token))
    visitor = world.visitor(plugin)
    refused(await visitor.fetch("/oidc", authorization=f"Bearer {token}"), 401, "no_credential")


async def test_a_token_in_a_form_is_asked_for_and_cut_out(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    token = world.idp.access_token(WITH_SCOPE)
    answer = allowed(await visitor.post("/oidc", {"a": "1", "access_token": token, "b": "2"}))
    assert visitor.asked_for_body
    body = f"a=1&access_token={token}&b=2".encode()
    ((start, end),) = answer.body_cuts
    assert body[:start] + body[end:] == b"a=1&b=2"


async def test_a_body_that_is_too_large_holds_no_credential(world: World) -> None:
    plugin = await world.plugin(auth_methods=["bearer"])
    form = ("content-type", "application/x-www-form-urlencoded")
    request = Request("POST", "http", HOST, "/oidc", "", (form,), "192.0.2.1", "0" * 32)
    assert isinstance(await plugin.access(request), NeedBody)
    too_large = Request(
        "POST",
        "http",
        HOST,
        "/oidc",
        "",
        (form,),
        "192.0.2.1",
        "0" * 32,
        body_state=Body.TOO_LARGE,
    )
    refused(await plugin.access(too_large), 401, "body_too_large")  # type: ignore[arg-type]
    plugin = await world.plugin(auth_methods=["bearer"], bearer_token_param_type=["header"])
    refused(await plugin.access(too_large), 401, "no_credential")  # type: ignore[arg-type]


async def test_uploads_are_not_asked_for(world: World) -> None:
    visitor: Visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    kind = {"content-type": "application/octet-stream"}
    refused(await visitor.send("POST", "/oidc", kind), 401, "no_credential")
    assert not visitor.asked_for_body


async def test_a_jwt_session_cookie_must_match_the_token(world: World) -> None:
    plugin = await world.plugin(
        auth_methods=["bearer"], jwt_session_cookie="sid", jwt_session_claim="sid"
    )
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"sid": "the one"}))
    for cookies, good in (({"sid": "the one"}, True), ({"sid": "other"}, False), ({}, False)):
        visitor = world.visitor(plugin, cookies=dict(cookies))
        answer = await visitor.fetch("/oidc", authorization=f"Bearer {token}")
        if good:
            allowed(answer)
        else:
            refused(answer, 401, "jwt_session_mismatch")
    without_claim = {"authorization": f"Bearer {world.idp.access_token(WITH_SCOPE, NO_SID)}"}
    for cookies in ({"sid": "the one"}, {"sid": ""}, {}):
        visitor = world.visitor(plugin, cookies=dict(cookies))
        refused(await visitor.fetch("/oidc", **without_claim), 401, "jwt_session_mismatch")


async def test_a_session_of_such_a_token_is_good_only_beside_the_same_cookie(world: World) -> None:
    plugin = await world.plugin(jwt_session_cookie="sid", jwt_session_claim="sid")
    token = world.idp.access_token(WITH_SCOPE, TokenEdit(set={"sid": "the one"}))
    visitor = world.visitor(plugin, cookies={"sid": "the one"})
    allowed(await visitor.fetch("/oidc", authorization=f"Bearer {token}"))
    allowed(await visitor.fetch("/oidc"))
    thief = visitor.copy()
    del thief.cookies["sid"]
    refused(await thief.fetch("/oidc"), 401, "jwt_session_mismatch")


async def test_a_login_needs_no_such_cookie(world: World) -> None:
    visitor = world.visitor(await world.plugin(jwt_session_cookie="sid", jwt_session_claim="sid"))
    allowed(await visitor.log_in())
    allowed(await visitor.get("/oidc"))
