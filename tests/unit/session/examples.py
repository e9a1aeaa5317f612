"""What several session tests build on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from scopegate.session.sealing import KeyRing, RingKey, encode_base64url
from scopegate.session.session import Session, Tokens, begin_session

NOW_S = 1_800_000_000
ROOT = bytes(range(32))
OTHER_ROOT = bytes(range(32, 64))

TOKENS = Tokens(
    access="the-access-token",
    access_expires_at_s=NOW_S + 300,
    id="the-id-token",
    refresh="the-refresh-token",
)


def random_source(seed: int = 1) -> Any:
    return random.Random(seed).randbytes


def noise(length: int) -> str:
    """A token of so many characters that nothing makes shorter by much."""
    return encode_base64url(random_source()(length))[:length]


def ring(root: bytes = ROOT, *former: RingKey) -> KeyRing:
    return KeyRing([RingKey(root), *former])


def a_session(seed: int = 1, **changes: Any) -> Session:
    session = begin_session(
        subject="0b9f",
        issuer="https://idp.example/realms/kong",
        client_id="blog_post",
        method="authorization_code",
        sid="sid-1",
        audience="default",
        tokens=TOKENS,
        absolute_s=86400,
        now_s=NOW_S,
        random_bytes=random_source(seed),
    )
    return replace(session, **changes)


class Browser:
    """Keeps cookies as a browser does: by name, expired ones dropped."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def take(self, set_cookies: Iterable[str | None]) -> None:
        for line in set_cookies:
            if line is None:
                continue
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value

    @property
    def header(self) -> str | None:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items()) or None


async def until(condition: Callable[[], bool]) -> None:
    """Wait for another process: half a minute at most."""
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError
