"""What a policy knows of its issuer, and when it asks control for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from scopegate.ir.policy import canonical_json, content_id
from scopegate.oidc.errors import UnknownKey
from scopegate.oidc.issuer_facts import Endpoints, IssuerFacts, Origin
from scopegate.oidc.reasons import Reason
from scopegate.plugins.openid_connect.issuer import Issuer, KnownIssuer

ISSUER = "https://idp.example"


def facts(generation: int) -> Mapping[str, Any]:
    """What control knows after so many rotations."""
    methods = (str(generation),)
    return IssuerFacts(ISSUER, Origin.DOCUMENT, code_challenge_methods=methods).to_json()


class Control:
    """Gives each generation of facts in turn to whoever has the one before."""

    def __init__(self, newest: int) -> None:
        self.newest = newest
        self.asked: list[str | None] = []

    def suspect(self, _: str) -> None:
        raise AssertionError("no token call was made")

    async def refresh(
        self, _: str, known_id: str | None, key_id: str | None = None
    ) -> Mapping[str, Any] | None:
        self.asked.append(key_id)
        ids = [content_id(canonical_json(facts(number))) for number in range(self.newest)]
        return facts(ids.index(known_id) + 1) if known_id in ids else None


def verify(generation: int) -> Any:
    """The check of a token whose key came with that generation."""

    def check(known: KnownIssuer) -> str:
        if int(known.facts.code_challenge_methods[0]) < generation:
            raise UnknownKey(Reason.KEY_UNKNOWN, "unknown", key_id="new key")
        return "good"

    return check


async def test_newer_facts_that_lack_the_key_are_not_the_last_word() -> None:
    control = Control(newest=2)
    issuer = Issuer("k", facts(0), (), Endpoints(), control)
    assert await issuer.check(verify(2)) == "good"
    assert control.asked == ["new key"] * 2
    assert await issuer.check(verify(2)) == "good"
    assert len(control.asked) == 2, "what was learned is kept"


async def test_an_unknown_key_costs_two_questions_at_most() -> None:
    control = Control(newest=9)
    issuer = Issuer("k", facts(0), (), Endpoints(), control)
    with pytest.raises(UnknownKey):
        await issuer.check(verify(9))
    assert len(control.asked) == 2
