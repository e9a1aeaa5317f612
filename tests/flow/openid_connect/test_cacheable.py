"""Dialogues: for how long a decision may be cached."""

from __future__ import annotations

from typing import Any

from scopegate.plugins.access import Cacheable
from scopegate_demo.idp import TokenEdit
from support.plugin_dialogue import PREFLIGHT, SCRIPT, Answer, World, allowed, set_cookies


def cacheable(answer: Answer) -> Cacheable | None:
    return allowed(answer).cacheable


async def bearer(world: World, edit: TokenEdit | None = None, **config: Any) -> Answer:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer"], **config))
    token = world.idp.access_token("Blog_with_scope", edit or TokenEdit())
    return await visitor.send("GET", "/", SCRIPT | {"authorization": f"Bearer {token}"})


async def test_a_token_is_good_until_it_ends(world: World) -> None:
    found = cacheable(await bearer(world))
    assert found == Cacheable(world.clock() + world.idp.lifetimes.access_token_s)


async def test_the_leeway_is_for_clocks_and_not_for_us(world: World) -> None:
    found = cacheable(await bearer(world, leeway=100))
    assert found == Cacheable(world.clock() + world.idp.lifetimes.access_token_s)


async def test_a_token_that_never_ends_is_asked_about(world: World) -> None:
    edit = TokenEdit(without=["exp"])
    assert cacheable(await bearer(world, edit, verify_claims=False)) is None


async def test_max_age_ends_it_before(world: World) -> None:
    edit = TokenEdit(set={"auth_time": int(world.clock()) - 50})
    assert cacheable(await bearer(world, edit, max_age=60)) == Cacheable(int(world.clock()) + 10)


async def test_a_session_that_a_token_begins_is_sent_once(world: World) -> None:
    visitor = world.visitor(await world.plugin(auth_methods=["bearer", "session"]))
    token = world.idp.access_token("Blog_with_scope")
    answer = await visitor.send("GET", "/", SCRIPT | {"authorization": f"Bearer {token}"})
    assert set_cookies(answer)
    assert cacheable(answer) is not None
    visitor = world.visitor(
        await world.plugin(
            auth_methods=["bearer", "session"], upstream_session_id_header="x-session"
        )
    )
    answer = await visitor.send("GET", "/", SCRIPT | {"authorization": f"Bearer {token}"})
    assert cacheable(answer) is None


async def test_a_login_is_not_cacheable_but_its_session_is(world: World) -> None:
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin(login_action="upstream"))
    assert cacheable(await visitor.log_in()) is None
    found = cacheable(await visitor.get("/oidc"))
    assert found is not None
    # The use is to be written down after a minute.
    assert found.until_s == world.clock() + 60
    assert len(set(found.tags)) == 2


async def test_who_does_not_take_the_touched_cookie_has_until_the_former_one_ends(
    world: World,
) -> None:
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin())
    await visitor.log_in()
    began_s = world.clock()
    world.clock.advance(60)
    before = visitor.copy()
    for answer in (await visitor.get("/oidc"), await before.get("/oidc")):
        assert set_cookies(answer)
        found = cacheable(answer)
        assert found is not None
        assert found.until_s == began_s + 900
    found = cacheable(await visitor.get("/oidc"))
    assert found is not None
    assert found.until_s == began_s + 120


async def test_a_session_whose_cookie_is_renewed_is_asked_about(world: World) -> None:
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin(session_idling_timeout=0))
    await visitor.log_in()
    world.clock.advance(2700)
    before = visitor.copy()
    for answer in (await visitor.get("/oidc"), await before.get("/oidc")):
        assert set_cookies(answer)
        assert cacheable(answer) is None


async def test_a_session_whose_token_was_refreshed_just_now_is_asked_about(world: World) -> None:
    world.idp.lifetimes.access_token_s = 50
    visitor = world.visitor(await world.plugin())
    await visitor.log_in()
    for advance_s in (55, 60):
        world.clock.advance(advance_s)
        answer = await visitor.get("/oidc")
        assert set_cookies(answer)
        assert cacheable(answer) is None


async def test_a_session_lasts_no_longer_than_its_token(world: World) -> None:
    world.idp.lifetimes.access_token_s = 45
    visitor = world.visitor(await world.plugin(leeway=5))
    await visitor.log_in()
    began_s = world.clock()
    found = cacheable(await visitor.get("/oidc"))
    assert found is not None
    assert found.until_s == began_s + 40


async def test_a_logout_publishes_a_tag_of_the_decision(world: World) -> None:
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin(logout_uri_suffix="/logout"))
    await visitor.log_in()
    found = cacheable(await visitor.get("/oidc"))
    assert found is not None
    world.revocations.published.clear()
    await visitor.post("/logout", {})
    assert set(world.revocations.published) & set(found.tags)


async def test_a_renewal_publishes_the_generation_before(world: World) -> None:
    world.idp.lifetimes.access_token_s = 10 * 86400
    visitor = world.visitor(await world.plugin(session_idling_timeout=0))
    await visitor.log_in()
    first = cacheable(await visitor.get("/oidc"))
    assert first is not None
    world.clock.advance(2700)
    world.revocations.published.clear()
    await visitor.get("/oidc")
    assert set(world.revocations.published) == set(first.tags) & set(world.revocations.published)
    assert len(world.revocations.published) == 1
    second = cacheable(await visitor.get("/oidc"))
    assert second is not None
    assert set(second.tags).isdisjoint(world.revocations.published)


async def test_a_superseded_cookie_lasts_no_longer_than_its_grace(world: World) -> None:
    """On a route with longer clocks, too, which would have renewed it later."""
    world.idp.lifetimes.access_token_s = 10 * 86400
    shared = {"session_secret": "the secret of both", "session_idling_timeout": 0}
    visitor = world.visitor(await world.plugin(**shared, session_rolling_timeout=100))
    await visitor.log_in()
    world.clock.advance(78)
    before = visitor.copy()
    before.plugin = await world.plugin(**shared, session_rolling_timeout=3600)
    assert set_cookies(await visitor.get("/oidc")), "renewed"
    ends_at_s = world.clock() + 10
    world.clock.advance(3)
    found = cacheable(await before.get("/oidc"))
    assert found is not None
    assert found.until_s == ends_at_s


async def test_who_is_let_in_without_a_credential_is_asked_about(world: World) -> None:
    plugin = await world.plugin(run_on_preflight=False)
    answer = await world.visitor(plugin).send("OPTIONS", "/", PREFLIGHT)
    assert cacheable(answer) is None
