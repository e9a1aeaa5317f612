"""Envoy gives a yes again, as the policy service said it may. Source: docs/adr/0035."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.replay import GRANT, GRANTED, ReplayKey, grant_text
from scopegate.session.revocation_file import RevocationFile, begin_revocations
from support.policy_double import UNDECIDED, Asked, Verdict, allow
from support.replay_key import KEY

from .conftest import Node

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

REVOCATIONS = Path(f"/tmp/scopegate-test-revoked-{os.getpid()}")
ENVOY = {
    "settings": EnvoySettings(
        revocations_path=str(REVOCATIONS), replay_limit_entries=50, replay_limit_bytes=200_000
    )
}
TOKENS = itertools.count(1)
TAG = "00ab00ab"
MARK = (GRANTED, "1")
TOKEN: Any = object()  # in the list below: the credential of the test


def granted(
    *headers: tuple[str, str],
    for_s: float = 30,
    tags: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
) -> Verdict:
    text = grant_text(int(time.time() + for_s), tags, removed, headers).encode().decode("latin-1")
    headers = tuple((name, value.encode().decode("latin-1")) for name, value in headers)
    remove = [("x-envoy-auth-headers-to-remove", ",".join(removed))] if removed else []
    return allow(*headers, *remove, (GRANT, text), MARK)


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(node: Node) -> AsyncIterator[Node]:
    if not REVOCATIONS.exists():
        begin_revocations(REVOCATIONS, os.urandom)
        await asyncio.sleep(1)
    other = "f" * 32
    await node.serve(
        node.protected("/guarded", replay=KEY),
        node.protected("/twin", replay=KEY),
        node.protected("/slow", replay=KEY),
        node.route("/other", policy_id=other, replay=KEY),
        node.protected("/asked"),
        upstream_headers=frozenset({"x-user", "cookie", "authorization"}),
        downstream_headers=frozenset({"x-hint"}),
        guarded_headers=KEY.guarded,
    )
    node.policy.decide = lambda asked: granted(("x-user", "alice"))
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
    # Routes that share a policy share its answers.
    assert await asked_times(guarded, {"headers": [token], "target": "/twin"}) == 0


async def test_a_route_whose_policy_cannot_say_what_it_rests_on_is_always_asked(
    guarded: Node, token: tuple[str, str]
):
    asked = {"headers": [token], "target": "/asked"}
    assert await asked_times(guarded, dict(asked), dict(asked)) == 2


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


async def test_headers_that_only_we_set_go_in_any_spelling(guarded: Node, token: tuple[str, str]):
    own = [("X-User", "eve"), ("X-Group", "admin")]
    twins = [("x_user", "eve"), ("X.User", "eve"), ("X~Group", "admin"), ("Access_Token", "x")]
    kept = [("X-Users", "1"), ("X-Use-R", "1"), ("X-User-", "1")]
    assert await asked_times(guarded, {"headers": [token, *twins, *kept]}) == 1
    assert {name for name, _ in guarded.policy.asked[0].headers} & {"x_user", "x.user"} == set()
    for headers in ([token, *twins, *kept], [token, *own, *twins, *kept]):
        assert await asked_times(guarded, {"headers": headers}) == 0
        last = guarded.upstream.last
        assert last.all("x-user") == ["alice"]
        for name, value in kept:
            assert last.all(name.lower()) == [value]
        for gone in ("x_user", "x.user", "x~group", "x-group", "access_token"):
            assert last.all(gone) == []


async def test_without_a_policy_other_spellings_go_on(guarded: Node):
    await guarded.serve(guarded.route("/open"), guarded_headers=KEY.stripped)
    assert (await guarded.ask("/open", headers=[("X_User", "1")])).status == 200
    assert guarded.upstream.last.all("x_user") == ["1"]


async def test_only_a_yes_is_given_again(guarded: Node):
    credential = {"headers": [("Authorization", "Bearer refused")]}
    said = dict([(GRANT, grant_text(int(time.time()) + 30, (), (), ())), MARK])
    for verdict in (
        Verdict(403, list(said.items())),
        Verdict(302, [("location", "/x"), *said.items()]),
        Verdict(485, list(said.items()), b"{}"),
    ):
        guarded.policy.decide = lambda asked, verdict=verdict: verdict
        guarded.policy.asked.clear()
        first = await guarded.ask("/guarded", **credential)
        second = await guarded.ask("/guarded", **credential)
        assert first.status == second.status
        assert len(guarded.policy.asked) == 2
    guarded.policy.decide = lambda asked: allow()
    assert await asked_times(guarded, dict(credential), dict(credential)) == 2


async def test_a_yes_after_the_body_was_read_is_not_given_again(guarded: Node):
    def needs_body(asked: Asked) -> Verdict:
        return granted() if asked.one("x-scopegate-phase") == "body" else UNDECIDED

    guarded.policy.decide = needs_body
    request = {"headers": [("Authorization", "Bearer body")], "method": "POST", "body": b"{}"}
    # Two questions each: the policy service gives no grant there; one that came would be kept.
    assert await asked_times(guarded, dict(request)) == 2


async def test_headers_for_the_client_are_not_given_again(guarded: Node):
    guarded.policy.decide = lambda asked: Verdict(
        headers=[*granted(("x-user", "bob")).headers, ("set-cookie", "session=1")]
    )
    credential = {"headers": [("Authorization", "Bearer cookie")]}
    first = await guarded.ask("/guarded", **credential)
    second = await guarded.ask("/guarded", **credential)
    assert (first.one("set-cookie"), second.one("set-cookie")) == ("session=1", None)
    assert len(guarded.policy.asked) == 1
    assert not [name for name, _ in first.headers + second.headers if "scopegate" in name.lower()]
    assert not [name for name, _ in guarded.upstream.last.headers if "scopegate" in name]


async def test_a_grant_ends_in_time(guarded: Node):
    guarded.policy.decide = lambda asked: granted(for_s=2)
    credential = {"headers": [("Authorization", "Bearer short")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    await asyncio.sleep(2.1)
    assert await asked_times(guarded, dict(credential)) == 1


async def test_removed_headers_and_values_of_any_kind(guarded: Node):
    value = "a b  c; d=\u00fc, 12 x-user 3 eve"
    guarded.policy.decide = lambda asked: granted(("x-user", value), removed=("authorization",))
    credential = {"headers": [("Authorization", "Bearer gone")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 1
    for got in guarded.upstream.received[-2:]:
        assert got.all("authorization") == []
        assert (got.one("x-user") or "").encode("latin-1").decode() == value


@pytest.mark.parametrize(
    "grant",
    [
        "",
        "x",
        "99999999999 -",
        "99999999999 - - x-user 99 eve .",
        "99999999999 - - x-user 3 eve",
        "99999999999 - - x-user three eve .",
        "soon - - .",
    ],
)
async def test_a_grant_that_is_not_whole_is_not_kept(guarded: Node, grant: str):
    guarded.policy.decide = lambda asked: allow((GRANT, grant), MARK)
    credential = {"headers": [("Authorization", f"Bearer {hash(grant)}")]}
    assert await asked_times(guarded, dict(credential), dict(credential)) == 2


async def test_what_is_revoked_is_asked_about_within_a_second(guarded: Node):
    guarded.policy.decide = lambda asked: granted(
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
    # More than a sixteenth of the table is never kept.
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


@pytest.mark.parametrize("value", ["1", "x"])
async def test_a_mark_of_the_upstream_beside_ours_changes_nothing(
    guarded: Node, token: tuple[str, str], value: str
):
    guarded.upstream.response_headers = [(GRANTED, value)]
    for _ in range(2):
        reply = await guarded.ask("/guarded", headers=[token])
        assert (reply.status, reply.all(GRANTED)) == (200, [])
    assert len(guarded.policy.asked) == 1


@pytest.mark.parametrize("anew", [False, True])
async def test_an_answer_into_another_epoch_is_not_remembered(
    guarded: Node, token: tuple[str, str], anew: bool
):
    guarded.policy.decide = lambda asked: granted(("x-user", "alice"))
    slow = asyncio.create_task(guarded.ask("/slow/2.5", headers=[token]))
    await asyncio.sleep(0.2)
    if anew:
        begin_revocations(REVOCATIONS, os.urandom)
    await asyncio.sleep(1.1)
    await guarded.ask("/guarded")
    assert (await slow).status == 200
    assert await asked_times(guarded, {"headers": [token]}) == int(anew)


async def test_a_grant_from_outside_is_none(guarded: Node, token: tuple[str, str]):
    grant = (GRANT, grant_text(int(time.time()) + 30, (), (), [("x-user", "eve")]))
    guarded.policy.decide = lambda asked: allow(("x-user", "alice"))
    guarded.upstream.response_headers = [grant, MARK]
    for _ in range(2):
        reply = await guarded.ask("/guarded", headers=[token, grant, MARK])
        assert reply.status == 200
        assert reply.all(GRANTED) == []
        assert guarded.upstream.last.all(GRANT) == []
        assert guarded.upstream.last.all("x-user") == ["alice"]
    assert len(guarded.policy.asked) == 2


def cpu_s(node: Node) -> float:
    """Seconds of CPU that the proxy has used."""
    assert node.envoy.process is not None
    fields = Path(f"/proc/{node.envoy.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_strings_that_collide_cost_no_more_than_others(guarded: Node):
    """LuaJIT's short hash looks at the ends and two places between only."""
    guarded.policy.decide = lambda asked: Verdict(403, [])

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


async def test_the_log_says_nothing_of_it(guarded: Node):
    """No credential, and no error of ordinary requests."""
    log = guarded.envoy.log
    assert "Bearer" not in log
    assert "cannot be given again" not in log


async def test_a_fault_means_asking(guarded: Node, token: tuple[str, str]):
    """A key that says nothing the script knows."""

    class Odd(ReplayKey):
        def text(self, policy_id: str) -> str:
            return "nothing that it knows"

    await guarded.serve(
        guarded.protected("/odd", replay=Odd(frozenset())), upstream_headers=frozenset({"x-user"})
    )
    guarded.policy.decide = lambda asked: granted(("x-user", "alice"))
    request = {"headers": [token], "target": "/odd"}
    assert await asked_times(guarded, dict(request), dict(request)) == 2
    guarded.policy.decide = lambda asked: Verdict(403, [])
    assert (await guarded.ask("/odd", headers=[token])).status == 403
    assert "a yes cannot be given again" in guarded.envoy.log
