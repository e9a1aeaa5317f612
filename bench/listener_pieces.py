"""What each piece of our listener adds to a request, over a plain Envoy.

    .venv/bin/python -m bench.listener_pieces [--rounds 10]

An Envoy for the whole listener as Scopegate configures it, one for each piece that is left out, and
a plain one; all with one route, one worker and nothing in front of them but wrk. The figure is CPU
time per request. Each round starts them anew: a process keeps the speed that it happens to begin
with, and that differs by more than most pieces.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.side_by_side import contestants
from bench.side_by_side.load import measure
from bench.side_by_side.processes import Running, free_ports, running
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
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
from scopegate.envoy.filters import ASKING
from scopegate.envoy.messages import packed
from scopegate.envoy.process import bootstrap, envoy_binary
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

Change = Callable[[hcm.HttpConnectionManager], None]


@dataclass(frozen=True, slots=True)
class Variant:
    """The whole listener after a change."""

    name: str
    change: Change


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
        for field in fields:
            manager.route_config.ClearField(field)

    return change


def _unretried(manager: hcm.HttpConnectionManager) -> None:
    for host in manager.route_config.virtual_hosts:
        host.ClearField("retry_policy")


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
    route.route.cluster = "upstream"
    manager.http_filters.add(name=names.ROUTER).typed_config.CopyFrom(packed(Router()))


VARIANTS = (
    Variant("a plain Envoy", _plain),
    Variant("all of it", lambda _: None),
    Variant("without the access log", _cleared("access_log")),
    Variant("without what is done on arrival", _cleared("early_header_mutation_extensions")),
    Variant("without the guard of hosts and paths", _without(names.GUARD)),
    Variant("without the host's port taken off", _without(names.HOST)),
    Variant("without trailers taken off", _without(names.TRAILERS)),
    Variant("without the filters that ask", _without(*ASKING)),
    Variant("without the cookies' filter", _without(names.COOKIES)),
    Variant("without headers for the upstream", _routes_cleared("request_headers_to_add")),
    Variant("without headers for the client", _routes_cleared("response_headers_to_add")),
    Variant("without retries", _unretried),
    Variant("without Envoy's numbers by status", _without_dynamic_statistics),
    Variant("without timeouts", _cleared("request_headers_timeout", "stream_idle_timeout")),
)


def configuration(port: int, upstream: int, change: Change) -> dict[str, object]:
    """A whole bootstrap, nothing of which comes over xDS."""
    cluster = ir.Cluster("upstream", "127.0.0.1", upstream, 60_000, 60_000)
    match = ir.RouteMatch(
        hosts=(ir.HostMatch("api.example"),), path=ir.PathMatch("prefix", "/open")
    )
    forward = ir.Forward("upstream", "/", True, f"127.0.0.1:{upstream}", 60_000, 5)
    route = ir.Route("route/0", match, forward, "route-id", "open", "service-id", "upstream")
    gateway = ir.Gateway(
        listeners=(ir.Listener("proxy", "127.0.0.1", port),), routes=(route,), clusters=(cluster,)
    )
    resources = gateway_resources(gateway, EnvoySettings(access_log_path="/dev/null"))
    extensions = {name: each.content for name, each in resources.extensions.items()}
    result = Bootstrap()
    for each in resources.clusters.values():
        each.content.Unpack(result.static_resources.clusters.add())
    listener = result.static_resources.listeners.add()
    next(iter(resources.listeners.values())).content.Unpack(listener)
    _inline(listener, next(iter(resources.routes.values())).content, extensions, change)
    document: dict[str, object] = MessageToDict(result, preserving_proto_field_name=True)
    common = bootstrap(
        node_id="bench", xds_socket=Path("none"), policy_socket=Path("none"), admin_socket=Path("-")
    )
    clusters = [*common["static_resources"]["clusters"], *_list(document, "clusters")]
    return {
        "layered_runtime": common["layered_runtime"],
        "static_resources": {"clusters": clusters, "listeners": _list(document, "listeners")},
    }


def _list(document: dict[str, object], name: str) -> list[object]:
    resources = document["static_resources"]
    assert isinstance(resources, dict)
    return list(resources[name])


def _inline(
    listener: Listener, table: object, extensions: dict[str, object], change: Change
) -> None:
    """Put what xDS would bring into the listener, and change it."""
    network = listener.filter_chains[0].filters[0]
    manager = hcm.HttpConnectionManager()
    network.typed_config.Unpack(manager)
    manager.ClearField("rds")
    routes = RouteConfiguration()
    table.Unpack(routes)
    manager.route_config.CopyFrom(routes)
    for each in manager.http_filters:
        if each.HasField("config_discovery"):
            each.ClearField("config_discovery")
            content = extensions[each.name]
            extension = TypedExtensionConfig()
            content.Unpack(extension)
            each.typed_config.CopyFrom(extension.typed_config)
    change(manager)
    network.typed_config.CopyFrom(packed(manager))


@contextlib.contextmanager
def envoy(folder: Path, upstream: int, change: Change) -> Iterator[Running]:
    """An Envoy of one worker."""
    (port,) = free_ports(1)
    folder.mkdir()
    path = folder / "envoy.json"
    path.write_text(json.dumps(configuration(port, upstream, change)))
    command = [envoy_binary(), "-c", path, "--concurrency", "1", "--use-dynamic-base-id"]
    with running([*command, "--log-level", "error"], port, folder) as started:
        yield started


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What each piece of our listener costs.")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    console = Console()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pieces-")))
        (folder / "upstream").mkdir()
        upstream = stack.enter_context(contestants.upstream(folder / "upstream"))
        costs: dict[str, list[float]] = {each.name: [] for each in VARIANTS}
        status = stack.enter_context(console.status("measuring"))
        for number in range(1, options.rounds + 1):
            status.update(f"round {number} of {options.rounds}")
            for each in VARIANTS:
                name = f"{number}-{re.sub(r'[^a-z]', '_', each.name)}"
                with envoy(folder / name, upstream.port, each.change) as started:
                    measure(started, "/open", [""], 1, folder)
                    cost = measure(started, "/open", [""], 1, folder)
                costs[each.name].append(cost.cpu_us)
    table = Table(title="CPU time of the proxy per request, the median of all rounds")
    for heading in ("", "µs", "least", "of a plain Envoy", "the piece, µs"):
        table.add_column(heading, justify="right" if heading else "left")
    middle = {name: statistics.median(each) for name, each in costs.items()}
    plain, whole = (middle[each.name] for each in VARIANTS[:2])
    for name, cost in middle.items():
        piece = f"{whole - cost:.1f}" if name.startswith("without") else ""
        least = f"{min(costs[name]):.1f}"
        table.add_row(name, f"{cost:.1f}", least, f"{cost / plain:.2f}", piece)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
