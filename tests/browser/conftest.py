"""What the browser's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp
from support.keycloak import keycloak
from support.login import form_browser
from support.relying_party import RelyingParty

__all__ = ["keycloak"]


@pytest.fixture
async def idp() -> AsyncIterator[DemoIdp]:
    async with DemoIdp() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A browser without cookies yet, for what no page is needed for."""
    async with form_browser() as session:
        yield session


@pytest.fixture
def rp(idp: DemoIdp) -> RelyingParty:
    return RelyingParty(idp.issuer)
