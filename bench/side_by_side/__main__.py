"""The command: starts everybody, goes round, prints the table and whether the bars hold."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from bench.side_by_side import contestants as start
from bench.side_by_side.chart import chart
from bench.side_by_side.credentials import bearer_tokens, sessions, signing_certificate, warm_up
from bench.side_by_side.load import Cost, LoadFailed, measure
from bench.side_by_side.processes import Running
from rich.console import Console
from rich.table import Table

from scopegate_demo.idp import DemoIdp, Lifetimes

ANYONE = ("",)
PLAIN_ENVOY = "Envoy, plain"
PLAIN_WITH_TOKEN = "Envoy, plain, given the tokens"
PLAIN_WITH_COOKIE = "Envoy, plain, given the cookies"
TITLE = "CPU time per request, as a multiple of plain Envoy in the same round"
ONE_ROUTE = "Scopegate, no plugin"
MANY_ROUTES = "Scopegate, no plugin, many routes"
MANY_SERVICES = "Envoy, plain, as many services"
HOSTS = 100
"""Of many routes; a tenth as many services as routes, and as many as hosts at least."""
LIFETIMES = Lifetimes(access_token_s=7200, id_token_s=7200)


@dataclass(slots=True)
class Contestant:
    """A row of the table. `path` is asked with each of `credentials` in turn.

    new   makes credentials that were never sent, for each round anew; each is sent once
    """

    name: str
    running: Running
    path: str
    credentials: Sequence[str] = field(default=ANYONE, repr=False)
    new: Callable[[], Sequence[str]] | None = None

    def cost(self, seconds: int, folder: Path) -> Cost:
        """Of one round. Raises LoadFailed."""
        if self.new is not None:
            return measure(self.running, self.path, self.new(), None, folder)
        # What was remembered may have run out since the last round, and so may cookies: a session
        # in one is written anew once in a while, and browsers take it then.
        self.credentials = asyncio.run(warm_up(self.running.url + self.path, self.credentials))
        return measure(self.running, self.path, self.credentials, seconds, folder)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two contestants, one held against the other."""

    name: str
    peer: str


@dataclass(frozen=True, slots=True)
class Bar(Pair):
    """`name` costs at most `ratio` times what `peer` costs, in CPU time per request."""

    ratio: float


BARS = (
    Bar(ONE_ROUTE, PLAIN_ENVOY, 1.10),
    Bar("Scopegate, bearer", PLAIN_ENVOY, 1.40),
    Bar("Scopegate, session", PLAIN_ENVOY, 1.45),
    Bar("Scopegate, bearer", "nginx + lua-resty-openidc, bearer", 0.90),
    Bar("Scopegate, session", "nginx + lua-resty-openidc, session", 0.75),
    Bar("Scopegate, bearer", "Apache + mod_auth_openidc, bearer", 0.60),
    Bar("Scopegate, bearer asked", "Apache + mod_auth_openidc, bearer", 1.8),
    Bar("Scopegate, session asked", "Apache + mod_auth_openidc, session in a cookie", 1.6),
    Bar(MANY_ROUTES, ONE_ROUTE, 1.10),
)
LIKE_WITH_LIKE = (
    Pair("Scopegate, bearer", PLAIN_WITH_TOKEN),
    Pair("Scopegate, session", PLAIN_WITH_COOKIE),
    Pair(MANY_SERVICES, PLAIN_ENVOY),
    Pair(MANY_ROUTES, MANY_SERVICES),
)
"""What a credential or a hundred upstreams cost a proxy that looks at neither is in both, or is all
that there is."""


@contextlib.contextmanager
def told_by(running: Running) -> Iterator[None]:
    """When the load fails, the end of what the contestant wrote goes with it."""
    try:
        yield
    except (LoadFailed, aiohttp.ClientError) as problem:
        raise SystemExit(f"{problem}\n{running.log_path.read_text()[-2000:]}") from None


@contextlib.asynccontextmanager
async def everybody(
    folder: Path, count: int, routes: int, lua: Path | None, tell: Callable[[str], None]
) -> AsyncIterator[list[Contestant]]:
    """All contestants, warm."""
    async with DemoIdp(lifetimes=LIFETIMES) as idp, contextlib.AsyncExitStack() as stack:

        def at(name: str) -> Path:
            path = folder / name
            path.mkdir()
            return path

        upstream = stack.enter_context(start.upstream(at("upstream")))
        places = start.Places(upstream.url, idp.issuer, *signing_certificate(idp, folder))
        tell("tokens")
        tokens = await asyncio.to_thread(bearer_tokens, idp, count)
        plain = stack.enter_context(start.envoy(at("envoy"), places))
        found = [
            Contestant("nginx, plain", stack.enter_context(start.nginx(at("nginx"), places)), "/"),
            Contestant(PLAIN_ENVOY, plain, "/"),
            Contestant(PLAIN_WITH_TOKEN, plain, "/", tokens),
        ]

        async def add(
            name: str, running: Running, path: str, lines: Sequence[str] | None = None
        ) -> None:
            tell(name)
            with told_by(running):
                if lines is None:
                    lines = await sessions(running.url + path, count)
                lines = await warm_up(running.url + path, lines)
            found.append(Contestant(name, running, path, lines))

        ours, admin = stack.enter_context(start.scopegate(at("scopegate")))
        await configure(admin, places)
        await add(ONE_ROUTE, ours, "/open", ANYONE)
        await add("Scopegate, bearer", ours, "/bearer", tokens)
        await add("Scopegate, session", ours, "/session")
        found.insert(3, Contestant(PLAIN_WITH_COOKIE, plain, "/", found[-1].credentials))
        found.append(
            Contestant(
                "Scopegate, first request of a token",
                ours,
                "/bearer",
                new=lambda: bearer_tokens(idp, count),
            )
        )
        if routes:
            services = stack.enter_context(
                start.envoy(at("envoy-many"), places, hosts=HOSTS, services=_services(routes))
            )
            hosts = [f"Host: h{number}.example" for number in range(HOSTS)]
            found.append(Contestant(MANY_SERVICES, services, "/", hosts))
            many, admin = stack.enter_context(start.scopegate(at("scopegate-many")))
            await configure(admin, places)
            await _load(admin, places, routes, tell)
            await add(MANY_ROUTES, many, "/r0", hosts)
        asking, admin = stack.enter_context(
            start.scopegate(at("scopegate-asking"), replay_limit_s="0")
        )
        await configure(admin, places)
        await add("Scopegate, bearer asked", asking, "/bearer", tokens)
        await add("Scopegate, session asked", asking, "/session")
        apache = stack.enter_context(start.apache(at("apache"), places))
        name = "Apache + mod_auth_openidc, "
        await add(name + "bearer", apache, "/bearer", tokens)
        await add(name + "session in its cache", apache, "/session")
        apache = stack.enter_context(start.apache_client_cookie(at("apache-cookie"), places))
        await add(name + "session in a cookie", apache, "/session")
        if lua is not None:
            nginx = stack.enter_context(start.nginx_with_lua(at("lua"), places, lua))
            name = "nginx + lua-resty-openidc, "
            await add(name + "bearer", nginx, "/bearer", tokens)
            await add(name + "session", nginx, "/session")
        yield found


async def configure(admin: str, places: start.Places) -> None:
    """An open route, one for bearer tokens and one for sessions."""
    client = {
        "issuer": places.issuer,
        "client_id": [start.CLIENT_ID],
        "client_secret": [start.CLIENT_SECRET],
        "scopes_required": ["openid"],
        "upstream_headers_claims": ["email"],
        "upstream_headers_names": ["X-Email"],
    }
    plugins = {
        "open": None,
        "bearer": {**client, "auth_methods": ["bearer"]},
        "session": {**client, "auth_methods": ["session", "authorization_code"]},
    }
    async with aiohttp.ClientSession(admin, raise_for_status=_good) as http:
        await _until_ready(http)
        await http.post("/services", json={"name": "upstream", "url": places.upstream})
        for name, config in plugins.items():
            route = {"name": name, "hosts": ["127.0.0.1"], "paths": [f"/{name}"]}
            await http.post("/services/upstream/routes", json=route)
            if config is not None:
                plugin = {"name": "openid-connect", "config": config}
                await http.post(f"/routes/{name}/plugins", json=plugin)


def _services(routes: int) -> int:
    return max(HOSTS, routes // 10)


async def _load(admin: str, places: start.Places, count: int, tell: Callable[[str], None]) -> None:
    """So many routes: each host has `/r0`, `/r1` …; the services are the same upstream."""
    services = _services(count)
    numbers = iter(range(count))
    loaded = 0

    async def load() -> None:
        nonlocal loaded
        for number in numbers:
            route = {"hosts": [f"h{number % HOSTS}.example"], "paths": [f"/r{number // HOSTS}"]}
            await http.post(f"/services/s{number % services}/routes", json=route)
            loaded += 1
            tell(f"{loaded} of {count} routes")

    async with aiohttp.ClientSession(admin, raise_for_status=_good) as http:
        for number in range(services):
            await http.post("/services", json={"name": f"s{number}", "url": places.upstream})
        await asyncio.gather(*(load() for _ in range(8)))
        # Live for all that were written, and not only for the last writer.
        await http.post("/services/s0/routes", json={"hosts": ["last.example"]})


async def _until_ready(http: aiohttp.ClientSession) -> None:
    for _ in range(100):
        with contextlib.suppress(aiohttp.ClientError):
            async with http.get("/status"):
                return
        await asyncio.sleep(0.1)


async def _good(answer: aiohttp.ClientResponse) -> None:
    if answer.status >= 300:
        raise SystemExit(
            f"{answer.method} {answer.url.path}: {answer.status} {await answer.text()}"
        )


def go_round(
    everybody: Sequence[Contestant], rounds: int, seconds: int, folder: Path
) -> dict[str, list[Cost]]:
    """Everybody once, then everybody again."""
    costs: dict[str, list[Cost]] = {each.name: [] for each in everybody}
    for _ in range(rounds):
        for each in everybody:
            with told_by(each.running):
                costs[each.name].append(each.cost(seconds, folder))
    return costs


def table_of(costs: dict[str, list[Cost]]) -> Table:
    """Medians over the rounds, with the range of the ratio, and the least that a request cost."""
    table = Table(title=TITLE)
    for heading in ("", "µs", "least", "of Envoy", "range", "requests/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rounds in costs.items():
        ratios = _ratios(costs, name, PLAIN_ENVOY)
        table.add_row(
            name,
            f"{statistics.median(cost.cpu_us for cost in rounds):.1f}",
            f"{min(cost.cpu_us for cost in rounds):.1f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            f"{statistics.median(cost.requests_per_s for cost in rounds):,.0f}",
            f"{statistics.median(cost.p50_ms for cost in rounds):.2f}",
            f"{statistics.median(cost.p99_ms for cost in rounds):.2f}",
        )
    return table


def _ratios(costs: dict[str, list[Cost]], name: str, peer: str) -> list[float]:
    pairs = zip(costs[name], costs[peer], strict=True)
    return [ours.cpu_us / theirs.cpu_us for ours, theirs in pairs]


def _least(costs: dict[str, list[Cost]], pair: Pair) -> str:
    """The ratio of the least costs: what disturbs a round only adds to it."""
    ours, theirs = (min(cost.cpu_us for cost in costs[each]) for each in (pair.name, pair.peer))
    return f"{ours / theirs:.2f}"


async def main() -> int:
    """Measure, print, and say by the exit code whether the bars hold."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.side_by_side",
        description="What a request costs, Scopegate beside its peers.",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load per contestant and round")
    parser.add_argument("--credentials", type=int, default=1000)
    parser.add_argument(
        "--routes", type=int, default=0, help="of one more Scopegate that has as many; 50 a second"
    )
    parser.add_argument("--chart", type=Path, help="an SVG file with the table as a picture")
    parser.add_argument("--lua", type=Path, help="folder with lua-resty-openidc and what it needs")
    options = parser.parse_args()
    absent = start.missing()
    if absent:
        sys.stderr.write(f"not installed: {', '.join(absent)}\n")
        return 2
    console = Console()
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as name, console.status("") as status:
        folder = Path(name)
        async with everybody(
            folder,
            options.credentials,
            options.routes,
            options.lua,
            lambda text: status.update(f"warming: {text}"),
        ) as contestants:
            status.update("measuring")
            costs = await asyncio.to_thread(
                go_round, contestants, options.rounds, options.seconds, folder
            )
    console.print(table_of(costs))
    if options.chart is not None:
        ratios = {name: _ratios(costs, name, PLAIN_ENVOY) for name in costs}
        options.chart.write_text(chart(ratios, TITLE))
    missed = 0
    for bar in BARS:
        if bar.name in costs and bar.peer in costs:
            ratio = statistics.median(_ratios(costs, bar.name, bar.peer))
            holds = ratio <= bar.ratio
            missed += not holds
            verdict = "holds" if holds else "MISSED"
            console.print(
                f"{bar.name} / {bar.peer}: {ratio:.2f} (of the least {_least(costs, bar)}),"
                f" bar {bar.ratio:.2f}: {verdict}"
            )
    for pair in LIKE_WITH_LIKE:
        if pair.name in costs:
            ratio = statistics.median(_ratios(costs, pair.name, pair.peer))
            console.print(
                f"{pair.name} / {pair.peer}: {ratio:.2f} (of the least {_least(costs, pair)})"
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
