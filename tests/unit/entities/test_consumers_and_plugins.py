from __future__ import annotations

import copy
from typing import Any

import pytest

from scopegate.entities.fields import record, string
from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.plugins import PluginType

from .conftest import MAKINGS, SCHEMAS, fault, post, refusal

ID = "11111111-1111-4111-8111-111111111111"
PLUGIN: dict[str, Any] = {
    "name": "openid-connect",
    "config": {"issuer": "https://idp.example"},
}


def test_a_consumer_has_kongs_fields() -> None:
    assert post("consumers", {"custom_id": "c"}) == {
        "id": "00000000-0000-4000-8000-000000000001",
        "created_at": 1000,
        "updated_at": 1000,
        "username": None,
        "custom_id": "c",
        "tags": None,
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "at least one of these fields must be non-empty: 'custom_id', 'username'"),
        ({"username": "a\r\nX-Admin: 1"}, "username: must not contain control characters"),
        ({"custom_id": "a\x00"}, "custom_id: must not contain control characters"),
        ({"username": 5}, "username: expected a string"),
        ({"username": "é" * 2049}, "username: longer than 4096 bytes"),
        ({"username": "a", "@entity": 3}, "'@entity': unknown field"),
    ],
)
def test_a_wrong_consumer_is_refused(sent: dict[str, Any], message: str) -> None:
    assert fault("consumers", sent) == message


def test_a_plugin_shows_what_only_kongs_enterprise_edition_sets_as_null() -> None:
    document = post("plugins", PLUGIN)
    del document["config"]
    assert document == {
        "id": "00000000-0000-4000-8000-000000000001",
        "name": "openid-connect",
        "instance_name": None,
        "created_at": 1000,
        "updated_at": 1000,
        "route": None,
        "service": None,
        "consumer": None,
        "consumer_group": None,
        "protocols": ["grpc", "grpcs", "http", "https"],
        "enabled": True,
        "tags": None,
        "ordering": None,
        "condition": None,
        "partials": None,
    }


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"name": None}, "name: required field missing"),
        (
            {"name": "acme"},
            "name: plugin 'acme' not enabled; add it to the 'plugins' configuration property",
        ),
        (
            {"name": 5},
            "name: plugin '5' not enabled; add it to the 'plugins' configuration property",
        ),
        ({"config": None}, "config: required field missing"),
        ({"config": "x"}, "config: expected a record"),
        ({"config": {}}, "config.issuer: required field missing"),
        ({"consumer": {"id": ID}}, "consumer: value must be null"),
        ({"protocols": ["tcp"]}, "protocols.1: expected one of: grpc, grpcs, http, https"),
        ({"protocols": []}, "protocols: length must be at least 1"),
        (
            {"ordering": {"before": {"access": ["cors"]}}},
            "ordering: not supported yet; leave it unset",
        ),
        ({"condition": "x"}, "condition: not supported yet; leave it unset"),
        ({"partials": [{"id": ID}]}, "partials: not supported yet; leave it unset"),
        ({"consumer_group": {"id": ID}}, "consumer_group: not supported yet; leave it unset"),
        (
            {"instance_name": "a b"},
            "instance_name: invalid value 'a b': the only accepted ascii "
            "characters are alphanumerics or ., -, _, and ~",
        ),
    ],
)
def test_a_wrong_plugin_is_refused(sent: dict[str, Any], message: str) -> None:
    assert fault("plugins", {**PLUGIN, **sent}) == message


def test_a_field_named_like_the_place_for_errors_of_the_whole_is_one_error_among_others() -> None:
    assert refusal("consumers", {"@entity": 3}) == (
        "2 schema violations ('@entity': unknown field; "
        "at least one of these fields must be non-empty: 'custom_id', 'username')"
    )
    config = {**PLUGIN["config"], "@entity": 3}
    assert fault("plugins", {**PLUGIN, "config": config}) == "config: '@entity': unknown field"


def test_a_missing_name_hides_every_other_error() -> None:
    assert fault("plugins", {"garbage": 1}) == "name: required field missing"


def test_a_plugin_from_an_older_version_is_whole_down_to_the_records_of_its_config() -> None:
    config = {"issuer": "https://a.example", "upstream_headers": [{"header": "X", "path": ["a"]}]}
    whole = post("plugins", {**PLUGIN, "config": config})
    stored = copy.deepcopy(whole)
    del stored["protocols"], stored["config"]["leeway"], stored["config"]["redis"]["port"]
    del stored["config"]["upstream_headers"][0]["path"], stored["config"]["cache_tokens_salt"]
    completed = SCHEMAS["plugins"].complete(stored)
    whole["config"]["upstream_headers"][0]["path"] = None
    whole["config"]["cache_tokens_salt"] = None  # nothing is made on reading
    assert completed == whole
    assert list(completed["config"]) == list(whole["config"])


def test_a_plugin_that_this_version_does_not_have_is_shown_as_it_is_stored() -> None:
    stored = {**post("plugins", PLUGIN), "name": "gone", "config": {"a": 1}}
    schema = SCHEMAS["plugins"]
    assert schema.show(schema.complete(stored)) == stored


def test_each_plugin_type_brings_its_own_config() -> None:
    types = [
        PluginType(
            name,
            1,
            "1.0.0",
            record({field: string(default="d")}, required=True),
            frozenset({"consumer"}),
        )
        for name, field in (("one", "a"), ("two", "b"))
    ]
    schema = entity_schemas(types)["plugins"]
    makings = Makings(1, MAKINGS.new_uuid, MAKINGS.random_string)
    document = schema.draft_new({"name": "two", "consumer": {"id": ID}}, makings)
    schema.check(document)
    assert document["config"] == {"b": "d"}
    described = {
        name: field for entry in types[0].describe()["fields"] for name, field in entry.items()
    }
    assert described["service"]["eq"] is None
    assert "consumer" not in described
