"""Entities in; the gateway, the findings and Envoy's resources out.

Each file in `compile/` is three YAML documents: the entities (written by hand), what
`compile_gateway` makes of them, and what Envoy is told. Fields at their defaults are left out.
`show` in the first names what is in the third: clusters and routes (those that come from
entities) unless said otherwise; tables (all routes), listeners.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.json_format import MessageToJson

from scopegate.compile.gateway import Compiled, CompileSettings, compile_gateway
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin
from scopegate.envoy import names
from scopegate.envoy.resources import gateway_resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import ConsumerDirectory, GatewayCookie, Listener, TlsIdentity
from scopegate.ir.policy import Policy, Step
from scopegate.plugins.lowering import CannotLower, Context, Lowered
from scopegate.reason_code import ReasonCode
from support import entities
from support.plugins import stand_in

OF_EVERY_TREE = {names.NO_ROUTE, names.TUNNEL}
FILES = sorted((Path(__file__).parent / "compile").glob("*.yaml"))
SEPARATOR = "\n--- # what it compiles to; written by `make golden`\n"


class StandIn:
    """A plugin that shows what reaches it; files must not change with a real one's fields."""

    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        config = dict(plugin.config)
        if "cannot" in config:
            raise CannotLower("cannot", config["cannot"])
        if "defect" in config:
            raise KeyError(config["defect"])
        warnings = [Finding("warning", "careful", text, "plugins", plugin.id)
                    for text in config.pop("warn", [])]  # fmt: skip
        facts = context.facts.get(str(config.get("wants")))
        return Lowered(
            step=Step(plugin.name, plugin.id, config, facts),
            upstream_headers=frozenset(config.get("upstream_headers", ())),
            downstream_headers=frozenset(config.get("downstream_headers", ())),
            cookies=frozenset(
                GatewayCookie(cookie["name"], tuple(cookie["marks"]))
                for cookie in config.get("cookies", ())
            ),
            reads_body=config.get("reads_body", False),
            uses_consumers=config.get("uses_consumers", False),
            findings=tuple(warnings),
        )


PLUGINS = (stand_in(StandIn(), "openid-connect", 1050), stand_in(StandIn(), "another"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden(file: Path, rewrite_golden: bool):
    text = file.read_text(encoding="utf-8")
    given, _, _ = text.partition(SEPARATOR)
    given = given.rstrip("\n") + "\n"
    case = yaml.safe_load(given)
    compiled = compile_case(case)
    expected = given + SEPARATOR.lstrip("\n").join(["", dump(show_compiled(compiled))])
    expected += "--- # what Envoy is told\n" + dump(show_resources(compiled, case))
    if rewrite_golden:
        file.write_text(expected, encoding="utf-8")
        return
    assert text == expected, "see the diff; `make golden` writes it anew if it is right"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_order_of_entities_does_not_matter(file: Path):
    case = yaml.safe_load(file.read_text(encoding="utf-8").partition(SEPARATOR)[0])
    turned = {
        key: list(reversed(value))
        if key in ("services", "routes", "plugins", "consumers")
        else value
        for key, value in case.items()
    }
    assert compile_case(turned) == compile_case(case)


def compile_case(case: Mapping[str, Any]) -> Compiled:
    makers = {
        "services": entities.service,
        "routes": entities.route,
        "plugins": entities.plugin,
        "consumers": entities.consumer,
    }
    made = {
        kind: [make(**fields) for fields in case.get(kind, [])] for kind, make in makers.items()
    }
    listeners = [{"name": "http", "address": "127.0.0.1", "port": 8000}]
    settings = CompileSettings(
        **{
            **case.get("settings", {}),
            "listeners": tuple(map(listener, case.get("listeners", listeners))),
        }
    )
    return compile_gateway(entities.snapshot(**made), case.get("facts", {}), settings, PLUGINS)


def listener(fields: dict[str, Any]) -> Listener:
    tls = fields.get("tls")
    return Listener(**{**fields, "tls": TlsIdentity(**tls) if tls else None})


def show_compiled(compiled: Compiled) -> Any:
    return {
        "gateway": plain(compiled.gateway),
        "findings": [plain(finding) for finding in compiled.findings],
    }


def show_resources(compiled: Compiled, case: Mapping[str, Any]) -> Any:
    settings = EnvoySettings(**case.get("envoy_settings", {}))
    resources = gateway_resources(compiled.gateway, settings)
    shown: dict[str, Any] = {}
    for kind in case.get("show", ["clusters", "routes"]):
        by_name = getattr(resources, "routes" if kind == "tables" else kind)
        for name, resource in by_name.items():
            document = as_json(resource.content)
            if kind == "routes":
                known: list[dict[str, Any]] = []
                document = [show_host(host, known) for host in document["virtual_hosts"]]
            if kind == "listeners":
                show_answers(document, first=not shown.get(kind))
            shown.setdefault(kind, {})[name] = document
    return shown


def as_json(message: Any) -> Any:
    text = MessageToJson(message, preserving_proto_field_name=True, sort_keys=True)
    return json.loads(text)


def show_answers(listener: dict[str, Any], *, first: bool) -> None:
    """What Envoy answers by itself, for the first listener; all have the same.

    Of an answer in several formats the last is shown, which is JSON, and of the others the format.
    """
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    mappers = manager["local_reply_config"]["mappers"]
    shown = []
    for mapper in mappers:
        kind = mapper.get("body_format_override", {}).get("content_type", "application/json")
        json_too = "status_code" in mapper and not kind.startswith("application/json")
        shown.append(kind if json_too else mapper)
    manager["local_reply_config"] = shown if first else "as above"


def show_host(host: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    """Where entries stand in the tree, and those that come from entities and are not `known`."""
    tree = host["matcher"]
    branches = tree.get("matcher_tree", {}).get("prefix_match_map", {}).get("map", {})
    places, new = {}, []
    for start, branch in {**branches, "": tree["on_no_match"]}.items():
        listed = branch["action"]["typed_config"]["routes"]
        places[start] = [entry["name"] for entry in listed]
        new += [entry for entry in listed if entry["name"] not in OF_EVERY_TREE]
    shown = [entry for number, entry in enumerate(new) if entry not in [*known, *new[:number]]]
    known += shown
    return {"domains": host["domains"], "tree": places, "entries": shown}


def plain(value: Any) -> Any:
    """Data for YAML; a dataclass without the fields that are at their defaults."""
    if isinstance(value, Policy):
        return {"steps": [plain(step) for step in value.steps], "reads_body": value.reads_body,
                "consumers": value.consumers}  # fmt: skip
    if isinstance(value, ConsumerDirectory):
        return {"id": value.id, "content": value.content.decode()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: field for field in dataclasses.fields(value)}
        return {
            name: plain(getattr(value, name))
            for name, field in fields.items()
            if getattr(value, name) != default(field)
        }
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: Dumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _string)
Dumper.add_multi_representer(ReasonCode, lambda dumper, code: _string(dumper, code.value))


def dump(document: Any) -> str:
    return yaml.dump(document, Dumper=Dumper, width=100, allow_unicode=True, sort_keys=False)
