"""docs/how-to/behind-a-load-balancer.md to the letter, with the ports and certificates of the test.

The client has another address of loopback than the balancer, so that they can be told apart.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio

from scopegate_demo.echo import EchoUpstream
from scopegate_demo.idp import DemoIdp
from support.balancers import running_haproxy, running_nginx
from support.certificates import Pki
from support.gateway import Gateway, running_gateway
from support.login import form_browser, log_in
from support.ports import free_ports
from support.raw_http import Headers, RawConnection, Reply

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PAGE = Path(__file__).parents[3] / "docs/how-to/behind-a-load-balancer.md"
USER = "Blog_with_scope"
CLIENT = "127.0.0.2"
HTML = ("Accept", "text/html")
LIES = [
    ("X-Forwarded-For", "10.9.9.9"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Path", "/evil"),
    ("X-Forwarded-Prefix", "/evil"),
    ("X-Real-IP", "10.9.9.9"),
]

Balancer = Callable[..., AbstractAsyncContextManager[None]]
BALANCERS: dict[str, Balancer] = {"nginx": running_nginx, "haproxy": running_haproxy}
"""By the language of their blocks."""


def blocks(language: str) -> list[str]:
    """The page's blocks of that language, in order: first those for HTTP, then for connections."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@dataclass
class Place:
    """Ports and paths of a test, in the place of the page's."""

    folder: Path
    ports: dict[str, int]
    pki: Pki

    @classmethod
    def make(cls, folder: Path, **ports: int) -> Place:
        pki = Pki(folder)
        certificate, key = pki.server("shop.example", "localhost")
        both = folder / "shop.example.both.pem"
        both.write_text(Path(certificate).read_text() + Path(key).read_text())
        names = ("80", "443", "8000", "8443")
        numbers = dict(zip(names, free_ports(len(names)), strict=True))
        return cls(folder, numbers | ports, pki)

    def here(self, text: str) -> str:
        """A text of the page, with the ports and paths of here and nothing else changed."""
        text = text.replace("/etc/tls/", f"{self.folder}/")
        return re.sub(r"\b\d{2,5}\b", lambda found: str(self.ports.get(found[0], found[0])), text)

    def settings(self, text: str) -> dict[str, str]:
        """A scopegate.conf of the page, as settings by name."""
        lines = [line for line in self.here(text).splitlines() if not line.startswith("#")]
        return dict(line.split(" = ", 1) for line in lines)

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.pki.bundle))

    async def ask(
        self, target: str, *, over_tls: bool, headers: Headers | None = None, **more: Any
    ) -> Reply:
        """From the client's address, to the balancer."""
        port = self.ports["443" if over_tls else "80"]
        tls: dict[str, Any] = {"local_addr": (CLIENT, 0)}
        if over_tls:
            tls |= {"ssl": self.tls(), "server_hostname": "shop.example"}
        connection = await RawConnection.open(port, **tls)
        try:
            return await connection.ask(
                target, host=f"shop.example:{port}", headers=headers or [], **more
            )
        finally:
            connection.close()


@dataclass
class World:
    """A gateway behind a balancer, set up by the page's commands."""

    place: Place
    gateway: Gateway
    idp: DemoIdp
    over_tls: str


def http(line: str, home: Path) -> None:
    """Run a line of the page with the real HTTPie; it must be answered with 201."""
    name, *arguments = shlex.split(line)
    done = subprocess.run(
        [str(Path(sys.executable).with_name(name)), "--ignore-stdin", "--print=hb", *arguments],
        env=os.environ | {"HTTPIE_CONFIG_DIR": str(home)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "201", done.stdout


@asynccontextmanager
async def world(folder: Path, way: int, balancer: str) -> AsyncIterator[World]:
    """way   0: the balancer speaks HTTP; 1: it passes connections on"""
    settings, conf = blocks("ini")[way], blocks(balancer)[way]
    place = Place.make(folder)
    async with (
        DemoIdp() as idp,
        EchoUpstream() as echo,
        running_gateway(folder, **place.settings(settings)) as gateway,
    ):
        place.ports |= {
            "8001": gateway.admin,
            "8007": gateway.status,
            "8080": urlsplit(idp.discovery_url).port or 0,
            "8081": urlsplit(echo.url).port or 0,
        }
        fronts = [place.ports[name] for name in ("80", "443") if re.search(rf"\b{name}\b", conf)]
        async with BALANCERS[balancer](folder, place.here(conf), *fronts):
            (commands,) = blocks("sh")
            for line in place.here(commands).replace("\\\n", " ").splitlines():
                http(line, folder)
            front = World(place, gateway, idp, f"https://shop.example:{place.ports['443']}")
            await until_it_is_there(front)
            yield front


async def until_it_is_there(world: World) -> None:
    """HAProxy's check, the route and the provider's metadata take a moment."""
    for _ in range(100):
        if (await world.place.ask("/shop", over_tls=True, headers=[HTML])).status == 302:
            return
    raise AssertionError("no redirect to the login")


def upstream_saw(reply: Reply) -> dict[str, str]:
    """The headers that the upstream got, by lower-case name."""
    assert reply.status == 200, reply
    return {name.lower(): value for name, value in json.loads(reply.body)["headers"].items()}


def addresses(headers: dict[str, str]) -> list[str]:
    """Of X-Forwarded-For."""
    return [each.strip() for each in headers["x-forwarded-for"].split(",")]


async def access_line(gateway: Gateway, reply: Reply) -> dict[str, Any]:
    """The line of a request in the access log, which is written within a second."""
    path = gateway.prefix / "logs/access.log"
    async with asyncio.timeout(10):
        while True:
            for line in map(json.loads, path.read_text().splitlines()):
                if line["request_id"] == reply.one("x-kong-request-id"):
                    found: dict[str, Any] = line
                    return found
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BALANCERS)
async def http_front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """TLS ends at the balancer, which speaks HTTP."""
    async with world(tmp_path_factory.mktemp("http"), 0, request.param) as front:
        yield front


async def test_plain_http_is_redirected_once(http_front: World) -> None:
    place = http_front.place
    plain = await place.ask("/shop?a=1", over_tls=False, headers=[HTML, *LIES])
    assert plain.status == 301
    assert plain.one("location") == "https://shop.example/shop?a=1"
    there = await place.ask("/shop?a=1", over_tls=True, headers=[HTML, *LIES])
    assert there.status == 302
    assert urlsplit(there.one("location") or "").path.endswith("/protocol/openid-connect/auth")


async def test_the_login_comes_back_over_https(http_front: World) -> None:
    login = await http_front.place.ask("/shop?a=1", over_tls=True, headers=[HTML, *LIES])
    asked = parse_qs(urlsplit(login.one("location") or "").query)
    assert asked["redirect_uri"] == [f"{http_front.over_tls}/shop"]
    assert login.all("set-cookie")
    assert all("; Secure" in value for value in login.all("set-cookie"))


async def test_a_person_signs_in_through_the_balancer(http_front: World) -> None:
    url = f"https://localhost:{http_front.place.ports['443']}/shop"
    context = http_front.place.tls()
    async with form_browser() as browser:
        async with browser.get(url, ssl=context, headers=dict([HTML]), allow_redirects=False) as at:
            assert at.status == 302
            location = at.headers["Location"]
        callback = await log_in(browser, location, USER)
        assert callback.url.startswith(url)
        async with browser.get(callback.url, ssl=context) as page:
            assert page.status == 200
            assert (await page.json())["headers"]["X-Forwarded-Proto"] == "https"


async def test_the_upstream_learns_of_the_client(http_front: World) -> None:
    token = ("Authorization", f"Bearer {http_front.idp.access_token(USER)}")
    got = upstream_saw(await http_front.place.ask("/shop", over_tls=True, headers=[token, *LIES]))
    assert got["x-real-ip"] == CLIENT
    assert addresses(got) == ["10.9.9.9", CLIENT, "127.0.0.1"]
    assert got["x-forwarded-proto"] == "https"
    assert got["x-forwarded-host"] == "shop.example"
    assert got["x-forwarded-port"] == str(http_front.place.ports["443"])
    assert got["x-forwarded-path"] == "/shop"
    assert got["x-forwarded-prefix"] == "/shop"


async def test_the_logs_have_the_client(http_front: World) -> None:
    bad = [("Authorization", "Bearer x")]
    refused = await http_front.place.ask("/shop", over_tls=True, headers=bad)
    assert refused.status == 401
    assert (await http_front.gateway.log_line(refused))["client_ip"] == CLIENT
    assert (await access_line(http_front.gateway, refused))["client_ip"] == CLIENT


async def test_who_comes_past_the_balancer_is_believed_nothing(http_front: World) -> None:
    port = http_front.place.ports["8000"]
    connection = await RawConnection.open(port, local_addr=(CLIENT, 0))
    reply = await connection.ask("/shop", headers=[("X-Forwarded-Proto", "https")])
    connection.close()
    assert reply.status == 301


@pytest.mark.parametrize("balancer", BALANCERS)
async def test_the_balancer_passes_connections_on(tmp_path: Path, balancer: str) -> None:
    async with world(tmp_path, 1, balancer) as front:
        place = front.place
        login = await place.ask("/shop", over_tls=True, headers=[HTML, *LIES])
        asked = parse_qs(urlsplit(login.one("location") or "").query)
        assert asked["redirect_uri"] == [f"{front.over_tls}/shop"]
        assert all("; Secure" in value for value in login.all("set-cookie"))
        token = ("Authorization", f"Bearer {front.idp.access_token(USER)}")
        got = upstream_saw(await place.ask("/shop", over_tls=True, headers=[token, *LIES]))
        assert got["x-real-ip"] == CLIENT
        assert addresses(got) == ["10.9.9.9", CLIENT]
        assert got["x-forwarded-proto"] == "https"
        assert got["x-forwarded-host"] == "shop.example"
        assert got["x-forwarded-port"] == str(place.ports["8443"])
        assert got["x-forwarded-prefix"] == "/shop"

        # Without the preamble there is no way in.
        for address in ("127.0.0.1", CLIENT):
            with pytest.raises((OSError, EOFError)):
                await RawConnection.open(
                    place.ports["8443"],
                    local_addr=(address, 0),
                    ssl=place.tls(),
                    server_hostname="shop.example",
                )


async def test_every_link_of_the_page_leads_somewhere() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)", PAGE.read_text())
    assert links
    for link in links:
        assert (PAGE.parent / link).exists(), link
