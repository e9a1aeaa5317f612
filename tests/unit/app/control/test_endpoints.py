"""The status listener: ready or not, live or behind, and not for pages of other sites."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from scopegate.admin.node import NodeInfo
from scopegate.app.control.endpoints import status_app
from scopegate.app.prefix import Prefix
from scopegate.store.protocol import StoreUnavailable
from support.asgi_client import AsgiClient

NODE = NodeInfo("0", "id", "gateway-1", admin_hosts=("gateway.internal",))
PATHS = ("/status/ready", "/status", "/metrics")


@dataclass
class Insides:
    """What the listener looks at: publisher, store and issuers in one."""

    is_ready: bool = True
    state: str = "live"
    database: bool = True

    async def ping(self) -> None:
        if not self.database:
            raise StoreUnavailable("gone")

    def up(self) -> dict[str, bool]:
        return {"https://idp.example": False}


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    made = Prefix(tmp_path)
    made.prepare()
    return made


def client(
    prefix: Prefix, insides: Insides, host: str = "localhost:8007", guarded: bool = True
) -> AsgiClient:
    parts = cast(Any, insides)
    guarded_for = NODE if guarded else None
    return AsgiClient(status_app(parts, parts, parts, prefix, guarded_for=guarded_for), host)


async def test_ready_is_200_from_the_first_configuration_to_the_drain(prefix: Prefix) -> None:
    insides = Insides(is_ready=False)
    status = client(prefix, insides)
    assert (await status.request("GET", "/status/ready")).status == 503
    insides.is_ready = True
    assert (await status.request("GET", "/status/ready")).status == 200
    prefix.draining.touch()
    answer = await status.request("GET", "/status/ready")
    assert (answer.status, answer.json) == (503, {"message": "scopegate ends"})


async def test_status_says_what_is_behind(prefix: Prefix) -> None:
    insides = Insides(state="rejected", database=False)
    answer = await client(prefix, insides).request("GET", "/status")
    assert answer.json == {
        "database": {"reachable": False},
        "proxy": {"configured": True, "configuration": "rejected"},
    }


async def test_metrics_say_that_proxy_and_issuer_are_down(prefix: Prefix) -> None:
    answer = await client(prefix, Insides()).request("GET", "/metrics")
    assert b"scopegate_proxy_up 0.0" in answer.body
    assert b'scopegate_issuer_up{issuer="https://idp.example"} 0.0' in answer.body


@pytest.mark.parametrize("path", PATHS)
async def test_a_foreign_name_pointed_at_loopback_is_refused(prefix: Prefix, path: str) -> None:
    rebound = client(prefix, Insides(), host="evil.example:8007")
    assert (await rebound.request("GET", path)).status == 403
    page = client(prefix, Insides())
    foreign = [("origin", "https://evil.example")]
    assert (await page.request("GET", path, headers=foreign)).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8007", "gateway-1:8007", "gateway.internal"])
async def test_the_nodes_own_names_are_answered(prefix: Prefix, host: str) -> None:
    assert (await client(prefix, Insides(), host).request("GET", "/metrics")).status == 200


async def test_a_listener_for_other_machines_answers_to_any_name(prefix: Prefix) -> None:
    scraped = client(prefix, Insides(), "scopegate.monitoring.svc:8007", guarded=False)
    assert (await scraped.request("GET", "/metrics")).status == 200
