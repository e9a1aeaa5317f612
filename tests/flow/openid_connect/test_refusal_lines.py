"""Dialogues: what the log says of the commonest refusals lets somebody find the cause who has never
seen the code. `reason` is looked up in docs/reference/reasons.md; the words here are the sentence.
"""

from __future__ import annotations

import re

import pytest

from scopegate_demo.idp import Edit, Signature, TokenEdit
from support.plugin_dialogue import WITH_SCOPE, WITHOUT_SCOPE, World, refused

JSON = {"accept": "application/json"}
NOTHING = (
    "no credential was found: no session in cookie session; "
    "no bearer token as header authorization, header access-token, header x-access-token, "
    "query access_token, body access_token"
)


@pytest.mark.parametrize(
    ("headers", "reason", "sentence"),
    [
        ({}, "no_credential", NOTHING),
        (
            {"authorization": "Basic YTpi"},
            "no_credential",
            f"{NOTHING}; Authorization is there, with another scheme or nothing behind Bearer",
        ),
        (
            {"cookie": "session=abc"},
            "session_not_authentic",
            "the session cookie does not open: it was changed, or sealed with another secret or "
            "for another plugin",
        ),
    ],
    ids=["nothing", "another scheme", "a foreign cookie"],
)
async def test_whoever_brings_nothing_good_is_told_where_it_was_looked_for(
    world: World, headers: dict[str, str], reason: str, sentence: str
) -> None:
    plugin = await world.plugin(auth_methods=["session", "bearer"])
    answer = refused(await world.visitor(plugin).fetch("/oidc", **JSON, **headers), 401, reason)
    assert answer.detail == sentence


TOKENS: dict[str, tuple[TokenEdit, str]] = {
    "token_expired": (
        TokenEdit(set={"exp": 1000}),
        r"invalid exp claim \(1000\) was specified for access token, \d+ s ago",
    ),
    "token_not_yet_valid": (
        TokenEdit(set={"nbf": 9_000_000_000}),
        r"invalid nbf claim \(9000000000\) was specified for access token, \d+ s from now",
    ),
    "issuer_not_allowed": (
        TokenEdit(set={"iss": "https://other.example"}),
        r"invalid issuer \(https://other.example\) was specified for access token, "
        r"http://\S+/realms/kong was expected",
    ),
    "audience_mismatch": (
        TokenEdit(set={"aud": "other"}),
        r"invalid aud claim \(other\) was specified for access token, account was expected",
    ),
    "signature_invalid": (
        TokenEdit(signature=Signature.OTHER_KEY),
        r"invalid signature, checked with the issuer's key with key id \S+",
    ),
    "key_unknown": (
        TokenEdit(header=Edit(set={"kid": "k9"})),
        r"issuer http://\S+/realms/kong has no key with key id k9 for RS256",
    ),
}


@pytest.mark.parametrize("reason", TOKENS)
async def test_a_bad_token_is_told_by_what_it_has_and_what_was_expected(
    world: World, reason: str
) -> None:
    edit, sentence = TOKENS[reason]
    plugin = await world.plugin(auth_methods=["bearer"], audience=["account"])
    token = world.idp.access_token(WITH_SCOPE, edit)
    answer = await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}")
    assert re.fullmatch(sentence, refused(answer, 401, reason).detail)


async def test_what_the_token_lacks_is_told_beside_what_it_has(world: World) -> None:
    plugin = await world.plugin(auth_methods=["bearer"], scopes_required=["kong_api_access", "b c"])
    token = world.idp.access_token(WITHOUT_SCOPE)
    answer = await world.visitor(plugin).fetch("/oidc", authorization=f"Bearer {token}")
    refusal = refused(answer, 403, "scopes_missing")
    assert refusal.detail.startswith("required scopes were not found [ openid")
    assert refusal.required == ("kong_api_access", "b c")


@pytest.mark.parametrize(
    ("target", "headers", "places"),
    [
        ("/oidc?access_token=y", {}, "header authorization, query access_token"),
        ("/oidc", {"access-token": "y"}, "header authorization, header access-token"),
    ],
)
async def test_of_two_tokens_it_is_told_where_they_stand(
    world: World, target: str, headers: dict[str, str], places: str
) -> None:
    plugin = await world.plugin(auth_methods=["bearer"])
    answer = await world.visitor(plugin).fetch(target, authorization="Bearer x", **headers)
    refusal = refused(answer, 400, "credential_repeated")
    assert refusal.detail == f"more than one access token in one request: {places}"


async def test_two_refresh_tokens_are_called_so(world: World) -> None:
    plugin = await world.plugin(
        auth_methods=["refresh_token"], refresh_token_param_name="refresh_token"
    )
    answer = await world.visitor(plugin).fetch("/oidc", **{"refresh-token": "x, y"})
    refusal = refused(answer, 400, "credential_repeated")
    assert (
        refusal.detail == "more than one refresh token in one request: header refresh-token twice"
    )
