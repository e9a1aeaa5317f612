"""Ten minutes of cached decisions while everything that they depend on changes.

    PYTHONPATH=tests .venv/bin/python -m bench.cache_soak [--minutes 10] [--seed 1]

A gateway with two proxy workers, the demo identity provider and the echo upstream. Eight clients
ask with tokens that run out, tokens that lack a scope and sessions, while people log in and out, a
requirement comes and goes, keys rotate and other routes change. Each answer is held against what
was true when it was asked: a yes is wrong when nothing made it right from a second before the
request until its answer; a no when nothing made it right either. Leaves with status 1 when one was
wrong, an answer was neither yes nor no, or memory grew.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.side_by_side.processes import tree_kib_by_pid
from rich.console import Console

from cached.test_asked_and_cached import session_of
from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import (
    STORY_CLIENT_ID,
    STORY_CLIENT_SECRET,
    DemoIdp,
    Lifetimes,
    TokenEdit,
)
from support.gateway import Gateway, running_gateway
from support.raw_http import RawConnection

USERS = ("Blog_with_scope", "Blog_without_scope")
GRACE_S = 1.0
SETTLED_S = 60
GROWTH_LIMIT = 1.1  # of the second half
CLIENTS = 8
SESSIONS = 6


@dataclass
class Fact:
    """Something that is true or not, and changes somewhen between two moments."""

    value: bool
    changes: list[tuple[float, float, bool]] = field(default_factory=list)

    def values(self, from_s: float, to_s: float) -> set[bool]:
        """All that it may have been from one moment to another."""
        found, value = set(), self.value
        since_s = -math.inf
        for began_s, done_s, new in self.changes:
            if since_s <= to_s and done_s >= from_s:
                found.add(value)
            if began_s <= to_s:
                value, since_s = new, began_s
        if since_s <= to_s:
            found.add(value)
        return found

    async def change(self, to: bool, work: Callable[[], Awaitable[object]]) -> None:
        """`work` makes it so, and has when it is done."""
        index = len(self.changes)
        self.changes.append((time.time(), math.inf, to))
        await work()
        began_s, _, _ = self.changes[index]
        self.changes[index] = (began_s, time.time(), to)


@dataclass
class Credential:
    """A header line, whose it is, and what must be true of it."""

    header: tuple[str, str]
    target: str
    has_scope: bool
    live: Fact
    ends_s: float = math.inf


class Soak:
    """The gateway, what is true of it, and what was found wrong."""

    def __init__(self, gateway: Gateway, idp: DemoIdp, seed: int) -> None:
        self.gateway = gateway
        self.idp = idp
        self.chance = random.Random(seed)
        self.required = Fact(False)
        self.key = Fact(True)
        self.credentials: list[Credential] = []
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.deeds: Counter[str] = Counter()
        self.plugins: list[str] = []

    async def configure(self, upstream: str) -> None:
        """A route for tokens and one for sessions."""
        client = {
            "issuer": self.idp.discovery_url,
            "client_id": [STORY_CLIENT_ID],
            "client_secret": [STORY_CLIENT_SECRET],
            "redirect_uri": ["http://localhost/session"],
            "logout_uri_suffix": "/logout",
            "rediscovery_lifetime": 1,
            "forbidden_destroy_session": False,
        }
        for name, methods in (
            ("bearer", ["bearer"]),
            ("session", ["session", "authorization_code"]),
        ):
            route = await self.gateway.add_route(f"/{name}", upstream)
            document = {"name": "openid-connect", "config": {**client, "auth_methods": methods}}
            plugin = await self.gateway.call_admin(
                "POST", f"/routes/{route['id']}/plugins", document
            )
            self.plugins.append(plugin["id"])
        await self.gateway.until(302, "/session", headers=[("Accept", "text/html")])

    def allowed(self, credential: Credential, from_s: float, to_s: float) -> set[bool]:
        """Whether it may get in, as far as that can be told from one moment to another."""
        found = set()
        for live in credential.live.values(from_s, to_s):
            for required in self.required.values(from_s, to_s):
                found.add(live and (credential.has_scope or not required))
        if to_s >= credential.ends_s:
            found.add(False)
        return {False} if from_s >= credential.ends_s else found

    async def client(self, until_s: float, seed: int) -> None:
        """Ask, and hold each answer against what was true."""
        chance = random.Random(seed)
        connection = await RawConnection.open(self.gateway.proxy, limit=1 << 20)
        while time.time() < until_s:
            credential = chance.choice(self.credentials)
            asked_s = time.time()
            headers = [credential.header, ("Sec-Fetch-Mode", "cors")]
            reply = await connection.ask(credential.target, headers=headers)
            may = self.allowed(credential, asked_s - GRACE_S, time.time())
            said = {200: True, 401: False, 403: False}.get(reply.status)
            self.answers[str(reply.status)] += 1
            if said is None or said not in may:
                since_s = asked_s - credential.ends_s
                self.wrong.append(
                    f"{credential.target}: {reply.status}, true was {may}, {since_s:.1f} s past exp"
                    f", {reply.one('x-kong-request-id')}"
                )
            await asyncio.sleep(0.002)
        connection.close()

    def add_token(self) -> None:
        """A token that ends in some seconds, of somebody with or without the scope."""
        has_scope = self.chance.random() < 0.5
        ends_s = int(time.time()) + self.chance.randint(4, 40)
        edit = TokenEdit(set={"exp": ends_s, "jti": str(self.chance.random())})
        token = self.idp.access_token(USERS[0 if has_scope else 1], edit)
        self.credentials.append(
            Credential(("Authorization", f"Bearer {token}"), "/bearer", has_scope, self.key, ends_s)
        )
        self.deeds["tokens"] += 1

    async def log_in(self) -> None:
        has_scope = self.chance.random() < 0.5
        cookie = await session_of(self.gateway, "/session", USERS[0 if has_scope else 1])
        if "session=" in cookie:
            self.credentials.append(
                Credential(("Cookie", cookie), "/session/x", has_scope, Fact(True))
            )
            self.deeds["logins"] += 1

    async def log_out(self) -> None:
        sessions = [each for each in self.credentials if each.target == "/session/x"]
        if len(sessions) < SESSIONS:
            return
        leaving = self.chance.choice(sessions)

        async def work() -> None:
            reply = await self.gateway.ask(
                "/session/logout", method="POST", headers=[leaving.header]
            )
            assert reply.status == 302, reply

        await leaving.live.change(False, work)
        self.deeds["logouts"] += 1

    async def require(self) -> None:
        wanted = True not in self.required.values(time.time(), time.time())
        scopes = ["kong_api_access"] if wanted else None

        async def work() -> None:
            for plugin in self.plugins:
                await self.gateway.call_admin(
                    "PATCH", f"/plugins/{plugin}", {"config": {"scopes_required": scopes}}
                )

        await self.required.change(wanted, work)
        self.deeds["changes of the requirement"] += 1

    async def other_route(self) -> None:
        route = await self.gateway.add_route(f"/r{self.chance.random()}", "http://127.0.0.1:1")
        await self.gateway.call_admin("DELETE", f"/routes/{route['id']}")
        self.deeds["changes of other routes"] += 2

    async def rotate(self) -> None:
        """Withdraw the key; a token with the next one makes the gateway look."""
        old, self.key = self.key, Fact(True)

        async def work() -> None:
            self.idp.rotate_keys(overlap=False)
            token = ("Authorization", f"Bearer {self.idp.access_token(USERS[0])}")
            await self.gateway.until(200, "/bearer", headers=[token])

        self.key.value = True
        await old.change(False, work)
        self.deeds["withdrawn keys"] += 1

    async def meddle(self, until_s: float) -> None:
        """Change things, and forget credentials that have been over for long."""
        deeds = [self.log_in, self.log_out, self.require, self.other_route, self.rotate]
        while time.time() < until_s:
            await self.chance.choices(deeds, [4, 4, 2, 2, 0.5])[0]()
            for _ in range(5):
                self.add_token()
            now_s = time.time()
            self.credentials = [
                each
                for each in self.credentials
                if now_s < each.ends_s + 20 and True in each.live.values(now_s - 20, now_s)
            ]
            await asyncio.sleep(0.5)


async def main() -> int:
    """Soak, print, and say by the exit code whether all was right."""
    parser = argparse.ArgumentParser(description="A soak of cached decisions.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console = Console()
    lifetimes = Lifetimes(access_token_s=7200, id_token_s=7200)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with (
            DemoIdp(lifetimes=lifetimes) as idp,
            EchoUpstream() as echo,
            running_gateway(Path(folder), proxy_workers="2") as gateway,
        ):
            soak = Soak(gateway, idp, options.seed)
            await soak.configure(f"{echo.url}/anything")
            for _ in range(SESSIONS):
                await soak.log_in()
                soak.add_token()
            until_s = time.time() + options.minutes * 60
            assert gateway.process is not None
            pid = gateway.process.pid
            clients = [soak.client(until_s, options.seed + number) for number in range(CLIENTS)]
            work = asyncio.gather(soak.meddle(until_s), *clients)
            await asyncio.sleep(min(SETTLED_S, options.minutes * 30))
            memory = [tree_kib_by_pid(pid)]
            while not work.done():
                await asyncio.sleep(5)
                memory.append(tree_kib_by_pid(pid))
                left = ", ".join(f"{count} {deed}" for deed, count in soak.deeds.items())
                console.print(
                    f"{max(until_s - time.time(), 0):4.0f} s left, {sum(soak.answers.values()):,} "
                    f"answers, {len(soak.wrong)} wrong; {left}"
                )
            await work
            errors = [line for line in gateway.log_lines() if line.get("level") == "error"]
    console.print(f"answers by status: {dict(sorted(soak.answers.items()))}")
    before, after = memory[len(memory) // 2], memory[-1]
    for number, (process, kib) in enumerate(after.items()):
        told = [each.get(process, 0) // 1024 for each in memory]
        steps = ", ".join(str(mib) for mib in told[:: max(1, len(told) // 8)])
        console.print(f"memory of process {number}, MiB: {steps}, at the end {kib // 1024}")
    for line in [*soak.wrong[:20], *map(str, errors[:5])]:
        console.print(line, style="red")
    is_steady = sum(after.values()) < sum(before.values()) * GROWTH_LIMIT
    good = not soak.wrong and not errors and is_steady
    console.print("all was right" if good else "WRONG", style="green" if good else "red")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
