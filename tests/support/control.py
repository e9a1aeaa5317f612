"""A publisher with all that it needs to hand out whatever gateway it is given."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

from scopegate.app.control.last_good import LastGood
from scopegate.app.control.policy_files import PolicyFiles
from scopegate.app.control.publisher import Publisher
from scopegate.compile.gateway import Compiled
from scopegate.envoy.ads import AdsServer, PublishOutcome
from scopegate.envoy.resources import Resources
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir.gateway import Gateway
from scopegate.telemetry.metrics import Metrics


class StartAds(Protocol):
    """Starts the xDS server where the proxies look for it."""

    def __call__(
        self, *, last_good: Resources | None, on_outcome: Callable[[PublishOutcome], None]
    ) -> Awaitable[AdsServer]: ...


class Control:
    """What `app/control` does with a gateway that is compiled. State lies in `folder`."""

    def __init__(self, folder: Path, start_ads: StartAds, settings: EnvoySettings) -> None:
        self._folder, self._start_ads, self._settings = folder, start_ads, settings
        self._gateway = Gateway()
        self.publisher: Publisher | None = None

    async def start(self) -> None:
        """Begin with what lies in the folder."""
        last_good = LastGood(self._folder / "last-good")
        self.ads = await self._start_ads(
            last_good=last_good.load(),
            on_outcome=lambda outcome: self.publisher.note(outcome) if self.publisher else None,
        )
        self.publisher = Publisher(
            store=cast(Any, self),
            issuers=cast(
                Any, SimpleNamespace(want=lambda _: None, facts=dict, findings=lambda: [])
            ),
            plugins=(),
            compile_=lambda *_: Compiled(self._gateway),
            files=PolicyFiles(self._folder / "policies", time.time),
            last_good=last_good,
            ads=self.ads,
            envoy=self._settings,
            metrics=Metrics(),
        )
        self._running = asyncio.create_task(self.publisher.run())

    async def end(self) -> None:
        """As if it was killed."""
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
        await self.ads.stop()
        self.publisher = None

    async def change(self, gateway: Gateway) -> str:
        """Its outcome."""
        assert self.publisher is not None
        self._gateway = gateway
        return (await self.publisher.publish()).state

    async def snapshot(self) -> Any:
        """Of the store that it is, too."""
        return SimpleNamespace(plugins={})
