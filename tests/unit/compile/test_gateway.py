"""The whole first pass: what golden files do not say."""

from __future__ import annotations

import json

import pytest

from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.entities.snapshot import Plugin
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Forward, Gateway, Listener, Refuse
from scopegate.ir.policy import Step
from scopegate.plugins.lowering import CannotLower, Context, Lowered
from support import entities
from support.plugins import stand_in

SETTINGS = CompileSettings(listeners=(Listener("http", "127.0.0.1", 8000),))


class Recorder:
    """A compiler that remembers its contexts."""

    def __init__(self) -> None:
        self.contexts: dict[str, Context] = {}

    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        self.contexts[plugin.id] = context
        if plugin.config.get("cannot"):
            raise CannotLower("cannot", "because")
        return Lowered(Step(plugin.name, plugin.id, plugin.config), frozenset({"x-a"}))


def build(compiler: Recorder | None = None, facts=None, **made) -> Gateway:
    plugins = [stand_in(compiler or Recorder())]
    return compile_gateway(entities.snapshot(**made), facts or {}, SETTINGS, plugins).gateway


def test_a_plugin_gets_its_secrets_and_the_facts_and_no_others():
    compiler = Recorder()
    one, two = (entities.plugin(id=name, name="openid-connect", route=name) for name in "ab")
    former = {"a": (("old", 5),), "b": ((None, 6),)}
    build(compiler, {"k": {"f": 1}}, plugins=[one, two], former_session_secrets=former)
    assert compiler.contexts["a"].former_session_secrets == (("old", 5),)
    assert compiler.contexts["b"].former_session_secrets == ((None, 6),)
    assert compiler.contexts["a"].cluster_secret == "5e" * 32
    assert compiler.contexts["a"].facts == {"k": {"f": 1}}
    shown = repr(compiler.contexts["a"])
    assert "5e5e" not in shown
    assert "old" not in shown


def test_each_plugin_is_lowered_once_and_routes_share_policies():
    compiler = Recorder()
    routes = [entities.route(name=f"r{n}", paths=[f"/{n}", "~/x"]) for n in range(3)]
    gateway = build(
        compiler,
        routes=routes,
        plugins=[entities.plugin(name="openid-connect")],
    )
    assert len(compiler.contexts) == 1
    assert len(gateway.routes) == 6
    assert {route.policy_id for route in gateway.routes} == set(gateway.policies)
    assert len(gateway.policies) == 1


def test_keys_of_routes_are_unique_and_do_not_depend_on_other_routes():
    route = entities.route(name="r", paths=["/a", "/b", "~/c", "/dd"])
    alone = {entry.key for entry in build(routes=[route]).routes}
    among = [entry.key for entry in build(routes=[route, entities.route(name="x")]).routes]
    assert len(alone) == 4
    assert alone < set(among)
    assert len(set(among)) == len(among)


def test_a_clusters_name_changes_with_what_it_is_and_with_nothing_else():
    def name(**fields) -> str:
        service = entities.service(name="s", **fields)
        route = entities.route(name="r", service="s", paths=["/"])
        (cluster,) = build(services=[service], routes=[route]).clusters
        return cluster.name

    base = name()
    assert name(retries=1, read_timeout=5, path="/x") == base
    changed = [
        {"host": "10.0.0.9"},
        {"port": 81},
        {"connect_timeout": 5},
        {"write_timeout": 5},
        {"protocol": "https"},
        {"protocol": "grpc"},
    ]
    assert len({base, *(name(**fields) for fields in changed)}) == 7


def test_clusters_that_no_route_needs_are_left_out():
    services = [entities.service(name=name) for name in ("used", "idle", "refused")]
    routes = [
        entities.route(name="u", service="used"),
        entities.route(name="x", service="refused", paths=["/x"]),
    ]
    plugin = entities.plugin(name="openid-connect", route="x", config={"cannot": True})
    gateway = build(services=services, routes=routes, plugins=[plugin])
    assert len(gateway.clusters) == 1
    by_name = {route.route_name: route.action for route in gateway.routes}
    assert isinstance(by_name["u"], Forward)
    assert by_name["x"] == Refuse(500, "cannot", "An unexpected error occurred")


@pytest.mark.parametrize(
    ("host", "port", "protocol", "header"),
    [
        ("Svc.test", 80, "http", "Svc.test"),
        ("svc.test", 443, "http", "svc.test:443"),
        ("svc.test", 443, "https", "svc.test"),
        ("svc.test", 80, "https", "svc.test:80"),
        ("svc.test", 80, "grpc", "svc.test"),
        ("::1", 80, "http", "[::1]"),
        ("::1", 8080, "http", "[::1]:8080"),
    ],
)
def test_the_host_header_names_a_port_only_where_it_must(host, port, protocol, header):
    service = entities.service(name="s", host=host, port=port, protocol=protocol)
    (route,) = build(services=[service], routes=[entities.route(service="s")]).routes
    assert isinstance(route.action, Forward)
    assert route.action.host == header


def test_the_same_input_gives_the_same_bytes():
    made = {
        "services": [entities.service(name=f"s{n}", port=n + 1) for n in range(5)],
        "routes": [
            entities.route(name=f"r{n}", service=f"s{n % 5}", paths=[f"/{n}"]) for n in range(20)
        ],
        "plugins": [entities.plugin(name="openid-connect", service=f"s{n}") for n in range(3)],
    }
    turned = {kind: list(reversed(items)) for kind, items in made.items()}
    one = gateway_resources(build(**made), EnvoySettings())
    two = gateway_resources(build(**turned), EnvoySettings())
    for kind in ("clusters", "listeners", "routes"):
        versions = [
            {name: resource.version for name, resource in getattr(resources, kind).items()}
            for resources in (one, two)
        ]
        assert versions[0] == versions[1]


def test_the_consumer_directory_is_named_by_its_content():
    class Looker(Recorder):
        def lower(self, plugin: Plugin, context: Context) -> Lowered:
            return Lowered(Step(plugin.name, plugin.id, {}), uses_consumers=True)

    def gateway(*usernames: str) -> Gateway:
        return build(
            Looker(),
            routes=[entities.route()],
            plugins=[entities.plugin(name="openid-connect")],
            consumers=[entities.consumer(name) for name in usernames],
        )

    first, turned, other = gateway("a", "b"), gateway("b", "a"), gateway("a")
    assert first.consumers is not None
    assert first.consumers == turned.consumers
    assert first.consumers != other.consumers
    (policy,) = first.policies.values()
    assert policy.consumers == first.consumers.id
    assert json.loads(first.consumers.content)[0].keys() == {"id", "username", "custom_id"}
    assert first.policies.keys() != other.policies.keys()
