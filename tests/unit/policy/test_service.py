"""The ASGI function: questions in, answers out, and no way to a yes but a step's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scopegate.ir import policy as ir
from scopegate.plugins.access import (
    Continue,
    LogLine,
    NeedBody,
    Outcome,
    Redirect,
    Refusal,
    Request,
    Respond,
)
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.policy.grants import NONE
from scopegate.policy.journal import Journal
from scopegate.policy.library import PolicyLibrary
from scopegate.policy.service import PolicyService
from support.policy_question import ask, question

Answer = tuple[int, list[tuple[str, str]], bytes]


class Say:
    """A step that says what it was told to."""

    def __init__(self, outcome: Outcome | Exception | Callable[[], Any]) -> None:
        self.outcome = outcome
        self.asked: list[Request] = []

    async def access(self, request: Request) -> Outcome:
        self.asked.append(request)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if callable(self.outcome):
            return await self.outcome()  # type: ignore[no-any-return]
        return self.outcome


class Recorder:
    """A log and counters that remember."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self.decisions: list[tuple[str, str]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))

    def is_enabled_for(self, level: int) -> bool:
        return True

    def decided(self, *, plugin_id: str, outcome: str, reason: str, seconds: float) -> None:
        assert seconds >= 0
        self.decisions.append((outcome, reason))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


class Service:
    """A policy service whose only policy consists of the given steps."""

    def __init__(self, folder: Path, recorder: Recorder, *steps: Say, limit_s: float = 5) -> None:
        policy = ir.Policy(tuple(ir.Step("say", str(n), {"n": n}) for n in range(len(steps))))
        self.policy_id = policy.id
        (folder / f"policy-{policy.id}.json").write_bytes(policy.to_json())

        def prepare(step: ir.Step, _: ConsumerIndex) -> Say:
            return steps[step.config["n"]]

        async def close() -> None:
            return None

        library = PolicyLibrary(folder, prepare)
        self.app = PolicyService(library, Journal(recorder, recorder), limit_s, NONE, close)

    async def ask(
        self,
        *headers: tuple[str, str],
        phase: str = "head",
        body: bytes = b"",
        policy: str | None = None,
        without: str = "",
    ) -> Answer:
        scope = question(policy or self.policy_id, *headers, phase=phase, without=without)
        answered = await ask(self.app, scope, body)
        return answered.status, answered.headers, answered.body


REFUSAL = Refusal(
    403,
    AccessReason.SCOPES_MISSING,
    "required scopes were not found [ a ]",
    "Forbidden",
    required=("b", "c d"),
)


async def test_a_yes_is_marked_as_decided_and_carries_the_changes(
    tmp_path: Path, recorder: Recorder
) -> None:
    step = Say(
        Continue(
            set_headers=(("authorization", "Bearer t"),),
            remove_headers=("authorization", "x_consumer_id"),
            response_headers=(("set-cookie", "a=1"), ("set-cookie", "b=2")),
            query="y",
            body_cuts=((0, 4), (9, 12)),
        )
    )
    status, headers, body = await Service(tmp_path, recorder, step).ask(("accept", "*/*"))
    assert (status, body) == (200, b"")
    assert ("x-scopegate-decided", "2") in headers
    assert ("authorization", "Bearer t") in headers
    assert ("x-envoy-auth-headers-to-remove", "x_consumer_id") in headers
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert ("cache-control", 'no-cache="set-cookie"') in headers
    assert ("x-scopegate-query", "?y") in headers
    assert ("x-scopegate-body-cut", "0-4,9-12") in headers
    asked = step.asked[0]
    assert (asked.path, asked.query, asked.scheme) == ("/a%20b", "q=1", "https")
    assert asked.headers == (("x-request-id", "0" * 32), ("accept", "*/*"))


async def test_wanting_the_body_is_no_decision(tmp_path: Path, recorder: Recorder) -> None:
    service = Service(tmp_path, recorder, Say(NeedBody()))
    status, headers, _ = await service.ask()
    assert status == 200
    assert dict(headers)["x-scopegate-decided"] == "0"
    assert recorder.decisions == []
    status, headers, _ = await service.ask(phase="body", body=b"a=1")
    assert status == 480
    assert "x-scopegate-decided" not in dict(headers)


async def test_the_first_step_that_objects_decides(tmp_path: Path, recorder: Recorder) -> None:
    last = Say(Continue())
    service = Service(tmp_path, recorder, Say(Continue()), Say(REFUSAL), last)
    status, _, _ = await service.ask()
    assert status == 403
    assert last.asked == []


async def test_changes_of_several_steps_add_up_and_the_later_one_wins(
    tmp_path: Path, recorder: Recorder
) -> None:
    first = Say(Continue(set_headers=(("a", "1"), ("b", "1")), remove_headers=("c",)))
    second = Say(Continue(set_headers=(("b", "2"), ("c", "2")), remove_headers=("d",)))
    _, headers, _ = await Service(tmp_path, recorder, first, second).ask()
    set_ = dict(headers)
    assert (set_["a"], set_["b"], set_["c"]) == ("1", "2", "2")
    assert set_["x-envoy-auth-headers-to-remove"] == "d"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        ("application/json, text/html;q=0.5", "application/json; charset=utf-8"),
    ],
)
async def test_people_get_a_page_and_programs_json(
    tmp_path: Path, recorder: Recorder, accept: str, kind: str
) -> None:
    refusal = replace(REFUSAL, challenge='Bearer realm="r"')
    status, headers, body = await Service(tmp_path, recorder, Say(refusal)).ask(("accept", accept))
    assert status == 403
    assert dict(headers)["content-type"] == kind
    assert dict(headers)["www-authenticate"] == 'Bearer realm="r"'
    assert dict(headers)["cache-control"] == "no-store"
    assert b"0" * 32 in body
    assert b"required scopes" not in body, "details are for the log"
    if "json" in kind:
        assert json.loads(body)["message"] == "Forbidden"


async def test_a_refusal_is_one_line_with_its_reason_and_the_request(
    tmp_path: Path, recorder: Recorder
) -> None:
    label = ("x-scopegate-route", "r-1/orders s-1")
    await Service(tmp_path, recorder, Say(REFUSAL)).ask(label)
    [(level, event, fields)] = recorder.lines
    assert level == "warning"
    assert event == "[say] required scopes were not found [ a ]"
    assert fields["reason"] == "scopes_missing"
    assert fields["required"] == ("b", "c d")
    assert fields["request_id"] == "0" * 32
    assert fields["path"] == "/a%20b"
    assert (fields["route"], fields["route_name"], fields["service"]) == ("r-1", "orders", "s-1")
    assert "service_name" not in fields, "it has none"
    assert recorder.decisions == [("deny", "scopes_missing")]


async def test_redirects_and_answers_go_to_the_client(tmp_path: Path, recorder: Recorder) -> None:
    redirect = Redirect("https://idp.example/", "login_started", (("set-cookie", "a=1"),))
    status, headers, _ = await Service(tmp_path, recorder, Say(redirect)).ask()
    assert status == 302
    assert dict(headers)["location"] == "https://idp.example/"
    assert dict(headers)["cache-control"] == "no-store"
    respond = Respond(200, "application/json", b"{}", "logout", log=(LogLine("info", "x"),))
    status, headers, body = await Service(tmp_path, recorder, Say(respond)).ask()
    assert (status, body) == (485, b"{}"), "Envoy would take 200 for a yes"
    assert dict(headers)["cache-control"] == "no-store"


async def test_every_exception_is_a_refusal_that_tells_no_value(
    tmp_path: Path, recorder: Recorder
) -> None:
    service = Service(tmp_path, recorder, Say(ValueError("secret-token")))
    status, _, body = await service.ask()
    assert status == 480
    assert recorder.decisions == [("deny", "unexpected_error")]
    assert "secret-token" not in repr(recorder.lines) + body.decode()


async def test_a_step_that_hangs_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    async def hang() -> Outcome:
        await asyncio.sleep(60)
        return Continue()

    status, headers, _ = await Service(tmp_path, recorder, Say(hang), limit_s=0.05).ask()
    assert status == 483
    assert dict(headers)["retry-after"] == "1"
    assert recorder.decisions == [("deny", "policy_timeout")]


@pytest.mark.parametrize(
    "policy", ["0" * 32, "../../etc/passwd", "", "A" * 32, "x" * 5000], ids=str.__len__
)
async def test_a_policy_that_is_not_here_refuses(
    tmp_path: Path, recorder: Recorder, policy: str
) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    status, headers, _ = await service.ask(policy=policy or "-")
    assert status == 483
    assert "x-scopegate-decided" not in dict(headers)
    assert recorder.decisions == [("deny", "policy_unusable")]


async def test_a_policy_file_that_was_changed_refuses(tmp_path: Path, recorder: Recorder) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    path = tmp_path / f"policy-{service.policy_id}.json"
    path.write_bytes(path.read_bytes() + b" ")  # still a policy that says yes
    status, headers, _ = await service.ask()
    assert status == 483
    assert "x-scopegate-decided" not in dict(headers)
    assert recorder.decisions == [("deny", "policy_unusable")]


@pytest.mark.parametrize(
    "missing", ["x-scopegate-phase", "x-scopegate-policy", "x-request-id", "x-scopegate-scheme"]
)
async def test_a_question_that_lacks_something_is_refused(
    tmp_path: Path, recorder: Recorder, missing: str
) -> None:
    status, headers, _ = await Service(tmp_path, recorder, Say(Continue())).ask(without=missing)
    assert status == 480
    assert "x-scopegate-decided" not in dict(headers)


async def test_a_body_over_the_limit_is_refused_and_not_judged_by_its_beginning(
    tmp_path: Path, recorder: Recorder
) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    status, headers, _ = await service.ask(phase="body", body=b"x" * ((1 << 20) + 1))
    assert status == 480
    assert "x-scopegate-decided" not in dict(headers)


async def test_a_policy_without_steps_lets_nobody_pass(tmp_path: Path, recorder: Recorder) -> None:
    status, headers, _ = await Service(tmp_path, recorder).ask()
    assert status == 483
    assert "x-scopegate-decided" not in dict(headers)


@pytest.mark.parametrize(
    "outcome",
    [
        Continue(set_headers=(("x-user", "a\r\nx-scopegate-query: ?admin"),)),
        Continue(response_headers=(("x-user", "a\nset-cookie: b=c"),)),
        Continue(query="a\r\nx-user: root"),
        Redirect("https://a.example/\r\nset-cookie: b=c", "login_started"),
    ],
)
async def test_a_line_break_in_a_value_is_refused_and_begins_no_header(
    tmp_path: Path, recorder: Recorder, outcome: Outcome
) -> None:
    status, headers, _ = await Service(tmp_path, recorder, Say(outcome)).ask()
    assert status == 480
    assert not any("\n" in value for _, value in headers)
    assert "x-scopegate-decided" not in dict(headers)
    assert recorder.decisions == [("deny", "unexpected_error")]
