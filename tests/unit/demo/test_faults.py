"""Endpoints that answer badly, late or not at all."""

import asyncio

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp, Fault

SOON_S = 0.2


async def get(http: aiohttp.ClientSession, url: str, timeout_s: float = 5) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with http.get(url, timeout=timeout) as answer:
        return answer.status, await answer.read()


async def test_a_status_and_a_body_of_choice(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.faults["discovery"] = Fault(status=500, body="<h1>Oops", content_type="text/html")
    assert await get(http, idp.discovery_url) == (500, b"<h1>Oops")
    idp.behaviour.faults["discovery"] = Fault(body='{"issuer":')
    assert await get(http, idp.discovery_url) == (200, b'{"issuer":')


async def test_a_fault_spoils_one_endpoint_only(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.faults["jwks"] = Fault(status=500)
    assert (await get(http, idp.discovery_url))[0] == 200


async def test_a_fault_heals_after_its_times(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.faults["discovery"] = Fault(status=503, times=2)
    statuses = [(await get(http, idp.discovery_url))[0] for _ in range(3)]
    assert statuses == [503, 503, 200]
    assert idp.calls["discovery"] == 3


async def test_a_slow_answer_comes_late(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.faults["discovery"] = Fault(delay_s=SOON_S)
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await get(http, idp.discovery_url))[0] == 200
    assert loop.time() - started >= SOON_S


async def test_a_hanging_endpoint_never_answers_and_does_not_delay_the_end(
    http: aiohttp.ClientSession,
) -> None:
    async with DemoIdp() as idp:
        idp.behaviour.faults["discovery"] = Fault(hang=True)
        with pytest.raises(TimeoutError):
            await get(http, idp.discovery_url, SOON_S)
        hanging = asyncio.ensure_future(get(http, idp.discovery_url))
        await asyncio.sleep(SOON_S)
        assert idp.calls["discovery"] == 2
        await asyncio.wait_for(idp.stop(), 1)
        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_a_connection_can_be_cut(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.faults["discovery"] = Fault(disconnect=True)
    with pytest.raises((aiohttp.ClientError, ConnectionError)):
        await get(http, idp.discovery_url)


async def test_an_answer_can_be_huge_and_still_json(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    idp.behaviour.faults["discovery"] = Fault(padding_bytes=3_000_000)
    status, body = await get(http, idp.discovery_url)
    assert status == 200
    assert len(body) > 3_000_000
    assert body.rstrip().endswith(b"}")


async def test_down_refuses_connections_and_forgets_nothing(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    before = await get(http, idp.discovery_url)
    session = idp.provider.ledger.begin_session(idp.realm.users[0])
    await idp.down()
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(http, idp.discovery_url)
    await idp.down()
    await idp.start()
    assert await get(http, idp.discovery_url) == before
    assert idp.provider.ledger.session(session.sid) is session
