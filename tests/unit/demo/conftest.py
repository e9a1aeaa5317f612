"""What the tests of the demo world share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp, KeyRing
from support.login import form_browser
from support.relying_party import RelyingParty

SIGNING_KEY = KeyRing().active  # made once: that takes longer than most tests


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s

    def forward(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def idp(clock: Clock) -> AsyncIterator[DemoIdp]:
    async with DemoIdp(clock=clock, keys=KeyRing(SIGNING_KEY)) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without cookies yet."""
    async with form_browser() as session:
        yield session


@pytest.fixture
def rp(idp: DemoIdp) -> RelyingParty:
    return RelyingParty(idp.issuer)
