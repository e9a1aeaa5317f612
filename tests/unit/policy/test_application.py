"""What a policy worker is made of, and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scopegate.policy import application
from scopegate.session.shared_state import SharedStateUnavailable
from scopegate.session.single_flight import FlightsUnderWay
from scopegate.session.sqlite_state import SqliteState


class Nothing:
    """Stands for ports that this test does not use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


class Silent(Nothing):
    """A log that has nothing to write."""

    def is_enabled_for(self, level: int) -> bool:
        return False


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
    app = application.create_app(
        policy_dir=tmp_path,
        shared_state_path=tmp_path / "state.db",
        revocations_path=tmp_path / "revoked",
        replay_limit_s=60,
        control_socket=tmp_path / "control.sock",
        log=Silent(),
        metrics=Nothing(),
        http_client=Nothing(),
    )
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
