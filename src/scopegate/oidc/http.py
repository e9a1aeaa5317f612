"""The HTTP client that the protocol needs, as a port: the shells bring a real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer of the identity provider. Header names are lower case; `body` is bounded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to reach an identity provider; one value is one connection pool.

    timeout_s bounds the whole call. Source: contract openid-connect.md §19, "HTTP client".
    """

    timeout_s: float = 10.0
    verify_tls: bool = True
    http_proxy: str | None = None
    http_proxy_authorization: str | None = field(default=None, repr=False)
    https_proxy: str | None = None
    https_proxy_authorization: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    keepalive: bool = True


class HttpClient(Protocol):
    """Calls the identity provider. Never follows redirects, never retries a POST.

    The body of an answer is bounded; what reads it has a bound of its own (1 MiB).
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        settings: HttpSettings,
        headers: Mapping[str, str] = ...,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """The answer, whatever its status. Raises IdpUnavailable when there is none in time.

        Reasons are those of `oidc.reasons`, "Reaching the identity provider".
        """
        ...
