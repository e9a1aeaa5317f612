"""Behaviours as JSON: read strictly, with the field's name in the error."""

from dataclasses import asdict
from typing import Any

import pytest

from scopegate_demo.idp import Behaviour, Edit, Fault, Signature
from scopegate_demo.idp.behaviour import BehaviourInvalid


def test_json_makes_the_same_behaviour_as_python() -> None:
    behaviour = Behaviour.from_json(
        {
            "faults": {"token": {"status": 500, "times": 2, "delay_s": 1}},
            "discovery": {"set": {"issuer": "http://elsewhere.example"}},
            "id_token": {
                "without": ["nonce"],
                "header": {"set": {"kid": "7"}},
                "signature": "corrupt",
            },
            "refreshed_id_token": {"set": {"sub": "another"}},
            "refuse_refresh": True,
        }
    )
    assert behaviour.faults == {"token": Fault(status=500, times=2, delay_s=1.0)}
    assert behaviour.discovery.set == {"issuer": "http://elsewhere.example"}
    assert behaviour.id_token.header.set == {"kid": "7"}
    assert behaviour.id_token.signature is Signature.CORRUPT
    assert behaviour.refreshed_id_token is not None
    assert behaviour.refreshed_access_token is None
    assert behaviour.refuse_refresh


def test_what_is_not_named_is_well() -> None:
    assert Behaviour.from_json({}) == Behaviour()


def test_a_behaviour_survives_the_way_to_json_and_back() -> None:
    behaviour = Behaviour(faults={"jwks": Fault(hang=True)}, refuse_refresh=True)
    assert Behaviour.from_json(asdict(behaviour)) == behaviour


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "behaviour: expected an object"),
        ({"fault": {}}, "behaviour.fault: no such field"),
        ({"faults": {"tokens": {}}}, "behaviour.faults.tokens: no such endpoint"),
        (
            {"faults": {"token": {"status": "500"}}},
            "behaviour.faults.token.status: expected a whole",
        ),
        (
            {"faults": {"token": {"status": True}}},
            "behaviour.faults.token.status: expected a whole",
        ),
        ({"faults": []}, "behaviour.faults: expected an object"),
        ({"id_token": {"signature": "bad"}}, "behaviour.id_token.signature: expected one of right"),
        ({"id_token": {"without": "nonce"}}, "behaviour.id_token.without: expected a list"),
        ({"id_token": {"without": [1]}}, r"behaviour.id_token.without\[0\]: expected a string"),
        ({"refuse_refresh": 1}, "behaviour.refuse_refresh: expected true or false"),
    ],
)
def test_a_wrong_field_is_named(document: Any, named: str) -> None:
    with pytest.raises(BehaviourInvalid, match=named):
        Behaviour.from_json(document)


def test_an_edit_sets_and_leaves_out_and_spares_the_original() -> None:
    original = {"a": 1, "b": 2}
    assert Edit(set={"c": None}, without=["a"]).apply(original) == {"b": 2, "c": None}
    assert original == {"a": 1, "b": 2}
