"""Dialogues: what a worker remembers of a credential never lets anybody in whom it should not."""

from __future__ import annotations

import pytest

from scopegate.oidc import tokens
from scopegate.session.sealing import KeyRing
from scopegate_demo.idp import TokenEdit
from support.plugin_dialogue import WITH_SCOPE, World, allowed, redirected, refused


@pytest.fixture
def dear(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each signature that was checked and each text that was opened."""
    lines: list[str] = []
    check, unseal = tokens.check_signature, KeyRing.unseal_with

    def checked(*arguments: object) -> None:
        lines.append("signature")
        check(*arguments)  # type: ignore[arg-type]

    def unsealed(*arguments: object, **more: object) -> object:
        lines.append("seal")
        return unseal(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tokens, "check_signature", checked)
    monkeypatch.setattr(KeyRing, "unseal_with", unsealed)
    return lines


async def test_a_signature_is_checked_once_and_the_clock_every_time(
    world: World, dear: list[str]
) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    token = f"Bearer {world.idp.access_token(WITH_SCOPE)}"
    for _ in range(5):
        allowed(await visitor.fetch("/", authorization=token))
    assert dear == ["signature"]
    world.clock.advance(86400)
    refused(await visitor.fetch("/", authorization=token), 401, "token_expired")
    world.clock.advance(-2 * 86400)
    refused(await visitor.fetch("/", authorization=token), 401, "token_from_the_future")


async def test_a_login_that_grew_too_old_is_refused_although_its_token_is_known(
    world: World,
) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"], max_age=60))
    edit = TokenEdit(set={"auth_time": int(world.clock())})
    token = f"Bearer {world.idp.access_token(WITH_SCOPE, edit)}"
    allowed(await visitor.fetch("/", authorization=token))
    world.clock.advance(61)
    refused(await visitor.fetch("/", authorization=token), 401, "login_too_old")


async def test_another_byte_is_another_token(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    token = world.idp.access_token(WITH_SCOPE)
    allowed(await visitor.fetch("/", authorization=f"Bearer {token}"))
    spoilt = token[:-8] + ("A" * 8)
    for _ in range(2):
        answer = await visitor.fetch("/", authorization=f"Bearer {spoilt}")
        refused(answer, 401, "signature_invalid")


async def test_what_one_configuration_knows_is_nothing_to_another(
    world: World, dear: list[str]
) -> None:
    lax = world.visitor(await world.plugin(auth_methods=["bearer"]))
    same = world.visitor(await world.plugin(auth_methods=["bearer"]))
    strict = world.visitor(await world.plugin(auth_methods=["bearer"], audience=["another"]))
    foreign = world.visitor(
        await world.plugin(auth_methods=["bearer"], issuers_allowed=["https://other.example"])
    )
    token = f"Bearer {world.idp.access_token(WITH_SCOPE)}"
    allowed(await lax.fetch("/", authorization=token))
    allowed(await same.fetch("/", authorization=token))
    refused(await strict.fetch("/", authorization=token), 401, "audience_mismatch")
    refused(await foreign.fetch("/", authorization=token), 401, "issuer_not_allowed")
    assert dear == ["signature"] * 3


async def test_a_key_that_was_withdrawn_vouches_for_no_token_that_is_known(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"]))
    former = f"Bearer {world.idp.access_token(WITH_SCOPE)}"
    allowed(await visitor.fetch("/", authorization=former))
    world.idp.rotate_keys(overlap=False)
    newer = f"Bearer {world.idp.access_token(WITH_SCOPE)}"
    allowed(await visitor.fetch("/", authorization=newer))
    refused(await visitor.fetch("/", authorization=former), 401, "key_unknown")


async def test_a_session_is_opened_once_and_its_clocks_and_its_end_looked_at_every_time(
    world: World, dear: list[str]
) -> None:
    plugin = await world.plugin(session_idling_timeout=600, logout_query_arg="logout")
    visitor = world.visitor(plugin)
    allowed(await visitor.log_in())
    dear.clear()
    for _ in range(5):
        allowed(await visitor.get("/oidc"))
    assert dear == ["seal"]
    thief = visitor.copy()
    world.clock.advance(599)
    kept = dict(thief.cookies)
    allowed(await thief.get("/oidc"))
    world.clock.advance(1)
    thief.cookies = kept
    redirected(await thief.get("/oidc"), "login_started")


async def test_an_ended_session_is_over_although_its_cookie_is_known(world: World) -> None:
    visitor = world.visitor(
        await world.plugin(logout_query_arg="logout", logout_methods=["GET", "DELETE"])
    )
    allowed(await visitor.log_in())
    thief = visitor.copy()
    for _ in range(3):
        allowed(await thief.get("/oidc"))
    redirected(await visitor.get("/oidc?logout=1"), "logout")
    refused(await thief.fetch("/oidc"), 401, "session_ended")


async def test_a_known_cookie_opens_for_nobody_else(world: World) -> None:
    visitor = world.visitor(await world.plugin(session_bind=["ip"]))
    allowed(await visitor.log_in())
    allowed(await visitor.get("/oidc"))
    thief = visitor.copy()
    thief.client_ip = "192.0.2.66"
    refused(await thief.fetch("/oidc"), 401, "session_bound_elsewhere")
    other = world.visitor(await world.plugin(session_bind=["ip"], client_id=["second"]))
    other.cookies = dict(visitor.cookies)
    refused(await other.fetch("/oidc"), 401, "session_not_authentic")
