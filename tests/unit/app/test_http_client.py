"""The HTTP client against real servers on loopback that behave badly."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from scopegate.app import http_client
from scopegate.app.cannot_start import CannotStart
from scopegate.app.certificates import CertificatePair, certificate_pair
from scopegate.app.http_client import LIMIT_BYTES, AiohttpClient, trusted_bundle
from scopegate.app.prefix import Prefix
from scopegate.app.settings.settings import load_settings
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.http import HttpSettings

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECRETS = "user:pa55@"


@contextlib.asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port of loopback; its address, such as `localhost:1234`."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def speaking(raw: bytes) -> AsyncIterator[str]:
    """A server that answers every connection with these bytes and closes it."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"localhost:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def client() -> AsyncIterator[AiohttpClient]:
    made = AiohttpClient()
    yield made
    await made.close()


@pytest.fixture
def pair(tmp_path: Path) -> CertificatePair:
    prefix = Prefix(tmp_path)
    prefix.prepare()
    settings = load_settings(None, {}, folder=tmp_path)
    return certificate_pair(settings, prefix, datetime.datetime.now(datetime.UTC))


def server_tls(pair: CertificatePair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": (await request.read()).decode(),
        }
    )


async def failure(client: AiohttpClient, url: str, settings: HttpSettings) -> IdpUnavailable:
    with pytest.raises(IdpUnavailable) as caught:
        await client.request("POST", url, settings=settings, body=b"client_secret=s3cret")
    for secret in ("s3cret", "pa55", "code=c0de", "user"):
        assert secret not in str(caught.value)
        assert secret not in repr(caught.value.__dict__)
    # The cause, which may quote the URL, is not shown.
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


async def test_an_answer_comes_back_whole_whatever_its_status(client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        answer = web.Response(status=418, body=b'{"error":"x"}')
        answer.headers.add("X-Two", "a")
        answer.headers.add("X-Two", "b")
        return answer

    async with serving(handler) as host:
        answer = await client.request("GET", f"http://{host}/x", settings=HttpSettings())
    assert (answer.status, answer.body) == (418, b'{"error":"x"}')
    assert answer.headers["x-two"] == "a, b"


async def test_what_is_sent_is_what_was_asked_for_and_no_cookie(client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        answer = await echo(request)
        answer.set_cookie("affinity", "1")
        return answer

    async with serving(handler) as host:
        for _ in range(2):
            answer = await client.request(
                "POST",
                f"http://{host}/token?a=%2F#fragment",
                settings=HttpSettings(),
                headers={"Authorization": "Basic eA==", "Content-Type": "application/json"},
                body=b"{}",
            )
    text = answer.body.decode()
    assert '"path": "/token?a=%2F"' in text
    assert '"authorization": "Basic eA=="' in text
    assert '"content-type": "application/json"' in text
    assert '"user-agent": "scopegate"' in text
    assert '"cookie"' not in text


async def test_a_redirect_is_an_answer_like_any_other(client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.path == "/first"
        return web.Response(status=302, headers={"location": "/second"})

    async with serving(handler) as host:
        answer = await client.request("GET", f"http://{host}/first", settings=HttpSettings())
    assert (answer.status, answer.headers["location"]) == (302, "/second")


async def test_nobody_there_is_unreachable(client: AiohttpClient) -> None:
    async with serving(echo) as host:
        pass
    error = await failure(client, f"http://{SECRETS}{host}/t?code=c0de", HttpSettings())
    assert error.reason == "idp_unreachable"
    assert error.detail == f"POST {host}: connection refused"


async def test_a_host_without_address_is_unreachable(client: AiohttpClient) -> None:
    error = await failure(client, "http://idp.invalid/t?code=c0de", HttpSettings())
    assert error.reason == "idp_unreachable"
    assert error.detail == "POST idp.invalid:80: the host name has no address"


@pytest.mark.parametrize(
    "url",
    [
        *("", "idp/x", "ftp://idp/x", "http://", "http://[::x]/", "/x", "http://h:99999/"),
        "http://localhost/\r\nx: y",
        "http://localhost/a b",
    ],
)
async def test_what_is_no_url_is_unreachable(client: AiohttpClient, url: str) -> None:
    assert (await failure(client, url, HttpSettings())).reason == "idp_unreachable"


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_the_timeout_bounds_the_whole_call(client: AiohttpClient, part: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        if part == "body":
            await answer.prepare(request)
            await answer.write(b"{")
        await asyncio.sleep(5)
        return answer

    async with serving(handler) as host:
        started = asyncio.get_running_loop().time()
        error = await failure(client, f"http://{host}/?code=c0de", HttpSettings(timeout_s=0.2))
        assert asyncio.get_running_loop().time() - started < 1
    assert (error.reason, error.detail) == (
        "idp_timeout",
        f"POST {host}: no answer within 0.2 s",
    )


async def test_an_answer_of_one_mebibyte_is_read_and_one_byte_more_is_not(
    client: AiohttpClient,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["size"]))

    async with serving(handler) as host:
        url = f"http://{host}/?size={LIMIT_BYTES}"
        answer = await client.request("GET", url, settings=HttpSettings())
        assert len(answer.body) == LIMIT_BYTES
        error = await failure(client, f"http://{host}/?size={LIMIT_BYTES + 1}", HttpSettings())
    assert error.reason == "idp_answer_too_large"


async def test_an_endless_answer_is_cut_off(client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await answer.write(b"x" * 65536)
        return answer

    async with serving(handler) as host:
        error = await failure(client, f"http://{host}/", HttpSettings())
    assert error.reason == "idp_answer_too_large"


async def test_a_compressed_answer_is_read_and_a_bomb_is_not(client: AiohttpClient) -> None:
    bodies = {"/small": b"hello", "/bomb": b"\0" * (64 * LIMIT_BYTES)}
    packed = {path: gzip.compress(body, 1) for path, body in bodies.items()}

    async def handler(request: web.Request) -> web.Response:
        assert request.headers["accept-encoding"] == "identity"
        return web.Response(body=packed[request.path], headers={"content-encoding": "gzip"})

    async with serving(handler) as host:
        answer = await client.request("GET", f"http://{host}/small", settings=HttpSettings())
        assert answer.body == b"hello"
        error = await failure(client, f"http://{host}/bomb", HttpSettings())
    assert error.reason == "idp_answer_too_large"


@pytest.mark.parametrize(
    "raw",
    [
        b"hello, this is not HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nxxxx",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["no http", "brotli", "no gzip", "cut short", "huge header"],
)
async def test_an_answer_that_makes_no_sense_is_invalid(client: AiohttpClient, raw: bytes) -> None:
    async with speaking(raw) as host:
        error = await failure(client, f"http://{host}/?code=c0de", HttpSettings())
    assert error.reason == "idp_answer_invalid"


async def test_a_connection_closed_without_a_word_is_unreachable(client: AiohttpClient) -> None:
    async with speaking(b"") as host:
        error = await failure(client, f"http://{host}/", HttpSettings())
    assert error.reason == "idp_unreachable"


async def test_tls_is_verified_unless_told_otherwise(
    client: AiohttpClient, pair: CertificatePair
) -> None:
    async with serving(echo, server_tls(pair)) as host:
        error = await failure(client, f"https://{host}/?code=c0de", HttpSettings())
        assert error.reason == "idp_tls_failed"
        assert "self-signed certificate" in error.detail
        trusting = HttpSettings(verify_tls=False)
        answer = await client.request("GET", f"https://{host}/", settings=trusting)
        assert answer.status == 200
        # And the one that does not verify has no part in the one that does.
        assert (await failure(client, f"https://{host}/", HttpSettings())).reason == (
            "idp_tls_failed"
        )


async def test_a_certificate_for_another_host_is_not_believed(pair: CertificatePair) -> None:
    client = AiohttpClient(pair.certificate)
    async with serving(echo, server_tls(pair)) as host:
        answer = await client.request("GET", f"https://{host}/", settings=HttpSettings())
        assert answer.status == 200
        elsewhere = host.replace("localhost", "127.0.0.2")
        with pytest.raises(IdpUnavailable):
            await client.request("GET", f"https://{elsewhere}/", settings=HttpSettings())
    await client.close()


async def test_a_server_without_tls_is_no_tls_server(client: AiohttpClient) -> None:
    async with speaking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as host:
        error = await failure(client, f"https://{host}/", HttpSettings())
    assert error.reason in ("idp_tls_failed", "idp_unreachable")


def test_a_trusted_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path / "text.pem"):
        (tmp_path / "text.pem").write_text("hello")
        with pytest.raises(CannotStart, match=r"^lua_ssl_trusted_certificate: .* readable PEM"):
            AiohttpClient(path)


def test_the_systems_authorities_are_found_where_this_machine_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: CertificatePair
) -> None:
    monkeypatch.setattr(http_client, "SYSTEM_BUNDLES", (str(tmp_path / "none"), pair.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    assert trusted_bundle(None) == pair.certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.key))
    assert trusted_bundle(None) == pair.key, "the environment names another"
    assert trusted_bundle(tmp_path / "x") == tmp_path / "x"
    monkeypatch.setenv("SSL_CERT_FILE", "/none")
    monkeypatch.setattr(http_client, "SYSTEM_BUNDLES", ())
    with pytest.raises(CannotStart, match="install the package ca-certificates"):
        trusted_bundle(None)


async def test_an_http_proxy_gets_the_whole_address_and_its_authorization(
    client: AiohttpClient,
) -> None:
    async with serving(echo) as proxy:
        settings = HttpSettings(
            http_proxy=f"http://{proxy}", http_proxy_authorization="Basic cHJveHk="
        )
        answer = await client.request("GET", "http://idp.invalid/x", settings=settings)
    text = answer.body.decode()
    assert '"path": "http://idp.invalid/x"' in text
    assert '"proxy-authorization": "Basic cHJveHk="' in text


async def test_an_https_proxy_is_asked_to_connect_and_the_idp_sees_no_authorization(
    client: AiohttpClient, pair: CertificatePair
) -> None:
    asked: list[bytes] = []

    async with serving(echo, server_tls(pair)) as idp:

        async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            far_reader, far_writer = await asyncio.open_connection(*idp.split(":"))
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

        async with await asyncio.start_server(tunnel, "127.0.0.1", 0) as server:
            settings = HttpSettings(
                verify_tls=False,
                https_proxy=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
                https_proxy_authorization="Basic cHJveHk=",
            )
            answer = await client.request("GET", f"https://{idp}/x", settings=settings)
            await client.close()
    assert asked[0].startswith(f"CONNECT {idp} HTTP/1.1\r\n".encode())
    assert b"Basic cHJveHk=" in asked[0]
    assert b'"path": "/x"' in answer.body
    assert b"cHJveHk=" not in answer.body


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def test_a_proxy_that_refuses_or_is_gone_is_unreachable(
    client: AiohttpClient, pair: CertificatePair
) -> None:
    async with speaking(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        settings = HttpSettings(https_proxy=f"http://{SECRETS}{proxy}")
        error = await failure(client, "https://idp.invalid/?code=c0de", settings)
    assert error.detail == "POST idp.invalid:443: the proxy refused with status 407"
    error = await failure(client, "https://idp.invalid/?code=c0de", settings)
    assert error.detail == "POST idp.invalid:443: the proxy cannot be reached"
    assert error.reason == "idp_unreachable"


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("localhost", True),
        ("LocalHost.", True),
        ("a.example, localhost", True),
        ("localhost:PORT", True),
        ("*", True),
        ("localhost:1", False),
        ("host", False),
        ("example.com", False),
        ("", False),
    ],
)
async def test_no_proxy_names_hosts_that_are_called_directly(
    client: AiohttpClient, no_proxy: str, direct: bool
) -> None:
    async def proxy(_: web.Request) -> web.Response:
        return web.Response(status=299)

    async with serving(echo) as host, serving(proxy) as proxy_host:
        settings = HttpSettings(
            http_proxy=f"http://{proxy_host}",
            no_proxy=no_proxy.replace("PORT", host.rpartition(":")[2]),
        )
        answer = await client.request("GET", f"http://{host}/", settings=settings)
    assert answer.status == (200 if direct else 299)


@pytest.mark.parametrize("entry", ["example.com", ".example.com", "*.example.com"])
def test_a_domain_in_no_proxy_covers_its_hosts(entry: str) -> None:
    proxied = HttpSettings(http_proxy="http://proxy:3128", no_proxy=entry)
    url = http_client.URL("http://idp.example.com/")
    assert http_client._proxy_for(url, proxied) is None
    other = http_client.URL("http://notexample.com/")
    assert http_client._proxy_for(other, proxied) is not None


async def test_proxies_of_the_environment_are_not_looked_at(
    client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with serving(echo) as host:
        answer = await client.request("GET", f"http://{host}/", settings=HttpSettings())
    assert answer.status == 200


@pytest.mark.parametrize(("keepalive", "connections"), [(True, 1), (False, 3)])
async def test_connections_are_kept_for_the_same_settings_alone(
    client: AiohttpClient, keepalive: bool, connections: int
) -> None:
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response()

    async with serving(handler) as host:
        for _ in range(3):
            settings = HttpSettings(keepalive=keepalive)
            await client.request("GET", f"http://{host}/", settings=settings)
        assert len(peers) == connections
        other = HttpSettings(keepalive=keepalive, timeout_s=3)
        await client.request("GET", f"http://{host}/", settings=other)
        assert len(peers) == connections + 1


async def test_pools_that_are_not_used_any_more_are_closed(
    client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "MAX_POOLS", 2)
    release = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await release.wait()
        return web.Response()

    async with serving(handler) as host:
        slow = asyncio.create_task(
            client.request("GET", f"http://{host}/slow", settings=HttpSettings(timeout_s=9))
        )
        await asyncio.sleep(0.05)
        for timeout_s in range(1, 6):
            settings = HttpSettings(timeout_s=timeout_s)
            await client.request("GET", f"http://{host}/", settings=settings)
        assert len(client._pools) == 2
        release.set()
        assert (await slow).status == 200, "the pool of a call under way is not closed"


async def test_a_post_is_never_sent_twice(client: AiohttpClient) -> None:
    seen = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with serving(handler) as host:
        url = f"http://{host}/"
        await client.request("POST", url, settings=HttpSettings())
        with pytest.raises(IdpUnavailable):
            await client.request("POST", url, settings=HttpSettings(), body=b"x")
    assert seen == 2


async def test_every_call_is_told_without_its_query() -> None:
    told: list[tuple[str, str]] = []

    def observe(*, endpoint: str, outcome: str, seconds: float) -> None:
        assert 0 <= seconds < 5
        told.append((endpoint, outcome))

    client = AiohttpClient(observe=observe)
    async with serving(echo) as host:
        await client.request("GET", f"http://u:p@{host}/a/b?code=1", settings=HttpSettings())
    with pytest.raises(IdpUnavailable):
        await client.request("GET", f"http://{host}/a", settings=HttpSettings())
    await client.close()
    assert told == [(f"{host}/a/b", "200"), (f"{host}/a", "idp_unreachable")]
