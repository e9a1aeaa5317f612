from collections.abc import AsyncIterator

import pytest_asyncio

from support.plugin_dialogue import World, dialogue


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with dialogue() as world:
        yield world
