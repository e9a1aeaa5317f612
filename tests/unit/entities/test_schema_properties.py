"""What holds for every document of every kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scopegate.admin.arguments import nest
from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.schema import Document, EntitySchema
from scopegate.entities.violations import SchemaViolation
from scopegate.plugins.openid_connect.config import FIELDS
from scopegate.plugins.registry import PLUGIN_TYPES
from support.schema_strategies import as_form, documents_of

SCHEMAS = entity_schemas(PLUGIN_TYPES)
MAKINGS = Makings(1000, lambda: "00000000-0000-4000-8000-000000000001", lambda: "r" * 32)
LATER = Makings(2000, lambda: "00000000-0000-4000-8000-000000000002", lambda: "q" * 32)

patient = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def sent_to(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    """What a client might send, mostly good."""
    base = {
        "services": {"host": "a.example"},
        "routes": {"paths": ["/a"]},
        "consumers": {"username": "u"},
    }
    if kind == "plugins":
        return documents_of(FIELDS).map(
            lambda config: {
                "name": "openid-connect",
                "config": {"issuer": "https://idp.example", **config},
            }
        )
    return documents_of(SCHEMAS[kind].fields).map(lambda part: {**base[kind], **part})


def made(schema: EntitySchema, sent: dict[str, Any]) -> Document:
    """The stored document, where the parts go together."""
    try:
        document = schema.draft_new(sent, MAKINGS)
        schema.check(document)
    except SchemaViolation:
        assume(False)
    return document


@pytest.mark.parametrize("kind", SCHEMAS)
@patient
@given(data=st.data())
def test_a_document_holds_what_was_sent_and_defaults_for_the_rest(
    kind: str, data: st.DataObject
) -> None:
    schema = SCHEMAS[kind]
    sent = data.draw(sent_to(kind))
    document, plain = made(schema, sent), made(schema, data.draw(st.just(_least(kind))))
    config = sent.pop("config", {})
    for name, value in document.items():
        if name in sent:
            assert value == sent[name]
        elif name != "config" and name not in _least(kind) and "protocols" not in sent:
            assert value == plain[name]
    for name, value in document.get("config", {}).items():
        assert value == config.get(name, plain["config"][name])


@pytest.mark.parametrize("kind", SCHEMAS)
@patient
@given(data=st.data())
def test_a_put_of_a_get_changes_nothing_but_the_time(kind: str, data: st.DataObject) -> None:
    schema = SCHEMAS[kind]
    document = made(schema, data.draw(sent_to(kind)))
    shown = json.loads(json.dumps(schema.show(document)))
    again = schema.draft_new(shown, LATER)
    schema.check(again)
    assert again == {**document, "updated_at": 2000}


@pytest.mark.parametrize("kind", SCHEMAS)
@patient
@given(data=st.data())
def test_a_patch_sets_what_it_says_and_leaves_the_rest(kind: str, data: st.DataObject) -> None:
    schema = SCHEMAS[kind]
    document = made(schema, data.draw(sent_to(kind)))
    patch = data.draw(sent_to(kind))
    changed = schema.draft_changed(document, patch, 2000)
    config = patch.pop("config", {})
    expected = {**document, **patch, "updated_at": 2000}
    if "config" in document:
        expected["config"] = {**document["config"], **config}
    assert changed == expected


@pytest.mark.parametrize("kind", SCHEMAS)
@patient
@given(data=st.data())
def test_a_form_says_the_same_as_json(kind: str, data: st.DataObject) -> None:
    sent = data.draw(sent_to(kind))
    assert SCHEMAS[kind].infer(nest(as_form(sent))) == sent


@patient
@given(
    name=st.text("ab.[]1% ", min_size=1, max_size=12),
    texts=st.lists(st.text(max_size=3), min_size=1, max_size=3),
)
def test_any_name_of_an_argument_leads_somewhere(name: str, texts: list[str]) -> None:
    found = nest([(name, text) for text in texts])

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for part in value.values() for leaf in leaves(part)]
        if isinstance(value, list):
            return [leaf for part in value for leaf in leaves(part)]
        return [value]

    assert leaves(found) == texts


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("kind", SCHEMAS)
@patient
@given(data=st.data())
def test_nothing_that_is_sent_breaks_the_checks(kind: str, data: st.DataObject) -> None:
    """Whatever the types: a document, or a violation whose message and JSON can be written."""
    schema = SCHEMAS[kind]
    names = st.sampled_from([*schema.fields, *schema.shorthands, "nobody"])
    sent = data.draw(st.dictionaries(names, json_values, max_size=5))
    if kind == "plugins":
        config_names = st.sampled_from([*FIELDS, *PLUGIN_TYPES[0].config.shorthands])
        config = data.draw(st.dictionaries(config_names, json_values, max_size=5))
        sent = {**sent, "name": "openid-connect", "config": config}
    try:
        document = schema.draft_new(sent, MAKINGS)
        schema.check(document)
    except SchemaViolation as violation:
        assert "schema violation" in violation.message
    else:
        json.dumps(schema.show(document), allow_nan=False)


def _least(kind: str) -> dict[str, Any]:
    return {
        "services": {"host": "a.example"},
        "routes": {"paths": ["/a"]},
        "consumers": {"username": "u"},
        "plugins": {"name": "openid-connect", "config": {"issuer": "https://idp.example"}},
    }[kind]
