"""An identity provider that says what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.http import HttpAnswer, HttpSettings

HTTP = HttpSettings(timeout_s=3)
DOWN = IdpUnavailable("idp_unreachable", "no connection")


def answer(body: Any, status: int = 200) -> HttpAnswer:
    """JSON, or bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, {"content-type": "application/json"}, content)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it was made."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    settings: HttpSettings

    @property
    def form(self) -> dict[str, str]:
        pairs = parse_qsl((self.body or b"").decode(), keep_blank_values=True, strict_parsing=True)
        assert len(pairs) == len(dict(pairs)), "an argument is sent twice"
        return dict(pairs)


@dataclass
class ScriptedHttp:
    """Answers by URL; whatever is not written down is a failed test."""

    answers: dict[str, HttpAnswer | Exception]
    asked: list[Asked] = field(default_factory=list)

    async def request(
        self,
        method: str,
        url: str,
        *,
        settings: HttpSettings,
        headers: Mapping[str, str] = {},
        body: bytes | None = None,
    ) -> HttpAnswer:
        self.asked.append(Asked(method, url, headers, body, settings))
        said = self.answers[url]
        if isinstance(said, Exception):
            raise said
        return said

    @property
    def urls(self) -> list[str]:
        return [asked.url for asked in self.asked]
