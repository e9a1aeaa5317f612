"""The Lua filters spell names out; they must be those that Python uses."""

from __future__ import annotations

import re
from importlib.resources import files

from scopegate.envoy import names
from scopegate.ir import policy_dialogue as dialogue

APPLY = files("scopegate.envoy").joinpath("apply.lua").read_text()


def literals(pattern: str) -> set[str]:
    return set(re.findall(rf'"({pattern})"', APPLY))


def test_apply_does_all_that_the_policy_service_may_say_and_takes_it_away() -> None:
    taken = set(re.findall(r'take\(sent, "([^"]+)"\)', APPLY))
    assert taken == set(dialogue.APPLIED)
    assert literals("x-scopegate-[a-z-]+") == taken | {dialogue.DECIDED}


def test_apply_looks_for_the_decision_where_the_asking_filters_put_it() -> None:
    assert f'headers():get("{dialogue.DECIDED}")' in APPLY
    assert f'decided == "{dialogue.YES}" or decided == "{dialogue.YES_CHANGED}"' in APPLY


def test_apply_knows_the_other_words() -> None:
    assert f'body == "{dialogue.DROP}"' in APPLY
    assert literals("x-kong-[a-z-]+") == {names.REQUEST_ID}
