"""The worker's end of asking control: one question at a time, none while control said to wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.reasons import Reason
from scopegate.policy import facts_client
from scopegate.policy.facts_client import FactsClient

OLD, NEWEST_ID = "0" * 32, "1" * 32
NEW = {"issuer": "new"}


class Control:
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = {"facts": None, "retry_in_s": 5.0, "problem": None}
        self.asked: list[Any] = []
        self.key_ids: list[str | None] = []
        self.delay_s = 0.01
        self.suspected: list[str] = []
        self.replies: list[dict[str, Any]] = []
        self.hold: asyncio.Event | None = None

    async def answer(self, request: web.Request) -> web.Response:
        question = await request.json()
        self.asked.append((request.match_info["key"], question["have"]))
        self.key_ids.append(question["key_id"])
        await asyncio.sleep(self.delay_s)
        if self.hold is not None:
            await self.hold.wait()
        reply = self.replies.pop(0) if self.replies else self.reply
        return web.json_response({"detail": "", "one_key_id": False, **reply})

    async def suspects(self, request: web.Request) -> web.Response:
        self.suspected.append(request.match_info["key"])
        return web.Response(status=204)


@asynccontextmanager
async def serving(control: Control, socket: Path) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/facts/{key}", control.answer)
    app.router.add_post("/suspects/{key}", control.suspects)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(socket)).start()
    try:
        yield
    finally:
        await runner.cleanup()


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(tmp_path: Path, clock: Clock) -> AsyncIterator[FactsClient]:
    client = FactsClient(tmp_path / "control.sock", clock)
    yield client
    await client.close()


async def test_newer_facts_are_given_to_all_who_ask_at_once(
    tmp_path: Path, client: FactsClient
) -> None:
    control = Control()
    control.reply = {"facts": NEW, "retry_in_s": 0.0, "problem": None}
    async with serving(control, tmp_path / "control.sock"):
        assert await asyncio.gather(*(client.refresh("k", OLD) for _ in range(20))) == [NEW] * 20
    assert control.asked == [("k", OLD)]


async def test_what_was_newer_once_is_not_given_to_who_knows_more_by_now(
    tmp_path: Path, client: FactsClient
) -> None:
    newest = {"issuer": "newest"}
    control = Control()
    control.reply = {"facts": NEW, "retry_in_s": 0.0, "problem": None}
    async with serving(control, tmp_path / "control.sock"):
        assert await client.refresh("k", OLD) == NEW
        # Another worker made control learn more, and the policy brought it here.
        control.reply = {"facts": None, "retry_in_s": 5.0, "problem": None}
        assert await client.refresh("k", NEWEST_ID) is None
        control.reply = {"facts": newest, "retry_in_s": 0.0, "problem": None}
        assert await client.refresh("k", OLD) == newest


async def test_a_flood_asks_once_and_then_waits_as_control_said(
    tmp_path: Path, client: FactsClient, clock: Clock
) -> None:
    control = Control()
    async with serving(control, tmp_path / "control.sock"):
        answers = await asyncio.gather(*(client.refresh("k", OLD) for _ in range(100)))
        assert answers == [None] * 100
        assert await client.refresh("k", OLD) is None
        assert len(control.asked) == 1
        clock.now_s += 5.1
        assert await client.refresh("k", OLD) is None
    assert len(control.asked) == 2


async def test_a_flood_of_key_ids_is_one_question_at_a_time(
    tmp_path: Path, client: FactsClient
) -> None:
    control = Control()
    control.replies = [control.reply | {"one_key_id": True}]
    control.hold = asyncio.Event()
    async with serving(control, tmp_path / "control.sock"):
        asking = [asyncio.create_task(client.refresh("k", OLD, f"key {n}")) for n in range(100)]
        async with asyncio.timeout(5):
            while not control.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        control.hold.set()
        assert await asyncio.gather(*asking) == [None] * 100
    # The first answer was about one key id only, the second about all.
    assert control.key_ids == ["key 0", "key 1"]


async def test_an_unknown_key_id_does_not_block_another(
    tmp_path: Path, client: FactsClient
) -> None:
    control = Control()
    control.reply |= {"one_key_id": True}
    async with serving(control, tmp_path / "control.sock"):
        for _ in range(10):
            assert await client.refresh("k", OLD, "of elsewhere") is None
        assert control.key_ids == ["of elsewhere"]
        control.reply = {"facts": NEW, "retry_in_s": 0.0, "problem": None}
        assert await client.refresh("k", OLD, "of elsewhere") is None
        assert await client.refresh("k", OLD, "new key") == NEW
    assert control.key_ids == ["of elsewhere", "new key"]


async def test_nothing_known_anywhere_is_unavailable_with_controls_reason(
    tmp_path: Path, client: FactsClient
) -> None:
    control = Control()
    control.reply |= {"problem": "idp_tls_failed", "detail": "issuer i: certificate expired"}
    async with serving(control, tmp_path / "control.sock"):
        with pytest.raises(IdpUnavailable) as refused:
            await client.refresh("k", None)
    assert refused.value.reason is Reason.IDP_TLS_FAILED
    assert refused.value.detail == "issuer i: certificate expired"


async def test_a_reason_of_a_newer_control_becomes_a_general_one(
    tmp_path: Path, client: FactsClient
) -> None:
    control = Control()
    control.reply["problem"] = "idp_on_strike"
    async with serving(control, tmp_path / "control.sock"):
        with pytest.raises(IdpUnavailable) as refused:
            await client.refresh("k", None)
    assert refused.value.reason is Reason.DISCOVERY_FAILED


async def test_without_control_what_is_unknown_is_unavailable_and_asked_again_soon(
    tmp_path: Path, client: FactsClient, clock: Clock
) -> None:
    with pytest.raises(IdpUnavailable) as refused:
        await client.refresh("k", None)
    assert refused.value.reason == "control_unreachable"
    control = Control()
    control.reply = {"facts": NEW, "retry_in_s": 0.0, "problem": None}
    clock.now_s += 1.1
    async with serving(control, tmp_path / "control.sock"):
        assert await client.refresh("k", None) == NEW


async def test_a_control_that_hangs_is_unavailable_in_good_time(
    tmp_path: Path, client: FactsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert facts_client.ANSWER_LIMIT_S <= 4
    monkeypatch.setattr(facts_client, "ANSWER_LIMIT_S", 0.05)
    control = Control()
    control.delay_s = 1
    async with serving(control, tmp_path / "control.sock"), asyncio.timeout(0.5):
        with pytest.raises(IdpUnavailable) as refused:
            await client.refresh("k", OLD)
        assert refused.value.reason == "control_unreachable"
        # Until control is asked again nobody waits.
        with pytest.raises(IdpUnavailable):
            await client.refresh("k", OLD)
    assert len(control.asked) == 1


async def test_unknown_keys_are_no_401_while_control_is_gone(client: FactsClient) -> None:
    with pytest.raises(IdpUnavailable) as refused:
        await client.refresh("k", OLD)
    assert refused.value.reason == "control_unreachable"


async def test_control_hears_once_of_many_failed_token_calls(
    tmp_path: Path, client: FactsClient
) -> None:
    client.suspect("k")  # nobody listens yet
    await asyncio.sleep(0)
    control = Control()
    async with serving(control, tmp_path / "control.sock"), asyncio.timeout(5):
        for _ in range(100):
            client.suspect("other")
        while control.suspected != ["other"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_who_comes_as_an_answer_is_done_asks_anew(
    client: FactsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer about another key id that is done already must not be waited for: that yields to
    nobody, and the worker would hang."""
    asked: list[str | None] = []

    async def put(question: object, key_id: str | None) -> object:
        asked.append(key_id)
        return facts_client._Reply(None, None, 0.0, one_key_id=True)

    monkeypatch.setattr(client, "_put", put)
    first = asyncio.create_task(client.refresh("issuer", OLD, "a"))
    await asyncio.sleep(0)  # its question is asked, and answered before the next one runs
    second = asyncio.create_task(client.refresh("issuer", OLD, "b"))
    assert await asyncio.gather(first, second) == [None, None]
    assert asked == ["a", "b"]
