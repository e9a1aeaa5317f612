"""A second plugin goes the whole way by its row alone: nothing else has to know of it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scopegate.compile.gateway import Compiled, CompileSettings, compile_gateway
from scopegate.entities.fields import record, string
from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.plugins import PluginType
from scopegate.entities.snapshot import Plugin
from scopegate.entities.violations import SchemaViolation
from scopegate.ir.policy import Step as PolicyStep
from scopegate.oidc.discovery import DiscoverySettings
from scopegate.oidc.http import HttpSettings
from scopegate.plugins.access import Continue, Outcome, Refusal, Request
from scopegate.plugins.built import BuiltPlugin, issuer_requests
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.issuer_requests import IssuerRequest
from scopegate.plugins.lowering import Context, Lowered
from scopegate.plugins.ports import Ports
from scopegate.plugins.registry import OPENID_CONNECT, PLUGINS
from scopegate.policy import application
from support import entities
from support.policy_check import ask, check_request

ID = "00000000-0000-4000-8000-000000000002"
ISSUER = IssuerRequest(DiscoverySettings("https://idp.example", HttpSettings()), 3600, 30)


class KeywordCompiler:
    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        config = {"word": plugin.config["word"], "facts": bool(context.facts)}
        return Lowered(
            PolicyStep(plugin.name, plugin.id, config), upstream_headers=frozenset({"x-word"})
        )


class Keyword:
    """Wants a word in a header and hands it on."""

    def __init__(self, step: PolicyStep, consumers: ConsumerIndex, ports: Ports) -> None:
        self._word = step.config["word"]
        self._now = ports.now

    async def access(self, request: Request) -> Outcome:
        if request.header("x-say") != self._word:
            return Refusal(403, "word_missing", "the word was not said", "Forbidden")
        return Continue(set_headers=(("x-word", f"{self._word} {self._now():.0f}"),))


KEYWORD = BuiltPlugin(
    type=PluginType(
        name="keyword",
        priority=2000,
        version="1.0.0",
        config=record({"word": string(description="What to say.", required=True)}),
        scopes=frozenset({"route"}),
    ),
    compiler=KeywordCompiler(),
    prepare=Keyword,
    issuers=lambda plugin: [replace(ISSUER, plugin_ids=(plugin.id,))],
)
ROWS = (*PLUGINS, KEYWORD)


def stored(name: str = "keyword", id_: str = ID, **config: Any) -> Plugin:
    """A plugin as the Admin API stores it. Raises SchemaViolation."""
    schema = entity_schemas([row.type for row in ROWS])["plugins"]
    made = Makings(1, lambda: id_, lambda: "r" * 32)
    document = schema.draft_new({"name": name, "config": config}, made)
    schema.check(document)
    return Plugin.from_document(document)


def compiled(*plugins: Plugin) -> Compiled:
    snapshot = entities.snapshot(
        services=[entities.service(name="s")],
        routes=[entities.route(name="r", service="s", paths=["/"])],
        plugins=plugins,
    )
    return compile_gateway(snapshot, {}, CompileSettings(), ROWS)


def test_its_schema_checks_what_is_configured() -> None:
    assert stored(word="open").config == {"word": "open"}
    with pytest.raises(SchemaViolation, match="word"):
        stored()


async def test_it_is_compiled_prepared_and_asked(tmp_path: Path) -> None:
    gateway = compiled(stored(word="open")).gateway
    [(policy_id, policy)] = gateway.policies.items()
    (tmp_path / f"policy-{policy_id}.json").write_bytes(policy.to_json())
    log = SimpleNamespace(
        warning=lambda *_, **__: None,
        debug=lambda *_, **__: None,
        is_enabled_for=lambda _: True,
    )
    service = application.create_app(
        policy_dir=tmp_path,
        shared_state_path=tmp_path / "state.db",
        revocations_path=tmp_path / "revoked",
        replay_limit_s=60,
        control_socket=tmp_path / "control.sock",
        log=log,  # type: ignore[arg-type]
        metrics=SimpleNamespace(decided=lambda **_: None),
        http_client=SimpleNamespace(),  # type: ignore[arg-type]
        plugins=ROWS,
    )
    refused = await ask(service, check_request(policy_id))
    assert refused.status == 403
    response = await ask(service, check_request(policy_id, ("x-say", "open")))
    assert response.allows
    word, now_s = dict(response.headers("set"))["x-word"].split()
    assert (word, abs(float(now_s) - time.time()) < 60) == ("open", True)


def test_it_runs_in_the_order_of_its_priority() -> None:
    openid = stored("openid-connect", "00000000-0000-4000-8000-000000000003", issuer="https://i.x")
    [policy] = compiled(openid, stored(word="open")).gateway.policies.values()
    assert [step.plugin for step in policy.steps] == ["keyword", OPENID_CONNECT.name]


def test_control_fetches_what_it_wants_once_for_all_who_want_it() -> None:
    one, two = (stored(id_=ID[:-1] + end, word="open") for end in "45")
    [wanted] = issuer_requests([one, two, replace(one, id="off", enabled=False)], ROWS)
    assert wanted.plugin_ids == (one.id, two.id)
    assert issuer_requests([one], PLUGINS) == [], "a plugin that is not built wants nothing"


def test_an_instance_whose_issuers_fail_takes_no_other_with_it() -> None:
    good, broken = (stored(id_=ID[:-1] + end, word="open") for end in "45")
    row = next(row for row in ROWS if row.name == good.name)

    def issuers(plugin: Plugin) -> Iterable[IssuerRequest]:
        if plugin is broken:
            raise KeyError("a field")
        return row.issuers(plugin)

    [wanted] = issuer_requests([broken, good], [replace(row, issuers=issuers)])
    assert wanted.plugin_ids == (good.id,)
