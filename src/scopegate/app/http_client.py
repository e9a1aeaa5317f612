"""The HTTP client of `oidc.http`, on aiohttp: bounded in time, in size, and in what it says.

Every failure becomes an IdpUnavailable with one of these reasons (`oidc.reasons`):

IDP_UNREACHABLE        no connection, or it broke; also a proxy that refuses, a host without address
IDP_TIMEOUT            no whole answer within `timeout_s`
IDP_TLS_FAILED         the certificate is not believed, or TLS could not be agreed on
IDP_ANSWER_TOO_LARGE   more than LIMIT_BYTES, compressed or not
IDP_ANSWER_INVALID     not HTTP, or compressed in a way that was not asked for
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import ssl
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from scopegate.app.cannot_start import CannotStart
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.http import HttpAnswer, HttpSettings
from scopegate.oidc.reasons import Reason

LIMIT_BYTES = 1024 * 1024
MAX_POOLS = 64
_CHUNK_BYTES = 64 * 1024
# Servers close idle connections after five seconds or more; a POST on one that is just being
# closed would fail, and is not retried.
_IDLE_S = 4.0


class Observe(Protocol):
    """Told of every call: endpoint (host and path), outcome (status or reason code), seconds."""

    def __call__(self, *, endpoint: str, outcome: str, seconds: float) -> None: ...


SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where Debian, Red Hat, SUSE and Alpine keep the authorities that they trust."""


@dataclass(slots=True)
class _Pool:
    """The connections of one HttpSettings. `busy` counts calls under way."""

    session: aiohttp.ClientSession
    busy: int


class AiohttpClient:
    """Calls identity providers. Follows no redirect, keeps no cookie, retries no POST.

    Proxies are those of the settings alone: HTTP_PROXY and its like are not looked at.
    """

    def __init__(
        self, trusted_certificate: Path | None = None, observe: Observe | None = None
    ) -> None:
        """`trusted_certificate` None: the system's authorities. Raises CannotStart."""
        self._verifying = tls_context(trusted_certificate)
        self._pools: OrderedDict[HttpSettings, _Pool] = OrderedDict()
        self._observe = observe

    async def request(
        self,
        method: str,
        url: str,
        *,
        settings: HttpSettings,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """The answer, whatever its status. Raises IdpUnavailable when there is none in time."""
        begun_s = time.monotonic()
        target = _parse(url)
        outcome = "cancelled"
        try:
            answer = await self._call(method, target, settings, headers or {}, body)
            outcome = str(answer.status)
        except IdpUnavailable as error:
            outcome = error.reason
            raise
        else:
            return answer
        finally:
            if self._observe is not None:
                endpoint = f"{_authority(target)}{target.raw_path}"
                spent_s = time.monotonic() - begun_s
                self._observe(endpoint=endpoint, outcome=outcome, seconds=spent_s)

    async def close(self) -> None:
        """Close all connections."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.session.close()

    async def _call(
        self,
        method: str,
        url: URL,
        settings: HttpSettings,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> HttpAnswer:
        pool = await self._take_pool(settings)
        sent = CIMultiDict(headers)
        sent.setdefault("accept-encoding", "identity")
        proxy = _proxy_for(url, settings)
        if proxy is not None and proxy.authorization is not None and url.scheme == "http":
            # aiohttp sends proxy_headers with CONNECT only.
            sent["proxy-authorization"] = proxy.authorization
        whom = f"{method} {_authority(url)}"
        try:
            async with asyncio.timeout(settings.timeout_s):
                async with pool.session.request(
                    method,
                    url,
                    data=body,
                    headers=sent,
                    allow_redirects=False,
                    ssl=self._verifying if settings.verify_tls else _unverified(),
                    proxy=proxy.url if proxy else None,
                    proxy_headers=_connect_headers(proxy, url),
                ) as response:
                    return HttpAnswer(
                        response.status,
                        _joined(response.headers),
                        await _read(response, whom),
                    )
        except TimeoutError:
            raise IdpUnavailable(
                Reason.IDP_TIMEOUT, f"{whom}: no answer within {settings.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
            raise _unavailable(whom, error) from None
        finally:
            pool.busy -= 1

    async def _take_pool(self, settings: HttpSettings) -> _Pool:
        """The pool of these settings, counted busy once more; idle ones go when there are many."""
        pool = self._pools.get(settings)
        if pool is not None:
            self._pools.move_to_end(settings)
            pool.busy += 1
            return pool
        pool = _Pool(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    force_close=not settings.keepalive,
                    keepalive_timeout=None if not settings.keepalive else _IDLE_S,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=("user-agent",),
                headers={"user-agent": "scopegate"},
            ),
            busy=1,
        )
        self._pools[settings] = pool
        idle = [key for key, other in self._pools.items() if not other.busy]
        surplus = [self._pools.pop(key) for key in idle[: max(0, len(self._pools) - MAX_POOLS)]]
        for other in surplus:
            await other.session.close()
        return pool


def trusted_bundle(trusted_certificate: Path | None) -> Path:
    """The PEM file of the authorities to believe; None asks for the system's own.

    SSL_CERT_FILE in the environment stands for the system's. Raises CannotStart.
    """
    if trusted_certificate is not None:
        return trusted_certificate
    candidates = (ssl.get_default_verify_paths().cafile, *SYSTEM_BUNDLES)
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise CannotStart(
        "lua_ssl_trusted_certificate: this machine keeps no authorities where we look; install the"
        " package ca-certificates, or name a PEM file"
    )


def tls_context(trusted_certificate: Path | None) -> ssl.SSLContext:
    """A context that verifies against `trusted_bundle`. Raises CannotStart."""
    bundle = trusted_bundle(trusted_certificate)
    try:
        return ssl.create_default_context(cafile=str(bundle))
    except (OSError, ssl.SSLError):
        raise CannotStart(
            f"lua_ssl_trusted_certificate: {bundle} should be a readable PEM file of certificates"
        ) from None


def _unverified() -> ssl.SSLContext:
    # One per process; made on first use, because most deployments never need it.
    context = _UNVERIFIED.get("context")
    if context is None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _UNVERIFIED["context"] = context
    return context


_UNVERIFIED: dict[str, ssl.SSLContext] = {}


@dataclass(frozen=True, slots=True)
class _Proxy:
    url: URL
    authorization: str | None


def _proxy_for(url: URL, settings: HttpSettings) -> _Proxy | None:
    if url.scheme == "https":
        proxy, authorization = settings.https_proxy, settings.https_proxy_authorization
    else:
        proxy, authorization = settings.http_proxy, settings.http_proxy_authorization
    if not proxy or _exempt(url, settings.no_proxy or ""):
        return None
    return _Proxy(URL(proxy), authorization)


def _connect_headers(proxy: _Proxy | None, url: URL) -> Mapping[str, str] | None:
    if proxy is None or proxy.authorization is None or url.scheme != "https":
        return None
    return {"proxy-authorization": proxy.authorization}


def _exempt(url: URL, no_proxy: str) -> bool:
    """Whether `no_proxy` names this host: exactly, with its port, as a suffix, or all (`*`)."""
    host = (url.host or "").lower().rstrip(".")
    for entry in (part.strip().lower().rstrip(".") for part in no_proxy.split(",")):
        if entry in ("*", host, f"{host}:{url.port}"):
            return True
        suffix = entry.removeprefix("*").lstrip(".")
        if suffix and not _is_address(host) and host.endswith(f".{suffix}"):
            return True
    return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _parse(url: str) -> URL:
    """The URL as it was written: an encoded slash in it stays one."""
    try:
        parsed = URL(url, encoded=url.isascii())
        good = parsed.scheme in ("http", "https") and parsed.host and parsed.port
    except ValueError:
        good = False
    if not good or re.search(r"[\x00-\x20\x7f]", url):
        raise IdpUnavailable(Reason.IDP_UNREACHABLE, "the address is no http or https URL")
    return parsed.with_fragment(None)


def _authority(url: URL) -> str:
    """Host and port, without the user and password that a URL may hold."""
    host = f"[{url.host}]" if ":" in (url.host or "") else url.host
    return f"{host}:{url.port}"


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    return {name.lower(): ", ".join(headers.getall(name)) for name in headers}


async def _read(response: aiohttp.ClientResponse, whom: str) -> bytes:
    """The body, decompressed, never holding more than LIMIT_BYTES and one chunk."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    inflate = _inflater(encoding, whom)
    read = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        read += inflate(chunk, LIMIT_BYTES + 1 - len(read))
        if len(read) > LIMIT_BYTES:
            raise IdpUnavailable(
                Reason.IDP_ANSWER_TOO_LARGE,
                f"{whom}: the answer is larger than {LIMIT_BYTES} bytes",
            )
    return bytes(read)


def _inflater(encoding: str, whom: str) -> Callable[[bytes, int], bytes]:
    if encoding in ("", "identity"):
        return lambda chunk, _: chunk
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise IdpUnavailable(
            Reason.IDP_ANSWER_INVALID, f"{whom}: the answer is compressed, which was not asked for"
        )
    # Nobody asked for it, and some servers compress all the same.
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress


def _unavailable(whom: str, error: Exception) -> IdpUnavailable:
    """What happened, without the URL: its query and its user part may hold credentials."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            certificate = error.certificate_error
            why = getattr(certificate, "verify_message", "") or "it does not verify"
            return IdpUnavailable(Reason.IDP_TLS_FAILED, f"{whom}: certificate not believed: {why}")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return IdpUnavailable(Reason.IDP_TLS_FAILED, f"{whom}: no TLS connection")
        case aiohttp.ClientConnectorDNSError():
            return IdpUnavailable(Reason.IDP_UNREACHABLE, f"{whom}: the host name has no address")
        case aiohttp.ClientHttpProxyError():
            return IdpUnavailable(
                Reason.IDP_UNREACHABLE, f"{whom}: the proxy refused with status {error.status}"
            )
        case aiohttp.ClientProxyConnectionError():
            return IdpUnavailable(Reason.IDP_UNREACHABLE, f"{whom}: the proxy cannot be reached")
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            why = os.strerror(number).lower() if number else "no connection"
            return IdpUnavailable(Reason.IDP_UNREACHABLE, f"{whom}: {why}")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return IdpUnavailable(Reason.IDP_ANSWER_INVALID, f"{whom}: the answer is no valid HTTP")
        case zlib.error():
            return IdpUnavailable(
                Reason.IDP_ANSWER_INVALID, f"{whom}: the answer does not decompress"
            )
        case ValueError():
            return IdpUnavailable(Reason.IDP_UNREACHABLE, f"{whom}: the request cannot be made")
        case _:
            return IdpUnavailable(Reason.IDP_UNREACHABLE, f"{whom}: the connection broke")
