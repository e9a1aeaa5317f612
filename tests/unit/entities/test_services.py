from __future__ import annotations

from typing import Any

import pytest

from .conftest import SCHEMAS, fault, post, refusal

ID = "11111111-1111-4111-8111-111111111111"


def test_a_service_has_kongs_defaults() -> None:
    assert post("services", {"host": "a.example"}) == {
        "id": "00000000-0000-4000-8000-000000000001",
        "created_at": 1000,
        "updated_at": 1000,
        "name": None,
        "retries": 5,
        "protocol": "http",
        "host": "a.example",
        "port": 80,
        "path": None,
        "connect_timeout": 60000,
        "write_timeout": 60000,
        "read_timeout": 60000,
        "tags": None,
        "client_certificate": None,
        "tls_verify": None,
        "tls_verify_depth": None,
        "ca_certificates": None,
        "enabled": True,
    }


@pytest.mark.parametrize(
    ("url", "protocol", "host", "port", "path"),
    [
        ("http://a.example", "http", "a.example", 80, None),
        ("https://a.example/x/y", "https", "a.example", 443, "/x/y"),
        ("https://a.example:8443/", "https", "a.example", 8443, "/"),
        ("HTTPS://a.example", "https", "a.example", 443, None),
        ("//a.example:443/x", "https", "a.example", 443, "/x"),
        ("//a.example:80", "http", "a.example", 80, None),
        ("//a.example:99", "http", "a.example", 99, None),
        ("http://[::1]:8080/x", "http", "::1", 8080, "/x"),
        ("grpc://a.example:9000", "grpc", "a.example", 9000, None),
    ],
)
def test_url_stands_for_four_fields(
    url: str, protocol: str, host: str, port: int, path: str | None
) -> None:
    document = post("services", {"url": url})
    assert (document["protocol"], document["host"], document["port"], document["path"]) == (
        protocol,
        host,
        port,
        path,
    )
    assert "url" not in document


def test_url_wins_over_its_parts() -> None:
    document = post("services", {"url": "http://a.example/x", "host": "b", "path": "/y"})
    assert (document["host"], document["path"]) == ("a.example", "/x")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "invalid url",
            "2 schema violations (host: required field missing; path: should start with: /)",
        ),
        ("", "schema violation (url: length must be at least 1)"),
        (None, "schema violation (url: required field missing)"),
        (5, "schema violation (url: expected a string)"),
        ("http://u:p@a.example", "schema violation (url: must not have a user name or password)"),
        ("http://a.example/?x=1", "schema violation (url: must not have a query or a fragment)"),
        ("http://a.example:x", "schema violation (port: expected an integer)"),
        ("http://a.example:70000", "schema violation (port: value should be between 0 and 65535)"),
    ],
)
def test_a_wrong_url_is_refused(url: Any, message: str) -> None:
    assert refusal("services", {"url": url}) == message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"host": None}, "host: required field missing"),
        ({"host": ""}, "host: length must be at least 1"),
        ({"host": "a.example:80"}, "host: must not have a port"),
        ({"host": "a.example:99999"}, "host: must not have a port"),
        ({"host": "a b"}, "host: invalid value: a b"),
        ({"host": "-a-.example"}, "host: invalid value: -a-.example"),
        ({"host": "1.2.3.400"}, "host: invalid value: 1.2.3.400"),
        ({"host": "::g"}, "host: invalid value: ::g"),
        ({"port": 65536}, "port: value should be between 0 and 65535"),
        ({"port": "80"}, "port: expected an integer"),
        ({"port": 80.5}, "port: expected an integer"),
        ({"port": True}, "port: expected an integer"),
        ({"retries": -1}, "retries: value should be between 0 and 32767"),
        (
            {"read_timeout": 0},
            "read_timeout: value should be between 1 and 2147483646",
        ),
        (
            {"protocol": "gopher"},
            "protocol: expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp, "
            "ws, wss",
        ),
        ({"path": "x"}, "path: should start with: /"),
        ({"path": "/x//y"}, "path: must not have empty segments"),
        (
            {"path": "/x y"},
            "path: invalid path: '/x y' (characters outside of the reserved list of RFC 3986 "
            "found)",
        ),
        ({"path": "/x%2"}, "path: invalid url-encoded value: '%2'"),
        (
            {"name": "a b"},
            "name: invalid value 'a b': the only accepted ascii characters are alphanumerics or "
            "., -, _, and ~",
        ),
        ({"path": "/" + "a" * 4096}, "path: longer than 4096 bytes"),
        ({"host": "a" * 64}, f"host: invalid value: {'a' * 64}"),
        ({"host": "abc." * 64}, f"host: invalid value: {'abc.' * 64}"),
        ({"tags": "a"}, "tags: expected a set"),
        (
            {"tags": ["a", "b,c"]},
            "tags.2: invalid tag 'b,c': expected printable ascii (except `,` and `/`) or valid "
            "utf-8 sequences",
        ),
        ({"tags": [None]}, "tags.1: required field missing"),
        ({"enabled": None}, "enabled: required field missing"),
        ({"enabled": "true"}, "enabled: expected a boolean"),
        ({"id": "x"}, "id: expected a valid UUID"),
        ({"created_at": "x"}, "created_at: expected an integer"),
        ({"created_at": 0}, "created_at: expected a valid timestamp"),
        ({"garbage": 1}, "garbage: unknown field"),
        (
            {"tls_verify_depth": 2, "protocol": "https"},
            "tls_verify_depth: not supported yet; leave it unset",
        ),
    ],
)
def test_a_wrong_field_is_named(sent: dict[str, Any], message: str) -> None:
    assert fault("services", {"host": "a.example", **sent}) == message


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            {"protocol": "tcp"},
            "protocol: 'tcp' is not supported yet (supported: grpc, grpcs, http, https)",
        ),
        (
            {"protocol": "ws"},
            "protocol: 'ws' is not supported yet (supported: grpc, grpcs, http, https)",
        ),
        (
            {"protocol": "https", "client_certificate": {"id": ID}},
            "client_certificate: not supported yet; leave it unset",
        ),
        (
            {"protocol": "https", "ca_certificates": [ID]},
            "ca_certificates: not supported yet; leave it unset",
        ),
    ],
)
def test_what_does_not_work_yet_is_refused_by_name(sent: dict[str, Any], message: str) -> None:
    assert fault("services", {"host": "a.example", **sent}) == message


def test_tls_verify_belongs_to_https() -> None:
    sent = {"host": "a", "protocol": "https", "tls_verify": True}
    assert post("services", sent)["tls_verify"] is True
    for protocol in ("http", "grpcs"):
        assert refusal("services", {**sent, "protocol": protocol}) == (
            "2 schema violations (failed conditional validation given value of field 'protocol'; "
            "tls_verify: value must be null)"
        )


def test_grpc_services_have_no_path() -> None:
    assert refusal("services", {"url": "grpc://a.example/x"}) == (
        "2 schema violations (failed conditional validation given value of field 'protocol'; "
        "path: value must be null)"
    )


def test_whole_numbers_stay_whole_and_tags_stand_once() -> None:
    document = post("services", {"host": "a", "port": 8080.0, "tags": ["b", "a", "b"]})
    assert repr(document["port"]) == "8080"
    assert document["tags"] == ["b", "a"]


def test_ids_are_kept_in_lower_case() -> None:
    assert post("services", {"host": "a", "id": ID.replace("1", "A")})["id"] == ID.replace("1", "a")


def test_patching_the_url_replaces_all_four_parts() -> None:
    schema = SCHEMAS["services"]
    stored = post("services", {"url": "https://a.example:8443/x"})
    changed = schema.draft_changed(stored, {"url": "http://b.example"}, 2000)
    schema.check(changed)
    assert (changed["protocol"], changed["host"], changed["port"], changed["path"]) == (
        "http",
        "b.example",
        80,
        None,
    )


def test_a_document_from_an_older_version_is_shown_whole() -> None:
    stored = post("services", {"host": "a"})
    del stored["enabled"], stored["tls_verify"]
    schema = SCHEMAS["services"]
    completed = schema.complete({**stored, "ws_id": "x"})
    assert completed == {**post("services", {"host": "a"}), "ws_id": "x"}
    assert "ws_id" not in schema.show(completed)
