from __future__ import annotations

import json
from typing import Any

import pytest

from support.contract import ROUTER_CASES

from .conftest import SCHEMAS, fault, post, refusal

ID = "11111111-1111-4111-8111-111111111111"


def test_a_route_has_kongs_defaults() -> None:
    assert post("routes", {"paths": ["/a"]}) == {
        "id": "00000000-0000-4000-8000-000000000001",
        "created_at": 1000,
        "updated_at": 1000,
        "name": None,
        "protocols": ["http", "https"],
        "https_redirect_status_code": 426,
        "strip_path": True,
        "preserve_host": False,
        "request_buffering": True,
        "response_buffering": True,
        "tags": None,
        "service": None,
        "snis": None,
        "sources": None,
        "destinations": None,
        "methods": None,
        "hosts": None,
        "paths": ["/a"],
        "headers": None,
        "regex_priority": 0,
        "path_handling": "v0",
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {},
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is "
            "'https'",
        ),
        (
            {"protocols": ["http"]},
            "must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'",
        ),
        (
            {"protocols": ["grpcs"]},
            "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'",
        ),
        (
            {"protocols": ["grpc"]},
            "must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'",
        ),
        (
            {"paths": [], "methods": [], "headers": {}},
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is "
            "'https'",
        ),
    ],
)
def test_a_route_must_match_something(sent: dict[str, Any], message: str) -> None:
    assert fault("routes", sent) == message


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a"], "paths.1: should start with: / (fixed path) or ~/ (regex path)"),
        (["/a", "~a"], "paths.2: should start with: / (fixed path) or ~/ (regex path)"),
        (["/a//b"], "paths.1: must not have empty segments"),
        (["/a/../b"], "paths.1: non-normalized path, consider use '/b' instead"),
        (["/a/./b"], "paths.1: non-normalized path, consider use '/a/b' instead"),
        (["/%61"], "paths.1: non-normalized path, consider use '/a' instead"),
        (["/a%2fb"], "paths.1: non-normalized path, consider use '/a%2Fb' instead"),
        (["/a%zz"], "paths.1: invalid url-encoded value: '%zz'"),
        (["/a\n"], "paths.1: must not contain control characters"),
        (["/a", "~/(?=x)"], "paths.2: invalid regex: '/(?=x)' (look-ahead is not supported)"),
        ([5], "paths.1: expected a string"),
        (["/a", None], "paths.2: required field missing"),
        ("/a", "paths: expected an array"),
    ],
)
def test_a_wrong_path_is_named_by_its_place_from_one(paths: Any, message: str) -> None:
    assert fault("routes", {"paths": paths, "methods": ["GET"]}) == message


def test_a_regex_that_does_not_parse_starts_as_clients_expect() -> None:
    message = refusal("routes", {"paths": ["~/[[["]})
    assert message.startswith("schema violation (paths.1: invalid regex:")


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (["*.a.*"], "hosts.1: invalid wildcard: must have at most one wildcard"),
        (["a.*.b"], "hosts.1: invalid wildcard: must be placed at leftmost or rightmost label"),
        (["*a.b"], "hosts.1: invalid wildcard: must be placed at leftmost or rightmost label"),
        (["a b"], "hosts.1: invalid hostname: a b"),
        (["a..b"], "hosts.1: invalid hostname: a..b"),
        (["a:99999"], "hosts.1: invalid port number"),
        (["1.2.3"], "hosts.1: invalid ipv4 address: 1.2.3"),
        (["::x"], "hosts.1: invalid ipv6 address: ::x"),
    ],
)
def test_a_wrong_host_is_named(hosts: list[str], message: str) -> None:
    assert fault("routes", {"hosts": hosts}) == message


@pytest.mark.parametrize(
    "host",
    [
        "a",
        "a.example",
        "a.example.",
        "*.a.example",
        "a.*",
        "a.example:8000",
        "10.0.0.1:80",
        "::1",
        "[::1]:80",
        "*.a.example:80",
        "a_b.example",
    ],
)
def test_hosts_with_ports_wildcards_and_addresses_are_taken(host: str) -> None:
    assert post("routes", {"hosts": [host]})["hosts"] == [host]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"methods": ["get"]}, "methods.1: invalid value: get"),
        ({"methods": ["GET\n"]}, "methods.1: invalid value: GET\n"),
        (
            {"headers": {"Host": ["a"]}},
            "headers: cannot contain 'host' header, which must be specified in the 'hosts' "
            "attribute",
        ),
        (
            {"headers": {"a b": ["a"]}},
            "headers: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
        ),
        (
            {"headers": {"a" * 129: ["a"]}},
            "headers: a header name of 129 characters: no more than 128 work",
        ),
        ({"headers": {"a": "b"}}, "headers: expected an array"),
        ({"headers": {"a": []}}, "headers: length must be at least 1"),
        ({"headers": {"a": ["b", 5]}}, "headers.2: expected a string"),
        (
            {"headers": {"a": ["~*(?!x)"]}},
            "headers.1: invalid regex: '(?!x)' (look-ahead is not supported)",
        ),
        ({"headers": []}, "headers: expected a map"),
        ({"snis": ["1.2.3.4"]}, "snis.1: must not be an IP"),
        ({"snis": ["a.*.b"]}, "snis.1: wildcard must be leftmost or rightmost character"),
        ({"snis": ["a:1"]}, "snis.1: must not have a port"),
        ({"protocols": []}, "protocols: length must be at least 1"),
        ({"protocols": None}, "protocols: required field missing"),
        ({"protocols": ["foo"]}, "protocols: unknown type: foo"),
        (
            {"protocols": ["http", "grpc"]},
            "protocols: these sets are mutually exclusive: ('http', 'https'), ('grpc', 'grpcs')",
        ),
        (
            {"https_redirect_status_code": 303},
            "https_redirect_status_code: expected one of: 426, 301, 302, 307, 308",
        ),
        ({"regex_priority": 1.5}, "regex_priority: expected an integer"),
        ({"regex_priority": 2**53 + 2}, "regex_priority: expected an integer"),
        ({"regex_priority": 10**400}, "regex_priority: expected an integer"),
        ({"strip_path": None}, "strip_path: required field missing"),
        ({"service": "a"}, "service.id: missing primary key"),
    ],
)
def test_a_wrong_field_is_named(sent: dict[str, Any], message: str) -> None:
    assert fault("routes", {"paths": ["/a"], **sent}) == message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {"protocols": ["tcp"]},
            "protocols.1: 'tcp' is not supported yet (supported: grpc, grpcs, http, https)",
        ),
        ({"sources": [{"ip": "10.0.0.0/8"}]}, "sources: not supported yet; leave it unset"),
        ({"destinations": [{"port": 5}]}, "destinations: not supported yet; leave it unset"),
        ({"path_handling": "v1"}, "path_handling: 'v1' is not supported yet (supported: v0)"),
    ],
)
def test_what_does_not_work_yet_is_refused_by_name(sent: dict[str, Any], message: str) -> None:
    assert fault("routes", {"paths": ["/a"], **sent}) == message


def test_snis_need_tls() -> None:
    sent = {"paths": ["/a"], "snis": ["*.a.example"]}
    assert post("routes", {**sent, "protocols": ["https"]})["snis"] == ["*.a.example"]
    assert refusal("routes", {**sent, "protocols": ["http"]}) == (
        "2 schema violations ('snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' "
        "or 'tls_passthrough'; snis: length must be 0)"
    )


def test_grpc_routes_never_strip_and_have_no_methods() -> None:
    sent = {"protocols": ["grpc", "grpcs"], "paths": ["/a"]}
    assert post("routes", sent)["strip_path"] is False
    assert fault("routes", {**sent, "strip_path": True}) == (
        "strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'"
    )
    assert fault("routes", {**sent, "methods": ["GET"]}) == (
        "methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'"
    )


def test_a_foreign_key_is_kept_as_an_id_alone() -> None:
    sent = {"paths": ["/a"], "service": {"id": ID, "name": "x"}}
    assert post("routes", sent)["service"] == {"id": ID}


def test_patching_paths_replaces_the_list() -> None:
    stored = post("routes", {"paths": ["/a", "/b"], "headers": {"x": ["1"]}})
    changed = SCHEMAS["routes"].draft_changed(stored, {"paths": ["/c"], "headers": None}, 2000)
    assert (changed["paths"], changed["headers"]) == (["/c"], None)


def test_every_regex_of_kongs_router_cases_is_taken() -> None:
    patterns = {
        path
        for case in json.loads(ROUTER_CASES.read_text())
        for entry in case["routes"]
        for path in entry["route"].get("paths") or ()
        if path.startswith("~/")
    }
    assert len(patterns) > 10
    for pattern in patterns:
        assert post("routes", {"paths": [pattern]})["paths"] == [pattern]
