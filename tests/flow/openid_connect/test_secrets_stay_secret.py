"""Dialogues: whatever happens, what is logged and shown holds no credential."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scopegate.plugins.access import Refusal
from scopegate_demo.idp import DemoIdp, Fault, Signature
from support.leaks import jwts_in
from support.login import Callback
from support.plugin_dialogue import WITHOUT_SCOPE, Answer, Visitor, World

SHORT_TOKEN = "s3cr3t-token"
Misbehave = Callable[[DemoIdp], None]


def shown(answer: Answer) -> str:
    """All of an answer that gets into logs, pages and error reports."""
    told = [repr(answer), answer.reason, repr(answer.log)]
    if isinstance(answer, Refusal):
        told += [answer.detail, answer.message, answer.challenge or ""]
    return " ".join(told)


def echo_the_code(idp: DemoIdp) -> None:
    idp.behaviour.callback.set["code"] = "s3cr3t-code"
    idp.behaviour.faults["token"] = Fault(
        status=400, body='{"error": "invalid_grant", "error_description": "bad s3cr3t-code"}'
    )


MISBEHAVIOURS: list[Misbehave] = [
    lambda idp: None,
    lambda idp: idp.behaviour.id_token.set.update(nonce="another"),
    lambda idp: setattr(idp.behaviour.id_token, "signature", Signature.CORRUPT),
    lambda idp: idp.behaviour.callback.set.update(iss="https://evil.example"),
    lambda idp: idp.behaviour.faults.update(token=Fault(status=500, body="eyJ.eyJ.x")),
    lambda idp: idp.behaviour.token_answer.set.update(token_type="eyJunk"),
    echo_the_code,
]


@pytest.mark.parametrize("misbehave", MISBEHAVIOURS)
async def test_no_answer_of_a_login_shows_a_credential(world: World, misbehave: Misbehave) -> None:
    visitor = world.visitor(await world.plugin(display_errors=True, scopes_required=["openid"]))
    misbehave(world.idp)
    start = await visitor.start_login("/oidc")
    login_cookie = visitor.cookies["authorization"]
    callback = await visitor.authenticate(start, WITHOUT_SCOPE)
    answers: list[Answer] = [start, await visitor.come_back(callback)]
    answers += await use(visitor, callback)
    secrets = [
        login_cookie,
        *visitor.cookies.values(),
        callback.parameters["code"],
        callback.parameters["state"],
        "blog_post_secret",
        "s3cr3t-code",
        SHORT_TOKEN,
    ]
    for answer in answers:
        for secret in secrets:
            assert secret not in shown(answer), type(answer)
        assert jwts_in(shown(answer)) == []


async def use(visitor: Visitor, callback: Callback) -> list[Answer]:
    """The session, the callback again, and credentials of all kinds that are bad."""
    return [
        await visitor.get("/oidc"),
        await visitor.copy().come_back(callback),
        await visitor.copy().fetch("/oidc", authorization="Bearer eyJhbGciOiJub25lIn0.e30."),
        await visitor.copy().fetch("/oidc?access_token=eyJhbGciOiJub25lIn0.e30.x"),
        await visitor.copy().fetch(f"/oidc?access_token={SHORT_TOKEN}", access_token=SHORT_TOKEN),
    ]
