"""Nothing unchecked goes on beside what was checked, and no claim writes a header of its own.

Source: contract openid-connect.md §8, §22 (1), (2).
"""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.plugins.consumers import ConsumerRecord
from support.plugin_dialogue import NAVIGATION, SCRIPT, World, allowed, upstream

BREAK = "x\r\nx-scopegate-target: /admin\r\nx-consumer-username: root"


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
    ("config", "claims", "header"),
    [
        ({}, {"sub": BREAK}, "x-credential-identifier"),
        ({"authenticated_groups_claim": ["groups"]}, {"groups": [BREAK]}, "x-authenticated-groups"),
        ({"session_request_headers": ["subject"]}, {"sub": BREAK}, "session-subject"),
        ({"upstream_headers": [{"header": "x-name", "path": ["n"]}]}, {"n": BREAK}, "x-name"),
    ],
)
async def test_a_claim_with_a_line_break_gives_no_header(
    world: World, config: dict[str, Any], claims: dict[str, Any], header: str
) -> None:
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
TARGET = "/oidc?a=1&access_token=forged&refresh_token=forged&b=2"


def has_no_forged_credential(answer: Any) -> None:
    """Of ELSEWHERE, TARGET and the cookies nothing goes on but what is no credential."""
    assert set(ELSEWHERE) <= set(allowed(answer).remove_headers)
    assert answer.target == "/oidc?a=1&b=2"
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


async def test_beside_a_bearer_token_no_refresh_token_goes_on(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES))
    headers = SCRIPT | bearer(world) | {"refresh-token": "forged"}
    answer = allowed(await visitor.send("GET", "/oidc?refresh_token=forged", headers))
    assert {"authorization", "refresh-token"} <= set(answer.remove_headers)
    assert answer.target == "/oidc"


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
    assert (answer.reason, answer.target) == ("anonymous", "/oidc?a=1")
    assert set(wrong) <= set(answer.remove_headers)
    assert upstream(answer)["cookie"] == "theme=dark"
    assert upstream(answer)["x-anonymous-consumer"] == "true"


async def test_nobody_keeps_the_arguments_of_the_application(world: World) -> None:
    guest = ConsumerRecord("00000000-0000-4000-8000-00000000000a", "guest", None)
    visitor = world.visitor(await world.plugin(anonymous="guest", consumers=[guest]))
    answer = allowed(await visitor.get("/oidc?state=CA&page=2"))
    assert (answer.reason, answer.target) == ("anonymous", None)
    answer = allowed(await visitor.get("/oidc?state=forged&code=forged&page=2"))
    assert (answer.reason, answer.target) == ("anonymous", "/oidc?page=2")


async def test_a_preflight_takes_nothing_along_that_is_ours(world: World) -> None:
    visitor = world.visitor(await world.plugin(**PLACES, run_on_preflight=False))
    visitor.cookies |= {"theme": "dark", "jwt": "forged", "session": "1x", "session2": "x"}
    answer = await visitor.send("OPTIONS", TARGET, SCRIPT | ELSEWHERE | {"x_consumer_id": "root"})
    assert allowed(answer).reason == "preflight"
    assert "x_consumer_id" in allowed(answer).remove_headers
    has_no_forged_credential(answer)
