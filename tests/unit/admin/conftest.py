"""The Admin API over a database of its own, with a clock and ids that the test can foresee."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scopegate.admin.application import create_admin_app
from scopegate.admin.node import NodeInfo, PublishResult, ServerCounts
from scopegate.entities.finding import Finding
from scopegate.entities.kinds import completion, entity_schemas
from scopegate.plugins.registry import PLUGIN_TYPES
from scopegate.store.protocol import Store
from scopegate.store.sqlite import open_sqlite
from support.asgi_client import AsgiClient

NODE = NodeInfo(
    version="0.1.0",
    node_id="f8f2c0b2-0000-4000-8000-000000000001",
    hostname="gateway-1",
    pids={"master": 7},
    configuration={"log_level": "info"},
    proxy_listeners=({"ip": "127.0.0.1", "port": 8000, "ssl": False, "listener": "x"},),
)
ISSUER = {"issuer": "https://idp.example/realms/kong"}


@dataclass
class Surroundings:
    """What the Admin API is given, and what a test may change in between."""

    store: Store
    node: NodeInfo = NODE
    now_s: int = 1_700_000_000
    state: str = "live"
    detail: str | None = None
    publish_error: Exception | None = None
    published: int = 0
    counted: ServerCounts | None = field(default_factory=lambda: ServerCounts(1, 2, 3, 4))
    found: list[Finding] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def publish(self) -> PublishResult:
        self.published += 1
        if self.publish_error is not None:
            raise self.publish_error
        return PublishResult(self.state, self.detail)  # type: ignore[arg-type]

    async def counts(self) -> ServerCounts | None:
        return self.counted

    def client(self, host: str = "localhost:8001") -> AsgiClient:
        app = create_admin_app(
            self.store,
            publish=self.publish,
            findings=lambda: self.found,
            node=self.node,
            now_s=lambda: self.now_s,
            new_uuid=lambda: f"00000000-0000-4000-8000-{next(self.ids):012d}",
            random_string=lambda: "r" * 32,
            counts=self.counts,
        )
        return AsgiClient(app, host)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: migrations would take most of the time of most tests."""

    async def make(path: Path) -> None:
        await (await _open(path)).close()

    path = tmp_path_factory.mktemp("empty") / "scopegate.db"
    asyncio.run(make(path))
    return path


@pytest.fixture
async def around(empty_database: Path, tmp_path: Path) -> AsyncIterator[Surroundings]:
    store = await _open(Path(shutil.copy(empty_database, tmp_path)))
    yield Surroundings(store)
    await store.close()


async def _open(path: Path) -> Store:
    return await open_sqlite(
        path,
        random_bytes=secrets.token_bytes,
        now_s=lambda: 1_700_000_000,
        complete=completion(entity_schemas(PLUGIN_TYPES)),
    )


@pytest.fixture
def api(around: Surroundings) -> AsgiClient:
    return around.client()
