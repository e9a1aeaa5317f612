"""What the operator is told about routes and plugins that do less than they seem to."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.compile.findings import plugin_findings, route_findings
from support import entities


def told(routes: list[dict[str, Any]], plugins: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    snapshot = entities.snapshot(
        services=[entities.service(name="svc")],
        routes=[entities.route(service="svc", **fields) for fields in routes],
        plugins=[entities.plugin(name="openid-connect", **fields) for fields in plugins],
    )
    found = [*plugin_findings(snapshot)]
    for route in snapshot.routes.values():
        found += route_findings(route)
    return [(finding.level, finding.code, finding.message) for finding in found]


@pytest.mark.parametrize("scope", [{"service": "svc"}, {"route": "web"}])
def test_a_route_that_its_plugin_passes_by_is_an_error_that_names_it(scope: dict[str, str]) -> None:
    routes = [{"name": "web", "protocols": ["https"]}]
    ((level, code, message),) = told(routes, [{"protocols": ["http"], **scope}])
    assert (level, code) == ("error", "plugin_protocols_unshared")
    assert message == (
        "does not run on web: none of the plugin's protocols (http) is one of theirs"
    )


def test_of_many_routes_the_first_are_named() -> None:
    routes = [{"name": f"r{number}", "protocols": ["https"]} for number in range(7)]
    routes.append({"name": "good", "protocols": ["http"]})
    ((_, _, message),) = told(routes, [{"protocols": ["http"], "service": "svc"}])
    assert message.startswith("does not run on r0, r1, r2, r3, r4 and 2 more: ")


@pytest.mark.parametrize(
    "plugin",
    [
        {"protocols": ["http", "https"], "service": "svc"},
        {"protocols": ["http"]},  # global: for no route in particular
        {"protocols": ["http"], "service": "svc", "enabled": False},
        {"protocols": ["http"], "service": "another"},
    ],
)
def test_a_plugin_that_runs_or_was_not_meant_for_the_route_is_no_finding(
    plugin: dict[str, Any],
) -> None:
    assert told([{"name": "web", "protocols": ["https"]}], [plugin]) == []


@pytest.mark.parametrize("path", ["/a?b=c", "/a#b"])
def test_a_path_that_no_request_has_is_told(path: str) -> None:
    ((level, code, message),) = told([{"name": "web", "paths": [path]}], [])
    assert (level, code) == ("warning", "path_unmatchable")
    assert path in message


def test_a_question_mark_in_a_regex_is_no_such_path() -> None:
    assert told([{"name": "web", "paths": ["~/a/?$"]}], []) == []


def test_methods_that_the_proxy_does_not_know_are_told() -> None:
    ((level, code, message),) = told([{"name": "web", "methods": ["GET", "FOO", "BAN"]}], [])
    assert (level, code) == ("warning", "method_unmatchable")
    assert message.startswith("BAN, FOO over HTTP/1.1: ")
    assert told([{"name": "web", "methods": ["GET", "PURGE"]}], []) == []
