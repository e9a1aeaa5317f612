from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding

from support.certificates import Pki
from support.plugin_dialogue import World, dialogue


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One authority to believe: reading the system's 140 takes longer than a dialogue."""
    folder = tmp_path_factory.mktemp("authority")
    path = folder / "authority.pem"
    path.write_bytes(Pki(folder).certificate.public_bytes(Encoding.PEM))
    return path


@pytest_asyncio.fixture
async def world(authority: Path) -> AsyncIterator[World]:
    async with dialogue(authority) as world:
        yield world
