"""The ASGI function: check requests in, check responses out, and only a step's own word allows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scopegate.ir import policy as ir
from scopegate.ir.cache_profile import CacheProfile
from scopegate.plugins.access import (
    Cacheable,
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
from scopegate.plugins.openid_connect.reasons import AccessReason, PassReason
from scopegate.policy.caching import Caching
from scopegate.policy.journal import Journal
from scopegate.policy.library import PolicyLibrary
from scopegate.policy.service import MESSAGE_LIMIT_BYTES, PolicyService
from scopegate.session.revocations import Collecting
from support.cache_profile import PROFILE
from support.memory_revocations import MemoryRevocations
from support.policy_check import Response, ask, check_request, post, read_response

NOW_S = 1_800_000_000.0


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
        self.hits: list[tuple[str, str, int]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))

    def is_enabled_for(self, level: int) -> bool:
        return True

    def decided(self, *, plugin_id: str, outcome: str, reason: str, seconds: float) -> None:
        assert seconds >= 0
        self.decisions.append((outcome, reason))

    def cached(self, *, plugin_id: str, reason: str, count: int) -> None:
        self.hits.append((plugin_id, reason, count))


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


class Service:
    """A policy service whose only policy consists of the given steps."""

    def __init__(
        self,
        folder: Path,
        recorder: Recorder,
        *steps: Say,
        limit_s: float = 5,
        profile: CacheProfile | None = None,
    ) -> None:
        policy = ir.Policy(
            tuple(ir.Step("say", str(n), {"n": n}) for n in range(len(steps))), profile=profile
        )
        self.policy_id = policy.id
        (folder / f"policy-{policy.id}.json").write_bytes(policy.to_json())

        def prepare(step: ir.Step, _: ConsumerIndex) -> Say:
            return steps[step.config["n"]]

        async def close() -> None:
            return None

        library = PolicyLibrary(folder, prepare)
        caching = Caching(60, lambda: NOW_S)
        self.app = PolicyService(library, Journal(recorder, recorder), limit_s, caching, close)

    async def ask(
        self, *headers: tuple[str, str], body: bytes = b"", policy: str | None = None, **facts: str
    ) -> Response:
        message = check_request(policy or self.policy_id, *headers, body=body, **facts)
        return await ask(self.app, message)


REFUSAL = Refusal(
    403,
    AccessReason.SCOPES_MISSING,
    "required scopes were not found [ a ]",
    "Forbidden",
    required=("b", "c d"),
)


async def test_allow_carries_the_changes_of_the_step(tmp_path: Path, recorder: Recorder) -> None:
    step = Say(
        Continue(
            set_headers=(("authorization", "Bearer t"),),
            remove_headers=("x_consumer_id",),
            response_headers=(("set-cookie", "a=1"),),
            query="y",
        )
    )
    response = await Service(tmp_path, recorder, step).ask(("accept", "*/*"))
    assert response.allows
    assert response.headers("set") == [("authorization", "Bearer t")]
    assert (response.all("remove"), response.one("query")) == (["x_consumer_id"], "y")
    assert response.headers("client")[0] == ("set-cookie", "a=1")
    asked = step.asked[0]
    assert (asked.path, asked.query, asked.scheme) == ("/a%20b", "q=1", "https")
    assert asked.headers == (("accept", "*/*"),)
    assert recorder.decisions == [("allow", "allowed")]


async def test_a_step_that_wants_the_body_is_asked_again(
    tmp_path: Path, recorder: Recorder
) -> None:
    service = Service(tmp_path, recorder, Say(NeedBody()))
    assert (await service.ask()).one("verdict") == "body"
    assert recorder.decisions == []
    assert (await service.ask(body=b"a=1")).status == 500, "it was given one"


async def test_the_first_step_that_objects_decides(tmp_path: Path, recorder: Recorder) -> None:
    last = Say(Continue())
    service = Service(tmp_path, recorder, Say(Continue()), Say(REFUSAL), last)
    assert (await service.ask()).status == 403
    assert last.asked == []


async def test_changes_of_several_steps_add_up_and_the_later_one_wins(
    tmp_path: Path, recorder: Recorder
) -> None:
    first = Say(Continue(set_headers=(("a", "1"), ("b", "1")), remove_headers=("c",)))
    second = Say(Continue(set_headers=(("b", "2"), ("c", "2")), remove_headers=("a", "d")))
    response = await Service(tmp_path, recorder, first, second).ask()
    # The filter removes before it sets.
    assert response.all("remove") == ["c", "a", "d"]
    assert response.headers("set") == [("b", "2"), ("c", "2")]


async def test_allow_carries_the_profile_and_a_cache_entry(
    tmp_path: Path, recorder: Recorder
) -> None:
    step = Say(Continue(cacheable=Cacheable(NOW_S + 10, ("cafe",))))
    with_profile = Service(tmp_path, recorder, Say(step.outcome), step, profile=PROFILE)
    response = await with_profile.ask()
    assert response.one("profile") == str(PROFILE)
    assert response.one("cache") == "1800000010"
    assert response.all("tag") == ["cafe", "cafe"]
    assert response.one("count") == "1 allowed", "the last step's"
    without = await Service(tmp_path, recorder, step).ask()
    assert not {"profile", "cache", "tag", "count"} & without.lines.keys()
    step.outcome = REFUSAL
    refused = await with_profile.ask()
    assert not {"profile", "cache", "tag", "count"} & refused.lines.keys()


@pytest.mark.parametrize(
    "outcome",
    [
        Continue(),
        REFUSAL,
        replace(REFUSAL, location="/"),
        Redirect("https://idp.example/", PassReason.LOGOUT),
        Respond(200, "text/plain", b"", PassReason.LOGOUT),
        NeedBody(),
        RuntimeError("after it"),
        TimeoutError("after it"),
    ],
    ids=lambda outcome: type(outcome).__name__,
)
async def test_what_a_request_revokes_is_in_its_response(
    tmp_path: Path, recorder: Recorder, outcome: Outcome | Exception
) -> None:
    published = MemoryRevocations()
    revocations = Collecting(published)

    async def revoke() -> Outcome:
        await revocations.publish(["cafe"])
        await revocations.publish(["bead"])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    service = Service(tmp_path, recorder, Say(revoke))
    assert (await service.ask()).all("revoke") == ["cafe", "bead"]
    assert published.published == ["cafe", "bead"]


async def test_requests_at_the_same_time_report_their_own_revocations(
    tmp_path: Path, recorder: Recorder
) -> None:
    revocations = Collecting(MemoryRevocations())
    both_decide = asyncio.Barrier(2)
    tags = iter(["cafe", "bead"])

    async def revoke() -> Outcome:
        tag = next(tags)
        await both_decide.wait()
        await asyncio.create_task(revocations.publish([tag]))
        await both_decide.wait()
        return Continue()

    service = Service(tmp_path, recorder, Say(revoke))
    one, other = await asyncio.gather(service.ask(), service.ask())
    assert (one.all("revoke"), other.all("revoke")) == (["cafe"], ["bead"])


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
    response = await Service(tmp_path, recorder, Say(refusal)).ask(("accept", accept))
    assert (response.status, response.one("reason")) == (403, "scopes_missing")
    headers = dict(response.headers("client"))
    assert headers["content-type"] == kind
    assert headers["www-authenticate"] == 'Bearer realm="r"'
    assert headers["cache-control"] == "no-store"
    assert b"0" * 32 in response.body
    assert b"required scopes" not in response.body, "details are for the log"
    if "json" in kind:
        assert json.loads(response.body)["message"] == "Forbidden"


async def test_a_form_gets_a_page_with_a_link_to_sign_in(
    tmp_path: Path, recorder: Recorder
) -> None:
    refusal = replace(REFUSAL, status=401, message="Unauthorized", sign_in='/a?q="><script>')
    service = Service(tmp_path, recorder, Say(refusal))
    response = await service.ask(("accept", "text/html"))
    assert response.status == 401
    assert "location" not in dict(response.headers("client"))
    page = response.body.decode()
    assert "send it again" in page
    assert '<a href="/a?q=&#34;&gt;&lt;script&gt;">Sign in</a>' in page
    response = await service.ask(("accept", "application/json"))
    assert json.loads(response.body).keys() == {"message", "request_id"}
    other = replace(REFUSAL, status=401, message="Unauthorized")
    response = await Service(tmp_path, recorder, Say(other)).ask(("accept", "text/html"))
    assert b"<a " not in response.body


async def test_a_refusal_is_one_line_with_its_reason_and_the_request(
    tmp_path: Path, recorder: Recorder
) -> None:
    await Service(tmp_path, recorder, Say(REFUSAL)).ask()
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
    redirect = Redirect("https://idp.example/", PassReason.LOGIN_STARTED, (("set-cookie", "a=1"),))
    response = await Service(tmp_path, recorder, Say(redirect)).ask()
    assert (response.status, response.one("reason")) == (302, "login_started")
    assert response.headers("client") == [
        ("cache-control", "no-store"),
        ("set-cookie", "a=1"),
        ("location", "https://idp.example/"),
    ]
    line = LogLine("info", "x")
    respond = Respond(200, "application/json", b"{}", PassReason.LOGOUT, log=(line,))
    response = await Service(tmp_path, recorder, Say(respond)).ask()
    assert (response.status, response.body) == (200, b"{}")
    assert dict(response.headers("client"))["content-type"] == "application/json"


async def test_every_exception_is_a_refusal_that_shows_no_value(
    tmp_path: Path, recorder: Recorder
) -> None:
    response = await Service(tmp_path, recorder, Say(ValueError("secret-token"))).ask()
    assert response.status == 500
    assert recorder.decisions == [("deny", "unexpected_error")]
    assert "secret-token" not in repr(recorder.lines) + response.body.decode()


async def test_a_step_that_hangs_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    async def hang() -> Outcome:
        await asyncio.sleep(60)
        return Continue()

    response = await Service(tmp_path, recorder, Say(hang), limit_s=0.05).ask()
    assert response.status == 503
    assert dict(response.headers("client"))["retry-after"] == "1"
    assert recorder.decisions == [("deny", "policy_timeout")]


async def test_a_policy_that_is_not_here_refuses(tmp_path: Path, recorder: Recorder) -> None:
    response = await Service(tmp_path, recorder, Say(Continue())).ask(policy="0" * 32)
    assert response.status == 503
    assert recorder.decisions == [("deny", "policy_unusable")]


async def test_a_policy_file_that_was_changed_refuses(tmp_path: Path, recorder: Recorder) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    path = tmp_path / f"policy-{service.policy_id}.json"
    path.write_bytes(path.read_bytes() + b" ")  # still a policy that allows
    assert (await service.ask()).status == 503
    assert recorder.decisions == [("deny", "policy_unusable")]


async def test_a_policy_without_steps_refuses(tmp_path: Path, recorder: Recorder) -> None:
    assert (await Service(tmp_path, recorder).ask()).status == 503


async def test_a_malformed_check_request_is_refused(tmp_path: Path, recorder: Recorder) -> None:
    step = Say(Continue())
    service = Service(tmp_path, recorder, step)
    for message in (b"", b"x", check_request(service.policy_id, without="client")):
        assert (await ask(service.app, message)).status == 500
    assert step.asked == []
    assert recorder.decisions == [("deny", "unexpected_error")] * 3


async def test_a_message_over_the_limit_is_refused_whole(
    tmp_path: Path, recorder: Recorder
) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    message = check_request(service.policy_id, body=b"x" * MESSAGE_LIMIT_BYTES)
    for chunks in ([message], [message[:1000], message[1000:]]):
        _, _, response = await post(service.app, "/check", chunks)
        assert read_response(response).status == 500
    within = check_request(service.policy_id, body=b"x" * 1000)
    _, _, response = await post(service.app, "/check", [within[:50], b"", within[50:]])
    assert read_response(response).allows


@pytest.mark.parametrize(
    "outcome",
    [
        Continue(set_headers=(("x-user", "a\nverdict allow"),)),
        Continue(response_headers=(("x-user", "a\r\nset-cookie: b=c"),)),
        Continue(query="a\nset x-user:root"),
        Redirect("https://a.example/\nclient set-cookie:b=c", PassReason.LOGIN_STARTED),
    ],
)
async def test_a_line_break_in_a_value_is_refused_and_begins_no_line(
    tmp_path: Path, recorder: Recorder, outcome: Outcome
) -> None:
    response = await Service(tmp_path, recorder, Say(outcome)).ask()
    assert response.status == 500
    assert not {"set", "query"} & response.lines.keys()
    assert "set-cookie" not in dict(response.headers("client"))
    assert recorder.decisions == [("deny", "unexpected_error")]


async def test_uses_of_cached_decisions_are_counted(tmp_path: Path, recorder: Recorder) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    lines = b"12 plugin-1 allowed\n1 plugin-2 anonymous\n"
    assert (await post(service.app, "/hits", [lines[:5], lines[5:]]))[0] == 200
    assert recorder.hits == [("plugin-1", "allowed", 12), ("plugin-2", "anonymous", 1)]
    for wrong in (lines + b"x", b"1 p r\n" * (MESSAGE_LIMIT_BYTES // 4)):
        assert (await post(service.app, "/hits", [wrong[:9], wrong[9:]]))[0] == 400
    assert len(recorder.hits) == 2, "all of a report or nothing"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/check"), ("HEAD", "/hits"), ("POST", "/"), ("POST", "/check/")]
)
async def test_other_paths_are_not_found(
    tmp_path: Path, recorder: Recorder, method: str, path: str
) -> None:
    service = Service(tmp_path, recorder, Say(Continue()))
    message = check_request(service.policy_id)
    assert (await post(service.app, path, [message], method))[::2] == (404, b"")
    assert recorder.decisions == []
