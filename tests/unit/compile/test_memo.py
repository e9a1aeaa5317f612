"""A memo changes no result, and what did not change stays the object that it was."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from scopegate.compile.gateway import CompileMemo, CompileSettings, compile_gateway
from scopegate.entities.snapshot import Snapshot
from scopegate.ir.policy import Step
from scopegate.plugins.lowering import Lowered
from support import entities
from support.plugins import stand_in

SETTINGS = CompileSettings()


class Says:
    """A plugin whose step shows its configuration and what it may look at beside it."""

    def lower(self, plugin, context) -> Lowered:
        facts = {"facts": context.facts, "former": context.former_session_secrets}
        return Lowered(Step(plugin.name, plugin.id, plugin.config, facts), uses_consumers=True)


PLUGINS = [stand_in(Says(), "says", 1)]

MADE = {
    "services": [entities.service(name=name, enabled=on) for name in "ab" for on in (True, False)],
    "routes": [
        entities.route(name=name, service=service, paths=paths)
        for name in ("x", "y", "z")
        for service in ("a", "b", None)
        for paths in (["/p"], ["~/p[0-9]", "/long/p"], ["~/(bad"])
    ],
    "plugins": [
        entities.plugin(name="says", id=entities.made_id(str(number)), config={"n": n}, **scope)
        for number, scope in enumerate(({}, {"service": "a"}, {"route": "x"}))
        for n in (1, 2)
    ],
    "consumers": [entities.consumer("u", custom_id=custom) for custom in ("1", "2")],
}
snapshots = st.fixed_dictionaries(
    {
        kind: st.lists(st.sampled_from(made), unique_by=lambda each: each.id)
        for kind, made in MADE.items()
    }
)


@given(steps=st.lists(st.tuples(snapshots, st.sampled_from([{}, {"k": {"a": 1}}])), max_size=5))
def test_a_memo_changes_no_result(steps):
    memo = CompileMemo()
    former: Snapshot | None = None
    for made, facts in steps:
        known = {each.id for each in made["services"]}
        routes = [each for each in made["routes"] if each.service_id in (None, *known)]
        snapshot = entities.snapshot(**{**made, "routes": routes})
        if former is not None and former.plugins == snapshot.plugins:
            snapshot = replace(snapshot, plugins=former.plugins, consumers=former.consumers)
        former = snapshot
        with_memo = compile_gateway(snapshot, facts, SETTINGS, PLUGINS, memo)
        assert with_memo == compile_gateway(snapshot, facts, SETTINGS, PLUGINS)


def test_only_what_changed_is_made_again():
    snapshot = entities.snapshot(
        services=[entities.service(name="a")],
        routes=[entities.route(name=name, service="a", paths=[f"/{name}"]) for name in "xyz"],
        plugins=[entities.plugin(name="says", service="a")],
    )
    memo = CompileMemo()
    before = compile_gateway(snapshot, {}, SETTINGS, PLUGINS, memo).gateway
    changed = entities.route(name="y", service="a", paths=["/new"])
    routes = MappingProxyType({**snapshot.routes, changed.id: changed})
    after = compile_gateway(replace(snapshot, routes=routes), {}, SETTINGS, PLUGINS, memo).gateway
    same = {id(route) for route in before.routes} & {id(route) for route in after.routes}
    assert len(same) == 2
    assert [route.match.path.value for route in after.routes if id(route) not in same] == ["/new"]
