"""Cookies of several plugins that meet in one browser."""

from __future__ import annotations

import pytest

from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Plugin
from scopegate.ir.gateway import GatewayCookie
from scopegate.ir.policy import Step
from scopegate.plugins.lowering import Context, Lowered
from scopegate.session.cookies import chunk_names
from support import entities
from support.plugins import stand_in


class WithCookies:
    """A compiler whose plugins have the cookies that their configuration names."""

    def lower(self, plugin: Plugin, context: Context) -> Lowered:
        session, *rest = chunk_names(plugin.config["session"])
        login = plugin.config.get("login", "authorization")
        cookies = {GatewayCookie(session, ("m",), tuple(rest)), GatewayCookie(login, ("m",))}
        return Lowered(
            Step(plugin.name, plugin.id, plugin.config), frozenset(), cookies=frozenset(cookies)
        )


def findings(*configs: dict[str, str]) -> list[Finding]:
    plugins = [
        entities.plugin(id=f"p{n}", name="openid-connect", route=f"r{n}", config=config)
        for n, config in enumerate(configs)
    ]
    snapshot = entities.snapshot(plugins=plugins)
    compiled = compile_gateway(snapshot, {}, CompileSettings(()), [stand_in(WithCookies())])
    return list(compiled.findings)


@pytest.mark.parametrize(
    "other",
    [{"session": "session2"}, {"session": "s", "login": "session9"}],
)
def test_a_cookie_named_like_a_piece_of_another_plugins_session_is_told(
    other: dict[str, str],
) -> None:
    for configs in (({"session": "session"}, other), (other, {"session": "session"})):
        (finding,) = findings(*configs)
        assert finding.code == "session_cookies_overlap"
        assert finding.id == f"p{configs.index(other)}"
        assert f"'session' of plugin p{1 - configs.index(other)}" in finding.message


@pytest.mark.parametrize("name", ["session", "session1", "session22", "Session2", "s2"])
def test_equal_names_and_other_names_are_no_finding(name: str) -> None:
    assert findings({"session": "session"}, {"session": name}) == []
