from typing import Any

import pytest

from scopegate.plugins.openid_connect.requirements import Requirements

CONFIG: dict[str, Any] = {
    "scopes_required": None,
    "scopes_claim": ["scope"],
    "audience_required": None,
    "audience_claim": ["aud"],
    "groups_required": None,
    "groups_claim": ["groups"],
    "roles_required": None,
    "roles_claim": ["roles"],
    "claims_forbidden": None,
}


def requirements(**config: Any) -> Requirements:
    return Requirements.from_config(CONFIG | config)


def test_the_log_line_lists_the_scopes_found_in_the_tokens_own_order() -> None:
    unmet = requirements(scopes_required=["kong_api_access"]).unmet(
        {"scope": "openid profile email"}
    )
    assert unmet is not None
    assert unmet.reason == "scopes_missing"
    assert unmet.detail == "required scopes were not found [ openid, profile, email ]"
    assert unmet.scope == "kong_api_access"
    assert unmet.required == ("kong_api_access",)


@pytest.mark.parametrize(
    ("required", "scope", "passes"),
    [
        (["a"], "a", True),
        (["a"], "b a", True),
        (["a b"], "a", False),
        (["a b"], "b a c", True),
        (["a b", "c"], "c", True),
        (["a", "b"], "b", True),
        (["kong"], "kong_api", False),
        (["a"], None, False),
        (["a"], 1, False),
        (["1"], 1, True),
        (["a"], ["a"], True),
        (["a"], ["a b"], False),
        (["a"], {"a": True}, False),
        (["a"], "", False),
        (["a"], "A", False),
    ],
)
def test_entries_are_alternatives_and_words_of_an_entry_are_all_needed(
    required: list[str], scope: Any, passes: bool
) -> None:
    unmet = requirements(scopes_required=required).unmet({"scope": scope})
    assert (unmet is None) is passes


def test_an_opaque_token_carries_nothing() -> None:
    assert requirements(scopes_required=["a"]).unmet(None) is not None
    assert requirements(claims_forbidden=["a"]).unmet(None) is not None
    assert requirements().unmet(None) is None


def test_nested_claim_paths_and_all_four_requirements() -> None:
    rules = requirements(
        roles_required=["admin"],
        roles_claim=["realm_access", "roles"],
        groups_required=["/staff"],
        audience_required=["api"],
    )
    good = {"realm_access": {"roles": ["admin"]}, "groups": ["/staff"], "aud": "api"}
    assert rules.unmet(good) is None
    for claim, reason in (
        ("realm_access", "roles_missing"),
        ("groups", "groups_missing"),
        ("aud", "audience_missing"),
    ):
        unmet = rules.unmet({name: value for name, value in good.items() if name != claim})
        assert unmet is not None
        assert unmet.reason == reason


def test_a_forbidden_claim_refuses_whatever_its_value() -> None:
    rules = requirements(claims_forbidden=["preview"])
    assert rules.unmet({"preview": False}) is not None
    assert rules.unmet({"previews": 1}) is None
