"""The fields of the configuration against the contract, decK and the reference page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scopegate.entities.fields import Field
from scopegate.plugins.openid_connect.config import CONFIG, FIELDS
from scopegate.plugins.openid_connect.config_fields.client_fields import AUTH_METHODS
from scopegate.plugins.openid_connect.reference import PAGE, reference_page
from scopegate.plugins.registry import OPENID_CONNECT
from support.contract import OPENID_CONNECT_FIELDS
from unit.plugins.openid_connect.configs import ISSUER, configured, fault, shown

CONTRACT: dict[str, dict[str, Any]] = json.loads(OPENID_CONNECT_FIELDS.read_text())


def test_every_field_of_the_contract_is_known_and_no_other() -> None:
    assert set(FIELDS) == set(CONTRACT)
    assert len(FIELDS) == 234


@pytest.mark.parametrize("name", CONTRACT)
def test_a_field_is_what_the_contract_says(name: str) -> None:
    _assert_same(name, FIELDS[name], CONTRACT[name])


def _assert_same(name: str, field: Field, told: dict[str, Any]) -> None:
    assert field.type == {"object": "record"}.get(told["type"], told["type"]), name
    default = told.get("default")
    if isinstance(default, list):  # the contract's lists are sorted, Kong's are not
        assert sorted(field.default) == sorted(default), name
    else:
        assert field.default == default, name
    assert sorted(field.one_of) == sorted(told.get("enum", [])), name
    assert field.encrypted == told.get("encrypted", False), name
    assert field.referenceable == told.get("referenceable", False), name
    if "minimum" in told:
        assert field.between == (told["minimum"], told["maximum"]), name
    if "items" in told:
        assert field.elements is not None
        _assert_same(f"{name}[]", field.elements, told["items"])
    properties = told.get("properties", {})
    assert set(field.fields) == set(properties), name
    for part, told_part in properties.items():
        _assert_same(f"{name}.{part}", field.fields[part], told_part)
    assert all(field.fields[part].required for part in told.get("required", ())), name


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("auth_methods", list(AUTH_METHODS)),
        ("bearer_token_param_type", ["header", "query", "body"]),
        ("refresh_token_param_type", ["header", "query", "body"]),
        ("consumer_by", ["username", "custom_id"]),
        ("logout_methods", ["POST", "DELETE"]),
    ],
)
def test_lists_have_kongs_order(name: str, default: list[str]) -> None:
    assert configured()[name] == default


def test_auth_methods_stand_in_the_contracts_order() -> None:
    assert AUTH_METHODS == (
        "password",
        "client_credentials",
        "authorization_code",
        "bearer",
        "introspection",
        "userinfo",
        "kong_oauth2",
        "refresh_token",
        "session",
    )


def test_every_field_has_a_meaning() -> None:
    assert [name for name, field in FIELDS.items() if not field.description] == []


def test_only_the_issuer_must_be_given() -> None:
    config = configured()
    assert set(config) == set(FIELDS)
    assert config["redis"]["host"] == "127.0.0.1"
    assert config["redis"]["prefix"] is None
    assert "prefix" not in config["cluster_cache_redis"]
    assert config["principals"]["enabled"] is False
    assert config["token_exchange"] is None


def test_a_salt_is_made_unless_it_is_sent_even_as_null() -> None:
    assert configured()["cache_tokens_salt"] == "r" * 32
    assert configured(cache_tokens_salt="s")["cache_tokens_salt"] == "s"
    assert configured(cache_tokens_salt=None)["cache_tokens_salt"] is None


def test_null_is_no_answer_to_a_question_with_a_default() -> None:
    for name in ("verify_signature", "ssl_verify", "session_rolling_timeout", "auth_methods"):
        assert fault(**{name: None}) == f"{name}: required field missing"
    for name in ("upstream_access_token_header", "login_tokens"):
        assert configured(**{name: None})[name] is None


def test_defaults_in_the_schema_are_what_is_stored() -> None:
    """decK fills a config from the schema and compares it with the one that is read back."""
    config = next(
        entry["config"] for entry in OPENID_CONNECT.type.describe()["fields"] if "config" in entry
    )
    filled = _fill_as_deck_does(config, {"issuer": ISSUER})
    read = {name: value for name, value in shown().items() if name in filled}
    read["cache_tokens_salt"] = None  # auto: decK sends null
    assert filled == read
    extra = set(shown()) - set(filled)
    assert extra <= {name for entry in config["shorthand_fields"] for name in entry}


def _fill_as_deck_does(schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    filled = dict(given)
    for entry in schema["fields"]:
        ((name, field),) = entry.items()
        if name in given:
            continue
        if field["type"] == "record" and field.get("required"):
            filled[name] = _fill_as_deck_does(field, {})
        else:
            filled[name] = field.get("default")
    return filled


def test_the_plugin_runs_at_kongs_priority() -> None:
    assert (OPENID_CONNECT.name, OPENID_CONNECT.type.priority) == ("openid-connect", 1050)
    assert OPENID_CONNECT.type.scopes == {"service", "route"}
    assert OPENID_CONNECT.type.config is CONFIG


def test_the_committed_reference_page_is_what_the_schema_says() -> None:
    page = Path(__file__).parents[4] / PAGE
    assert page.read_text(encoding="utf-8") == reference_page(), "run scripts/generate-reference"


def test_the_reference_page_has_a_row_for_each_of_the_235_fields() -> None:
    rows = [line for line in reference_page().splitlines() if line.count(" | ") >= 4]
    named = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert named == {*FIELDS, "consumer_claim"}
    assert len(named) == 235
