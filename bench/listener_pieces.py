"""What a request costs the proxy, and what each piece of our listener adds, in instructions.

    PYTHONPATH=tests .venv/bin/python -m bench.listener_pieces

One Envoy for each line, with one route and one worker, under Valgrind (package `valgrind`), which
makes it fifty times slower and the figures the same in every run. First the kinds of requests:
without a plugin, with a cached decision, asked about (Envoy's part only: the policy service is a
stand-in). Then the listener without one piece each, for a request without a plugin.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.instructions import NotCounted, count, is_possible
from bench.side_by_side import contestants
from bench.side_by_side.processes import free_ports
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.table import Table

from scopegate.envoy import names
from scopegate.envoy.messages import packed
from scopegate.envoy.process import bootstrap, envoy_binary
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir
from scopegate.ir.cache_profile import CacheProfile
from scopegate.plugins.openid_connect.headers import IDENTITY_HEADERS
from scopegate.session.revocation_file import begin_revocations
from support.policy_double import Asked, PolicyDouble, Verdict, allow

Change = Callable[[hcm.HttpConnectionManager], None]

TOKEN = "eyJ" + "a" * 900
SEALED = "1AQbbbb"
UPSTREAM_HEADERS = {"authorization": f"Bearer {TOKEN}", "x-consumer-username": "someone@idp.test"}
# As an openid-connect plugin says it that takes tokens and sessions.
PROFILE = CacheProfile(
    key=frozenset({"access-token", "x-access-token"}),
    strip=frozenset(IDENTITY_HEADERS) | {"proxy-authorization"},
    arguments=frozenset({"access_token", "code", "state"}),
    methods=frozenset({"OPTIONS"}),
    media=frozenset({"urlencoded"}),
)


@dataclass(frozen=True, slots=True)
class Variant:
    """An Envoy and what it is asked.

    policy   `none`: no plugin; `asked`: each request is asked about; `cached`: decisions are cached
    others   so many routes more, on a hundred hosts and a tenth as many services
    at_most  the bar, in instructions
    """

    name: str
    change: Change = lambda _: None
    policy: str = "none"
    headers: tuple[str, ...] = ()
    others: int = 0
    at_most: int | None = None


def _without(*filters: str) -> Change:
    def change(manager: hcm.HttpConnectionManager) -> None:
        kept = [each for each in manager.http_filters if each.name not in filters]
        del manager.http_filters[:]
        manager.http_filters.extend(kept)

    return change


def _cleared(*fields: str) -> Change:
    def change(manager: hcm.HttpConnectionManager) -> None:
        for field in fields:
            manager.ClearField(field)

    return change


def _routes_cleared(*fields: str) -> Change:
    def change(manager: hcm.HttpConnectionManager) -> None:
        for place in (manager.route_config, *manager.route_config.virtual_hosts):
            for field in fields:
                place.ClearField(field)

    return change


def _hosts_cleared(*fields: str) -> Change:
    def change(manager: hcm.HttpConnectionManager) -> None:
        for host in manager.route_config.virtual_hosts:
            for field in fields:
                host.ClearField(field)

    return change


def _without_idle_limit(manager: hcm.HttpConnectionManager) -> None:
    for host in manager.route_config.virtual_hosts:
        host.retry_policy.ClearField("per_try_idle_timeout")


def _without_tree(manager: hcm.HttpConnectionManager) -> None:
    for host in manager.route_config.virtual_hosts:
        host.ClearField("matcher")
        route = host.routes.add(name="route - open")
        route.match.prefix = "/"
        route.route.cluster = "s0"
        route.route.timeout.FromSeconds(0)


def _without_dynamic_statistics(manager: hcm.HttpConnectionManager) -> None:
    for each in manager.http_filters:
        if each.name == names.ROUTER:
            router = Router()
            each.typed_config.Unpack(router)
            router.dynamic_stats.value = False
            each.typed_config.CopyFrom(packed(router))


def _plain(manager: hcm.HttpConnectionManager) -> None:
    manager.Clear()
    manager.stat_prefix = "plain"
    host = manager.route_config.virtual_hosts.add(name="all", domains=["*"])
    route = host.routes.add()
    route.match.prefix = "/"
    route.route.cluster = "s0"
    manager.http_filters.add(name=names.ROUTER).typed_config.CopyFrom(packed(Router()))


BEARER = (f"authorization: Bearer {TOKEN}",)
COOKIE = (f"cookie: session={SEALED}{TOKEN}",)
KINDS = (
    Variant("a plain Envoy", _plain),
    Variant("no plugin", at_most=205_000),
    Variant("no plugin, one of 10,000 routes", others=9_999),
    Variant("a plain Envoy, given a token of 900 bytes", _plain, headers=BEARER),
    Variant("no plugin, given the token", headers=BEARER),
    Variant("the token, decision cached", policy="cached", headers=BEARER, at_most=270_000),
    Variant("the token, asked about", policy="asked", headers=BEARER, at_most=420_000),
    Variant("a plain Envoy, given a cookie of 900 bytes", _plain, headers=COOKIE),
    Variant("no plugin, given the cookie of a session", headers=COOKIE),
    Variant("the session, decision cached", policy="cached", headers=COOKIE, at_most=270_000),
)
PIECES = (
    Variant("the access log", _cleared("access_log")),
    Variant(
        "what is done on arrival",
        _cleared("early_header_mutation_extensions"),
        headers=("x-kong-request-id: 20260101000000000000000000000000",),
    ),
    Variant("the proxy filter", _without(names.FILTER)),
    Variant(
        "headers for the upstream",
        _routes_cleared("request_headers_to_add", "request_headers_to_remove"),
    ),
    Variant("the tree of routes", _without_tree),
    Variant("retries, the limit for a silent upstream included", _hosts_cleared("retry_policy")),
    Variant("of these the limit", _without_idle_limit),
    Variant("the limit for a slow head", _cleared("request_headers_timeout")),
    Variant("the path made normal", _cleared("normalize_path", "merge_slashes")),
    Variant("Envoy's numbers by status (a plain Envoy has them)", _without_dynamic_statistics),
)


class Bench:
    """Where everything runs: a folder, an upstream, and the stand-in for the policy service."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.folder = folder
        self.upstream = upstream
        self.socket = folder / "policy.sock"
        self.revocations = folder / "revocations"
        begin_revocations(self.revocations, os.urandom)
        self._number = 0

    def answer(self, asked: Asked) -> Verdict:
        """Allow; policies whose id ends in 1 cache it."""
        headers = UPSTREAM_HEADERS.items()
        removed = [name for name, _ in asked.headers if name == "cookie"]
        if asked.facts["policy"].endswith("1"):
            return allow(*headers, remove=removed, profile=PROFILE, cache_s=3600, tags=["00ab"])
        return allow(*headers, remove=removed)

    async def serve(self) -> None:
        """The stand-in, for ever."""
        double = PolicyDouble(decide=self.answer)
        server = await asyncio.start_unix_server(double.serve, self.socket, limit=1 << 20)
        await server.serve_forever()

    def cost(self, variant: Variant) -> float:
        """Instructions per request. Raises NotCounted."""
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir()
        (port,) = free_ports(1)
        path = folder / "envoy.json"
        path.write_text(json.dumps(self._configuration(port, variant)))
        command = [envoy_binary(), "-c", path, "--concurrency", "1", "--use-dynamic-base-id"]
        lines = ["GET /open HTTP/1.1", "host: api.example", "user-agent: bench", *variant.headers]
        head = "\r\n".join([*lines, "", ""]).encode()
        return count([*command, "--log-level", "error"], port, head, folder)

    def _configuration(self, port: int, variant: Variant) -> dict[str, object]:
        """A whole bootstrap, nothing of which comes over xDS."""
        settings = EnvoySettings(
            access_log_path="/dev/null",
            policy_socket=str(self.socket),
            revocations_path=str(self.revocations),
        )
        resources = gateway_resources(self._gateway(port, variant), settings)
        result = Bootstrap()
        for each in resources.clusters.values():
            each.content.Unpack(result.static_resources.clusters.add())
        listener = result.static_resources.listeners.add()
        next(iter(resources.listeners.values())).content.Unpack(listener)
        table = next(iter(resources.routes.values())).content
        _inline(listener, table, variant.change)
        document: dict[str, object] = MessageToDict(result, preserving_proto_field_name=True)
        nowhere = Path("none")
        common = bootstrap(
            node_id="bench", xds_socket=nowhere, policy_socket=self.socket, admin_socket=nowhere
        )
        clusters = [*common["static_resources"]["clusters"], *_list(document, "clusters")]
        return {
            "layered_runtime": common["layered_runtime"],
            "static_resources": {"clusters": clusters, "listeners": _list(document, "listeners")},
        }

    def _gateway(self, port: int, variant: Variant) -> ir.Gateway:
        services = max(1, variant.others // 10)
        routes = [self._route(0, "api.example", "/open", 0)]
        for number in range(1, variant.others + 1):
            host, path = f"h{number % 100}.example", f"/r{number}"
            routes.append(self._route(number, host, path, number % services))
        if variant.policy != "none":
            last = "1" if variant.policy == "cached" else "0"
            routes[0] = replace(routes[0], policy_id="0" * 31 + last)
        return ir.Gateway(
            listeners=(ir.Listener("proxy", "127.0.0.1", port),),
            routes=tuple(routes),
            clusters=tuple(map(self._cluster, range(services))),
            cookies=frozenset({ir.GatewayCookie("session", (SEALED,), ("session2",))}),
        )

    def _cluster(self, number: int) -> ir.Cluster:
        return ir.Cluster(f"s{number}", "127.0.0.1", self.upstream, 60_000, 60_000)

    def _route(self, number: int, host: str, path: str, service: int) -> ir.Route:
        match = ir.RouteMatch(hosts=(ir.HostMatch(host),), path=ir.PathMatch("prefix", path))
        forward = ir.Forward(f"s{service}", "/", True, f"127.0.0.1:{self.upstream}", 60_000, 5)
        ids = (f"route-{number}", f"r{number}", f"service-{service}", f"s{service}")
        return ir.Route(f"route/{number}", match, forward, *ids)


def _list(document: dict[str, object], name: str) -> list[object]:
    resources = document["static_resources"]
    assert isinstance(resources, dict)
    return list(resources[name])


def _inline(listener: Listener, table: object, change: Change) -> None:
    """Put what xDS would bring into the listener, and change it."""
    network = listener.filter_chains[0].filters[0]
    manager = hcm.HttpConnectionManager()
    network.typed_config.Unpack(manager)
    manager.ClearField("rds")
    routes = RouteConfiguration()
    table.Unpack(routes)  # type: ignore[attr-defined]
    manager.route_config.CopyFrom(routes)
    change(manager)
    network.typed_config.CopyFrom(packed(manager))


@contextlib.contextmanager
def ready() -> Iterator[Bench]:
    """A bench in a folder of its own."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pieces-")))
        (folder / "upstream").mkdir()
        upstream = stack.enter_context(contestants.upstream(folder / "upstream"))
        bench = Bench(folder, upstream.port)
        threading.Thread(target=lambda: asyncio.run(bench.serve()), daemon=True).start()
        yield bench


def main() -> int:
    """Count and print."""
    console = Console()
    if not is_possible():
        console.print("not installed: valgrind")
        return 2
    kinds = Table(title="Instructions of the proxy for a request")
    for heading in ("", "instructions", "at most", "of a plain Envoy"):
        kinds.add_column(heading, justify="right" if heading else "left")
    pieces = Table(title="What a piece adds to a request without a plugin")
    for heading in ("", "instructions", "% of a plain Envoy"):
        pieces.add_column(heading, justify="right" if heading else "left")
    with ready() as bench, console.status("counting") as status:

        def cost(variant: Variant) -> float:
            status.update(f"counting: {variant.name}")
            return bench.cost(variant)

        try:
            costs = {each: cost(each) for each in KINDS}
            plain, whole = (costs[each] for each in KINDS[:2])
            for each, instructions in costs.items():
                bar = "" if each.at_most is None else f"{each.at_most:,}"
                kinds.add_row(each.name, f"{instructions:,.0f}", bar, f"{instructions / plain:.2f}")
            for each in PIECES:
                piece = whole - cost(each)
                pieces.add_row(each.name, f"{piece:,.0f}", f"{100 * piece / plain:.1f}")
        except NotCounted as problem:
            console.print(f"nothing counted: {problem}")
            return 1
    console.print(kinds)
    console.print(pieces)
    return 0


if __name__ == "__main__":
    sys.exit(main())
