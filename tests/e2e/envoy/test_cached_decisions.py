"""The proxy filter gives a decision again where the policy service said that it may (ADR 35)."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scopegate.envoy.settings import EnvoySettings
from scopegate.session.revocation_file import RevocationFile, begin_revocations
from support.cache_profile import PROFILE
from support.h2_client import H2Connection
from support.policy_double import WANT_BODY, Asked, Verdict, allow, answer

from .conftest import Node

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

REVOCATIONS = Path(f"/tmp/scopegate-test-revoked-{os.getpid()}")
ENVOY = {
    "settings": EnvoySettings(
        revocations_path=str(REVOCATIONS), cache_limit_entries=50, cache_limit_bytes=200_000
    )
}
TOKENS = itertools.count(1)
TAG = "00ab00ab"
TOKEN: Any = object()  # in the list below: the credential of the test


def cached(*headers: tuple[str, str], for_s: float = 30, **more) -> Verdict:
    """Allowed, and the decision may be cached."""
    return allow(*headers, profile=PROFILE, cache_s=for_s, **more)


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(node: Node) -> AsyncIterator[Node]:
    if not REVOCATIONS.exists():
        begin_revocations(REVOCATIONS, os.urandom)
        await asyncio.sleep(1.1)
    await node.serve(
        node.protected("/guarded"),
        node.protected("/twin"),
        node.protected("/slow"),
        node.route("/other", policy_id="f" * 32),
        node.route("/open"),
    )
    node.policy.decide = lambda asked: cached(("x-user", "alice"))
    yield node


@pytest.fixture(scope="module", autouse=True)
def no_file_is_left() -> Iterator[None]:
    yield
    REVOCATIONS.unlink(missing_ok=True)


@pytest.fixture
def token() -> tuple[str, str]:
    """A credential that nothing else brings."""
    return ("Authorization", f"Bearer token-{next(TOKENS)}")


async def asked_times(node: Node, *requests: dict) -> int:
    """How many of these requests the policy service was asked about."""
    node.policy.asked.clear()
    for request in requests:
        reply = await node.ask(request.pop("target", "/guarded"), **request)
        assert reply.status == 200
    return len(node.policy.asked)


async def test_the_same_credential_is_asked_about_once(guarded: Node, token: tuple[str, str]):
    assert await asked_times(guarded, *({"headers": [token]} for _ in range(5))) == 1
    assert guarded.upstream.last.all("x-user") == ["alice"]
    assert guarded.upstream.last.all("authorization") == [token[1]]


async def test_another_credential_policy_or_cookie_is_asked_about(
    guarded: Node, token: tuple[str, str]
):
    first = {"headers": [token, ("Cookie", "a=1")]}
    others = [
        {"headers": [("Authorization", "Bearer another"), ("Cookie", "a=1")]},
        {"headers": [("Authorization", token[1].lower()), ("Cookie", "a=1")]},
        {"headers": [token, ("Cookie", "a=2")]},
        {"headers": [token]},
        {"headers": [token, ("Cookie", "a=1"), ("Access-Token", "t")]},
        {"headers": [("Cookie", "a=1")]},
        {},
        {"headers": [token, ("Cookie", "a=1")], "target": "/other"},
    ]
    assert await asked_times(guarded, first, *others) == 9
    # Routes that share a policy share its decisions.
    assert await asked_times(guarded, {"headers": [token], "target": "/twin"}) == 0


async def test_a_decision_without_cache_is_asked_for_each_time(
    guarded: Node, token: tuple[str, str]
):
    for verdict in (allow(), allow(profile=PROFILE)):
        guarded.policy.decide = lambda asked, verdict=verdict: verdict
        assert await asked_times(guarded, {"headers": [token]}, {"headers": [token]}) == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"headers": [TOKEN, TOKEN]},
        {"headers": [("Authorization", "")]},
        {"headers": [TOKEN], "target": "/guarded?access_token=x"},
        {"headers": [TOKEN], "target": "/guarded?a=1;Access.Token[]=x"},
        {"headers": [TOKEN], "target": "/guarded?%61ccess_token=x"},
        {"headers": [TOKEN], "target": "/guarded?a+b=x"},
        {"headers": [TOKEN], "target": "/guarded?" + "a&" * 3000},
        {"headers": [TOKEN], "method": "OPTIONS"},
        {"headers": [TOKEN], "target": "/guarded/logout"},
        {"headers": [TOKEN], "target": "/guarded/x/logout?a=1"},
        {
            "headers": [TOKEN, ("Content-Type", "Application/X-WWW-Form-Urlencoded; a=b")],
            "method": "POST",
            "body": b"a=1",
        },
    ],
)
async def test_whatever_is_odd_is_asked_about(guarded: Node, token: tuple[str, str], odd: dict):
    odd = {**odd, "headers": [token if each is TOKEN else each for each in odd["headers"]]}
    await asked_times(guarded, {"headers": [token]})
    assert await asked_times(guarded, dict(odd), dict(odd)) == 2
    assert await asked_times(guarded, {"headers": [token]}) == 0


async def test_what_the_policy_does_not_look_at_may_differ(guarded: Node, token: tuple[str, str]):
    assert await asked_times(guarded, {"headers": [token]}) <= 1
    others = [
        {"headers": [("X-Other", "1"), token], "target": "/guarded/x?q=a%20b&c=access_token"},
        {"headers": [token], "target": "/guarded/logout/x?y=/logout"},
        {"headers": [token], "method": "DELETE", "target": "/guarded/y"},
        {
            "headers": [token, ("Content-Type", "application/json")],
            "method": "POST",
            "body": b"{}",
        },
        {"headers": [token], "host": "Another.Host:81"},
    ]
    assert await asked_times(guarded, *others) == 0


async def test_headers_that_only_we_set_go_with_all_aliases(guarded: Node, token: tuple[str, str]):
    own = [("X-User", "eve"), ("X-Group", "admin")]
    aliases = [("x_user", "eve"), ("X.User", "eve"), ("X~Group", "admin"), ("Access_Token", "x")]
    kept = [("X-Users", "1"), ("X-Use-R", "1"), ("X-User-", "1")]
    for asked, headers in (
        (1, [token, *own, *aliases, *kept]),
        (0, [token, *aliases, *kept]),
        (0, [token, *own, *aliases, *kept]),
    ):
        assert await asked_times(guarded, {"headers": headers}) == asked
        last = guarded.upstream.last
        assert last.all("x-user") == ["alice"]
        for name, value in kept:
            assert last.all(name.lower()) == [value]
        for gone in ("x_user", "x.user", "x~group", "x-group", "access_token"):
            assert last.all(gone) == []


async def test_without_a_policy_aliases_go_on(guarded: Node):
    assert (await guarded.ask("/open", headers=[("X_User", "1")])).status == 200
    assert guarded.upstream.last.all("x_user") == ["1"]


async def test_only_an_allowed_request_is_cached(guarded: Node, token: tuple[str, str]):
    for verdict in (
        answer(403),
        answer(302, [("location", "/x")]),
        answer(200, body=b"{}"),
    ):
        guarded.policy.decide = lambda asked, verdict=verdict: verdict
        guarded.policy.asked.clear()
        first = await guarded.ask("/guarded", headers=[token])
        second = await guarded.ask("/guarded", headers=[token])
        assert first.status == second.status
        assert len(guarded.policy.asked) == 2


async def test_a_decision_on_the_body_is_not_given_again(guarded: Node):
    def needs_body(asked: Asked) -> Verdict:
        return allow(profile=PROFILE) if asked.has_body else WANT_BODY

    guarded.policy.decide = needs_body
    request = {"headers": [("Authorization", "Bearer body")], "method": "POST", "body": b"{}"}
    assert await asked_times(guarded, dict(request), dict(request)) == 4


async def test_headers_for_the_client_are_sent_once(guarded: Node, token: tuple[str, str]):
    guarded.policy.decide = lambda asked: cached(client=[("set-cookie", "session=1")])
    replies = [await guarded.ask("/guarded", headers=[token]) for _ in range(2)]
    assert [reply.all("set-cookie") for reply in replies] == [["session=1"], []]
    assert len(guarded.policy.asked) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"query": "a=1"},
        {"method": "PUT"},
        {"drop_body": True},
    ],
    ids=lambda more: next(iter(more)),
)
async def test_what_cannot_be_repeated_is_not_cached(
    guarded: Node, token: tuple[str, str], more: dict
):
    guarded.policy.decide = lambda asked: cached(**more)
    replies = [await guarded.ask("/guarded", headers=[token]) for _ in range(2)]
    assert {reply.status for reply in replies} in ({200}, {500})
    assert len(guarded.policy.asked) == 2


async def test_a_decision_ends_in_its_second(guarded: Node):
    guarded.policy.decide = lambda asked: cached(for_s=2)
    credential = {"headers": [("Authorization", "Bearer short")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    await asyncio.sleep(2.1)
    assert await asked_times(guarded, dict(credential)) == 1


async def test_removed_headers_and_values_of_any_kind(guarded: Node):
    value = "a b  c; d=\u00fc, 12 x-user 3 eve"
    guarded.policy.decide = lambda asked: cached(("x-user", value), remove=["authorization"])
    credential = {"headers": [("Authorization", "Bearer gone")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    for got in guarded.upstream.received[-2:]:
        assert got.all("authorization") == []
        assert (got.one("x-user") or "").encode("latin-1").decode() == value


async def test_what_a_response_revokes_ends_at_once(guarded: Node):
    ends, stays = ("Authorization", "Bearer logout"), ("Authorization", "Bearer other")
    guarded.policy.decide = lambda asked: cached(
        tags=["00cd00cd" if asked.one("authorization") == ends[1] else "00ce"]
    )
    assert await asked_times(guarded, {"headers": [ends]}, {"headers": [stays]}) == 2
    assert await asked_times(guarded, {"headers": [ends]}, {"headers": [stays]}) == 0
    decide = guarded.policy.decide
    guarded.policy.decide = lambda asked: answer(302, revoke=["00cd00cd"])
    assert (await guarded.ask("/guarded/logout", headers=[ends])).status == 302
    guarded.policy.decide = decide
    assert await asked_times(guarded, {"headers": [stays]}) == 0
    assert await asked_times(guarded, {"headers": [ends]}) == 1


async def test_uses_of_cached_decisions_are_reported(guarded: Node, token: tuple[str, str]):
    await asyncio.sleep(1.5)
    guarded.policy.hits.clear()
    assert await asked_times(guarded, *({"headers": [token]} for _ in range(8))) == 1
    async with asyncio.timeout(5):
        while not guarded.policy.hits:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)
    counts = [line.split(" ", 1) for line in guarded.policy.hits]
    assert {what for _, what in counts} == {"plugin-id allowed"}
    assert sum(int(count) for count, _ in counts) == 7


@pytest.mark.parametrize("trailers", [[], [("x-consumer-username", "forged")]])
async def test_http2_is_asked_about_once_too(
    guarded: Node, token: tuple[str, str], trailers: list[tuple[str, str]]
):
    connection = await H2Connection.open(guarded.plain)
    guarded.policy.asked.clear()
    for _ in range(3):
        more = {"method": "POST", "body": b"hi", "trailers": trailers} if trailers else {}
        reply = await connection.ask("/guarded", headers=[token], **more)
        assert reply.status == 200
        assert guarded.upstream.last.all("x-user") == ["alice"]
        assert "forged" not in repr(guarded.upstream.last.headers)
    connection.close()
    assert len(guarded.policy.asked) == 1


async def test_what_is_revoked_is_asked_about_within_a_second(guarded: Node):
    guarded.policy.decide = lambda asked: cached(
        tags=(TAG,) if asked.one("authorization") == "Bearer ends" else ("cafe",)
    )
    ends = {"headers": [("Authorization", "Bearer ends")]}
    stays = {"headers": [("Authorization", "Bearer stays")]}
    assert await asked_times(guarded, dict(ends), dict(stays), dict(ends), dict(stays)) == 2
    await RevocationFile(REVOCATIONS, os.urandom).publish([TAG])
    await asyncio.sleep(1)
    assert await asked_times(guarded, dict(ends)) == 1
    assert await asked_times(guarded, dict(stays)) == 0
    # A decision that began before, and whose answer comes only now, does not bring it back.
    assert await asked_times(guarded, dict(ends), dict(ends)) == 2


async def test_a_file_that_is_begun_anew_ends_everything(guarded: Node):
    credential = {"headers": [("Authorization", "Bearer epoch")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    await RevocationFile(REVOCATIONS, os.urandom, size_limit_bytes=0).publish([TAG])
    await asyncio.sleep(1)
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1


async def test_without_the_file_everything_is_asked_about(guarded: Node):
    credential = {"headers": [("Authorization", "Bearer file")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    REVOCATIONS.unlink()
    await asyncio.sleep(1)
    assert await asked_times(guarded, dict(credential), dict(credential)) == 2


async def test_a_flood_of_credentials_leaves_no_more_than_the_table_holds(guarded: Node):
    def credential(number: int) -> dict:
        return {"headers": [("Authorization", f"Bearer flood-{number}")]}

    assert await asked_times(guarded, *map(credential, range(300))) == 300
    # Two halves of fifty: the newest are there, the oldest have gone.
    assert await asked_times(guarded, *map(credential, range(260, 300))) == 0
    assert await asked_times(guarded, *map(credential, range(20))) == 20


async def test_a_large_flood_in_bytes_is_bounded_too(guarded: Node):
    def credential(number: int) -> dict:
        return {"headers": [("Authorization", f"Bearer {number} {'x' * 9000}")]}

    assert await asked_times(guarded, *map(credential, range(60))) == 60
    assert await asked_times(guarded, credential(59), credential(58)) == 0
    assert await asked_times(guarded, credential(0)) == 1
    large = {"headers": [("Authorization", f"Bearer {'y' * 20_000}")]}
    assert await asked_times(guarded, dict(large), dict(large)) == 2


async def test_what_is_used_stays_through_a_flood(guarded: Node, token: tuple[str, str]):
    mine = {"headers": [token]}
    assert await asked_times(guarded, dict(mine)) == 1
    for part in range(10):
        flood = ({"headers": [("Authorization", f"Bearer f-{part}-{n}")]} for n in range(30))
        await asked_times(guarded, *flood)
        assert await asked_times(guarded, dict(mine)) == 0


async def test_values_do_not_run_into_one_another(guarded: Node, token: tuple[str, str]):
    name, value = token
    assert await asked_times(guarded, {"headers": [(name, value), ("Cookie", "a=1")]}) == 1
    others = [
        {"headers": [(name, value + "a=1")]},
        {"headers": [("Access-Token", value), ("Cookie", "a=1")]},
        {"headers": [(name, "a=1"), ("Cookie", value)]},
        {"headers": [(name, value + "a"), ("Cookie", "=1")]},
    ]
    assert await asked_times(guarded, *others) == 4


@pytest.mark.parametrize("anew", [False, True])
async def test_a_response_into_another_epoch_is_not_cached(
    guarded: Node, token: tuple[str, str], anew: bool
):
    guarded.policy.decide = lambda asked: cached(("x-user", "alice"))
    slow = asyncio.create_task(guarded.ask("/slow/2.5", headers=[token]))
    await asyncio.sleep(0.2)
    if anew:
        begin_revocations(REVOCATIONS, os.urandom)
    await asyncio.sleep(1.1)
    await guarded.ask("/guarded")
    assert (await slow).status == 200
    assert await asked_times(guarded, {"headers": [token]}) == int(anew)


def cpu_s(node: Node) -> float:
    """Seconds of CPU that the proxy has used."""
    assert node.envoy.process is not None
    fields = Path(f"/proc/{node.envoy.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_strings_that_collide_cost_no_more_than_others(guarded: Node):
    guarded.policy.decide = lambda asked: answer(403)

    async def cost_s(token_of: Callable[[int], str]) -> float:
        before_s = cpu_s(guarded)
        connection = await guarded.connect()
        for number in range(2000):
            token = ("Authorization", f"Bearer {token_of(number)}")
            assert (await connection.ask("/guarded", headers=[token])).status == 403
        connection.close()
        return cpu_s(guarded) - before_s

    def colliding(number: int) -> str:
        return "a" * 300 + f"{number:08d}" + "b" * 700

    def different(number: int) -> str:
        return "a" * 300 + "b" * 700 + f"{number:08d}"

    await cost_s(different)
    others_s = min([await cost_s(different) for _ in range(2)])
    assert min([await cost_s(colliding) for _ in range(2)]) < 2 * others_s + 0.1


async def test_the_log_has_no_credential(guarded: Node):
    assert "Bearer" not in guarded.envoy.log
