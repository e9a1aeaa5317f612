"""The control interface for tests in other processes."""

import asyncio

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp


async def test_without_misbehave_there_is_no_control_and_nothing_is_recorded(
    http: aiohttp.ClientSession,
) -> None:
    async with DemoIdp(misbehave=False) as idp:
        for method in ("GET", "PUT", "DELETE"):
            async with http.request(method, f"{idp.origin}/misbehave", json={}) as answer:
                assert answer.status == 404
        async with http.get(idp.discovery_url) as answer:
            assert answer.status == 200
        assert not idp.requests


async def test_a_behaviour_is_put_shown_and_taken_back(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    url = f"{idp.origin}/misbehave"
    async with http.put(url, json={"faults": {"discovery": {"status": 500}}}) as answer:
        assert answer.status == 200
    async with http.get(idp.discovery_url) as answer:
        assert answer.status == 500
    async with http.get(url) as answer:
        shown = await answer.json()
    assert shown["behaviour"]["faults"]["discovery"]["status"] == 500
    assert shown["calls"] == {"discovery": 1}
    async with http.delete(url) as answer:
        assert (await answer.json())["calls"] == {}
    async with http.get(idp.discovery_url) as answer:
        assert answer.status == 200


async def test_a_wrong_behaviour_is_400_and_changes_nothing(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    url = f"{idp.origin}/misbehave"
    async with http.put(url, json={"refuse_refresh": True}):
        pass
    async with http.put(url, json={"refuse": True}) as answer:
        assert answer.status == 400
        assert "behaviour.refuse: no such field" in (await answer.json())["message"]
    async with http.put(url, data="{") as answer:
        assert answer.status == 400
    assert idp.behaviour.refuse_refresh


async def test_keys_are_rotated(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    before = idp.keys.active.kid
    async with http.post(f"{idp.origin}/misbehave/rotate-keys", json={"overlap": False}) as answer:
        kid = (await answer.json())["kid"]
    assert kid == idp.keys.active.kid != before
    assert [jwk["kid"] for jwk in idp.keys.jwks()] == [kid]
    async with http.post(f"{idp.origin}/misbehave/rotate-keys", json={"overlap": "no"}) as answer:
        assert answer.status == 400


async def test_down_for_a_moment_and_up_by_itself(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    async with http.post(f"{idp.origin}/misbehave/down", json={"seconds": 0.3}) as answer:
        assert answer.status == 200
    await asyncio.sleep(0.2)
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(idp.discovery_url)
    await asyncio.sleep(0.4)
    async with http.get(idp.discovery_url) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("seconds", [None, 0, -1, 1e9, "1", True])
async def test_down_needs_a_number_of_seconds(
    idp: DemoIdp, http: aiohttp.ClientSession, seconds: object
) -> None:
    async with http.post(f"{idp.origin}/misbehave/down", json={"seconds": seconds}) as answer:
        assert answer.status == 400
    async with http.get(idp.discovery_url) as answer:
        assert answer.status == 200
