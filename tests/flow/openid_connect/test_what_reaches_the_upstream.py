"""Nothing unchecked goes on beside what was checked, and no claim writes a header of its own.

Source: contract openid-connect.md §8, §22 (1), (2).
"""

from __future__ import annotations

from typing import Any

import pytest

from support.plugin_dialogue import SCRIPT, World, allowed, upstream

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
