"""Reasons: what each member promises, and that the code gives them all and nothing else."""

from __future__ import annotations

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import scopegate
from scopegate.app.reasons_reference import PAGE, SECTIONS, markdown, reference_page
from scopegate.app.settings.table import SETTINGS
from scopegate.envoy.answers import local_replies
from scopegate.envoy.reasons import EnvoyReason
from scopegate.oidc.reasons import Reason
from scopegate.plugins.openid_connect.config import FIELDS
from scopegate.reason_code import ReasonCode, known_reason

SOURCE = Path(scopegate.__file__).parent
REPOSITORY = SOURCE.parents[1]


def _classes() -> list[type[ReasonCode]]:
    """Those of every reasons.py, whether or not the page knows them."""
    found = []
    for path in sorted(SOURCE.rglob("reasons.py")):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        module = importlib.import_module(name)
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, ReasonCode) and kind is not ReasonCode
        ]
    return found


CLASSES = {kind.__name__: kind for kind in _classes()}
MEMBERS = [reason for kind in CLASSES.values() for reason in kind]


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name != "reasons.py":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def _member(node: ast.AST) -> ReasonCode | None:
    """The reason that `Reason.TOKEN_EXPIRED` in the source names."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        kind = CLASSES.get(node.value.id)
        if kind is not None and node.attr in kind.__members__:
            return kind[node.attr]
    return None


FILTER = {
    code: int(status)
    for status, code in re.findall(
        r'^    [A-Z_]+ = (\d+), "(\w+)";$',
        (REPOSITORY / "proxy_filter/src/reasons.rs").read_text(),
        re.MULTILINE,
    )
}
"""What the proxy filter refuses by itself: the reason and the status."""


@pytest.mark.parametrize("reason", MEMBERS)
def test_a_reason_is_a_code_with_sentences(reason: ReasonCode) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]+", reason.value)
    assert reason.value == reason.name.lower()
    sentence = r"[A-Z`].+[.?]"
    assert re.fullmatch(sentence, reason.explanation)
    refuses = any(status >= 400 for status in reason.statuses)
    assert re.fullmatch(sentence, reason.action) or (not refuses and reason.action == "")
    assert reason.explanation.count("`") % 2 == reason.action.count("`") % 2 == 0
    assert all(200 <= status <= 599 for status in reason.statuses)


def test_a_reason_is_its_code_wherever_a_string_is_wanted() -> None:
    reason = Reason.ALG_NONE
    assert f"{reason}" == reason == "alg_none"
    assert {"alg_none": 1}[reason] == 1


def test_a_code_cannot_stand_twice() -> None:
    with pytest.raises(ValueError, match="alg_none: there is such a reason already"):
        ReasonCode("Second", {"ALG_NONE": ("alg_none", 401, "Twice.", "")})


def test_a_code_of_another_process_is_found_again() -> None:
    assert known_reason("alg_none") is Reason.ALG_NONE
    assert known_reason("code_of_a_newer_version") is None


def test_every_reason_is_given_somewhere() -> None:
    given = {_member(node) for _, tree in _sources() for node in ast.walk(tree)}
    assert [reason for reason in MEMBERS if reason not in given and reason not in FILTER] == []


def test_no_code_stands_as_a_bare_string() -> None:
    # Fields of the plugin, settings, and error codes of RFC 6749, that are called like reasons.
    others = {*FIELDS, *(setting.name for setting in SETTINGS), "access_denied", "invalid_grant"}
    codes = {reason.value for reason in MEMBERS if "_" in reason.value} - others
    bare = [
        f"{path.relative_to(SOURCE)}:{node.lineno}: {node.value}"
        for path, tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in codes
    ]
    assert bare == []


def test_what_the_filter_refuses_has_a_reason_of_envoys_and_its_status() -> None:
    assert len(FILTER) > 5
    assert {code: (status,) for code, status in FILTER.items()} == {
        code: EnvoyReason(code).statuses for code in FILTER
    }


def test_refused_on_arrival_has_the_statuses_of_envoys_answers() -> None:
    reason = EnvoyReason.REFUSED_ON_ARRIVAL
    answered = [
        mapper.filter.and_filter.filters[0].status_code_filter.comparison.value.default_value
        for mapper in local_replies().mappers
        if reason in mapper.body_format_override.text_format_source.inline_string
    ]
    assert tuple(answered) == reason.statuses


# What carries a reason to the client, and with which status.
_STATUSES = {
    **dict.fromkeys(("malformed", "_bad_request"), 400),
    **dict.fromkeys(("TokenRefused", "NotJwt", "UnknownKey", "IdpRefused", "SessionOver"), 401),
    **dict.fromkeys(("RefreshRefused", "Absent", "NoSession"), 401),
    **dict.fromkeys(("unauthenticated", "_unauthenticated"), 401),
    **dict.fromkeys(("ConsumerRefused", "Unmet", "forbidden", "_forbid"), 403),
    **dict.fromkeys(("NotConfigured", "unexpected", "CannotLower", "_refusal"), 500),
    **dict.fromkeys(("IdpUnavailable", "RefreshUnavailable", "unavailable"), 503),
}


def _statuses_in_the_source() -> dict[ReasonCode, set[int]]:
    found: defaultdict[ReasonCode, set[int]] = defaultdict(set)
    for _, tree in _sources():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
            status = _STATUSES.get(name)
            if name in ("Refuse", "Refusal", "Said"):
                constants = (arg.value for arg in call.args if isinstance(arg, ast.Constant))
                status = next(constants, None)
            if status is None:
                continue
            for argument in call.args:
                reason = _member(argument)
                if reason is not None:
                    found[reason].add(status)
    return found


def test_the_statuses_are_those_that_the_code_answers_with() -> None:
    found = _statuses_in_the_source()
    # An issuer that is no URL is found by control, and workers are told that it does not answer.
    found.pop(Reason.ISSUER_URL_INVALID)
    # The key is unknown until keys that are missing make it unavailable: UnknownKey.verdict.
    found[Reason.KEY_UNKNOWN].add(503)
    assert len(found) > 80
    wrong = {
        str(reason): (sorted(statuses), reason.statuses)
        for reason, statuses in found.items()
        if statuses != set(reason.statuses)
    }
    assert wrong == {}


def test_the_page_has_each_reason_once() -> None:
    assert {kind for section in SECTIONS for kind in section.reasons} == set(CLASSES.values())
    page = reference_page()
    for reason in MEMBERS:
        assert page.count(f"\n| `{reason.value}` |") == 1, reason
    for section in SECTIONS:
        for title in section.groups:
            assert f"\n### {title}\n" in page


def test_the_committed_page_is_what_the_reasons_say() -> None:
    committed = (REPOSITORY / PAGE).read_text(encoding="utf-8")
    assert committed == reference_page(), "run scripts/generate-reasons-reference"


def test_what_markdown_would_read_is_escaped_outside_of_code() -> None:
    assert markdown("a*b [c] <d> \\ `e*_f` g_h _i") == r"a\*b \[c\] \<d\> \\ `e*_f` g_h \_i"
    assert markdown("a|b `c|d`") == r"a\|b `c\|d`"
