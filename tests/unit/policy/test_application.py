"""What a policy worker is made of, and how it ends."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scopegate.ir.policy import Policy, Step
from scopegate.plugins.access import Continue, Outcome, Request
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.ports import Ports
from scopegate.policy import application
from scopegate.policy.service import PolicyService
from scopegate.session.shared_state import SharedStateUnavailable
from scopegate.session.single_flight import FlightsUnderWay
from scopegate.session.sqlite_state import SqliteState
from support.policy_check import ask, check_request


class Nothing:
    """Stands for ports that this test does not use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


class Silent(Nothing):
    """A log that has nothing to write."""

    def is_enabled_for(self, level: int) -> bool:
        return False


def create_app(folder: Path, **more: Any) -> PolicyService:
    return application.create_app(
        policy_dir=folder,
        shared_state_path=folder / "state.db",
        revocations_path=folder / "revoked",
        replay_limit_s=60,
        control_socket=folder / "control.sock",
        log=Silent(),
        http_client=Nothing(),
        **more,
    )


async def test_what_a_plugin_revokes_is_in_the_file_and_in_the_response(tmp_path: Path) -> None:
    class Revoke:
        def __init__(self, step: Step, consumers: ConsumerIndex, ports: Ports) -> None:
            self._revocations = ports.revocations

        async def access(self, request: Request) -> Outcome:
            await self._revocations.publish(["cafe"])
            return Continue()

    row = SimpleNamespace(name="revoke", prepare=Revoke)
    policy = Policy((Step("revoke", "1", {}),))
    (tmp_path / f"policy-{policy.id}.json").write_bytes(policy.to_json())
    metrics = SimpleNamespace(decided=lambda **_: None)
    app = create_app(tmp_path, metrics=metrics, plugins=[row])
    response = await ask(app, check_request(policy.id))
    assert response.all("revoke") == ["cafe"]
    assert (tmp_path / "revoked").read_text().splitlines()[1:] == ["cafe"]


async def test_a_worker_that_ends_waits_for_refreshes_while_they_can_still_leave_their_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[SqliteState] = []
    waited: list[float] = []

    class State(SqliteState):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            states.append(self)

    class UnderWay(FlightsUnderWay):
        async def drain(self, limit_s: float) -> None:
            waited.append(limit_s)
            await states[0].put("outcome", b"tokens", 60)

    monkeypatch.setattr(application, "SqliteState", State)
    monkeypatch.setattr(application, "FlightsUnderWay", UnderWay)
    app = create_app(tmp_path, metrics=Nothing())
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert waited == [application.REFRESHES_LIMIT_S]
    with pytest.raises(SharedStateUnavailable, match="closed"):
        await states[0].get("outcome")
