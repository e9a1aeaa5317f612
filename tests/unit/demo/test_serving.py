"""Ports, TLS, and the two commands."""

import asyncio
import datetime
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scopegate_demo.idp import STORY_CLIENT_SECRET, DemoIdp
from scopegate_demo.serving import PortUnavailable

pytestmark = pytest.mark.slow


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a fresh certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_with_tls_the_issuer_is_https_and_cookies_are_secure(tmp_path: Path) -> None:
    context = self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=str(tmp_path / "server.pem"))
    async with DemoIdp(ssl_context=context) as idp, aiohttp.ClientSession() as http:
        assert idp.issuer.startswith("https://127.0.0.1:")
        async with http.get(idp.discovery_url, ssl=trust) as answer:
            document = await answer.json()
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await http.get(idp.discovery_url)
        login = (
            f"{document['authorization_endpoint']}?client_id=blog_post"
            "&redirect_uri=http://localhost/&response_type=code"
        )
        async with http.get(login, ssl=trust) as answer:
            assert "; Secure" in answer.headers["Set-Cookie"]


async def test_a_taken_port_is_one_clear_sentence() -> None:
    async with DemoIdp() as first:
        port = int(first.origin.rpartition(":")[2])
        with pytest.raises(PortUnavailable, match=f"port {port} of 127.0.0.1 is taken"):
            await DemoIdp(port=port).start()


async def test_a_port_is_kept_while_down_and_let_go_at_the_end() -> None:
    idp = DemoIdp()
    await idp.start()
    port = int(idp.origin.rpartition(":")[2])
    await idp.down()
    with socket.socket() as other, pytest.raises(OSError):
        other.bind(("127.0.0.1", port))
    await idp.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


@asynccontextmanager
async def command(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 15)).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_provider_as_a_command_tells_its_issuer_and_ends_on_a_signal(
    http: aiohttp.ClientSession, number: signal.Signals
) -> None:
    async with command("scopegate_demo.idp", "--port", "0") as process:
        line = await first_line(process)
        assert line.startswith("demo identity provider: http://127.0.0.1:")
        issuer = line.split()[-1]
        async with http.get(f"{issuer}/.well-known/openid-configuration") as answer:
            assert (await answer.json())["issuer"] == issuer
        async with http.get(f"{issuer.removesuffix('/realms/kong')}/misbehave") as answer:
            assert answer.status == 404
        process.send_signal(number)
        _, errors = await asyncio.wait_for(process.communicate(), 5)
        assert process.returncode == 0
        assert errors == b""


async def test_the_provider_as_a_command_misbehaves_when_asked_to(
    http: aiohttp.ClientSession,
) -> None:
    arguments = ("--port", "0", "--misbehave", "--access-token-s", "7")
    async with command("scopegate_demo.idp", *arguments) as process:
        issuer = (await first_line(process)).split()[-1]
        form = {
            "grant_type": "client_credentials",
            "client_id": "blog_post",
            "client_secret": STORY_CLIENT_SECRET,
        }
        async with http.post(f"{issuer}/protocol/openid-connect/token", data=form) as answer:
            assert (await answer.json())["expires_in"] == 7
        async with http.get(f"{issuer.removesuffix('/realms/kong')}/misbehave") as answer:
            assert (await answer.json())["calls"]["token"] == 1


async def test_the_echo_as_a_command_tells_its_address(http: aiohttp.ClientSession) -> None:
    async with command("scopegate_demo.echo", "--port", "0") as process:
        url = (await first_line(process)).split()[2].rstrip(";")
        async with http.get(url) as answer:
            assert (await answer.json())["url"] == url


async def test_a_command_with_a_taken_port_is_one_line_and_status_1() -> None:
    async with DemoIdp() as idp:
        port = idp.origin.rpartition(":")[2]
        async with command("scopegate_demo.echo", "--port", port) as process:
            output, errors = await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 1
    assert output == b""
    assert errors.decode().splitlines() == [
        f"port {port} of 127.0.0.1 is taken: stop what uses it, or choose another with --port"
    ]
