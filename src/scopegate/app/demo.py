"""`scopegate demo`: the whole story on one machine, with a demo identity provider and upstream.

The story's service, route and plugin are applied through the Admin API, as anybody would. The
demo programs are separate (`scopegate_demo`); this starts them and knows them by their addresses.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from scopegate.app.cannot_start import CannotStart
from scopegate.app.processes.child import ChildSpec
from scopegate.app.processes.listening import probe_tcp
from scopegate.app.processes.supervisor import Supervisor
from scopegate.app.settings.settings import Given, Settings, settings_from
from scopegate.app.settings.values import ListenAddress
from scopegate.app.start import start

CLIENT_ID = "blog_post"
CLIENT_SECRET = "blog_post_secret"  # noqa: S105 (the demo provider's, printed in its own source)
PASSWORD = "veryComplexPa55word"  # noqa: S105 (the demo users', printed on the screen)
READY_S = 60
SERVICE, ROUTE, PLUGIN = "openidconnect", "openidconnectRoute", "openid-connect"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens, on loopback."""

    proxy: int = 8000
    tls: int = 8443
    admin: int = 8001
    status: int = 8007
    idp: int = 8080
    echo: int = 8081


def run_demo(ports: Ports) -> int:
    """Run until Ctrl-C; the exit code. Raises CannotStart."""
    for port, option in ((ports.idp, "--idp-port"), (ports.echo, "--echo-port")):
        probe_tcp(ListenAddress("127.0.0.1", port), _option(option))

    async def tell_the_story(_: Supervisor) -> None:
        await _until_ready(ports)
        await apply_story(f"http://127.0.0.1:{ports.admin}", ports)
        welcome(Console(highlight=False), ports)

    return start(
        demo_settings(ports, os.environ), first=demo_children(ports), beside=tell_the_story
    )


def demo_settings(ports: Ports, environment: Mapping[str, str]) -> Settings:
    """Everything on loopback, in a prefix of its own; only the log can be set from outside."""
    plain, tls = f"127.0.0.1:{ports.proxy}", f"127.0.0.1:{ports.tls} ssl http2"
    given = {
        "prefix": Given(".scopegate/demo", "the demo"),
        "proxy_listen": Given(f"{plain}, {tls}", _option("--proxy-port, --tls-port")),
        "admin_listen": Given(f"127.0.0.1:{ports.admin}", _option("--admin-port")),
        "status_listen": Given(f"127.0.0.1:{ports.status}", _option("--status-port")),
        "drain_timeout_s": Given("2", "the demo"),
    }
    for name in ("log_level", "log_format"):
        variable = f"SCOPEGATE_{name.upper()}"
        if variable in environment:
            given[name] = Given(environment[variable], variable)
    return settings_from(given, folder=Path.cwd())


def _option(names: str) -> str:
    """How to give another value, also for those who came here by `make demo`."""
    return f"{_beside('scopegate')} demo {names}"


def demo_children(ports: Ports) -> tuple[ChildSpec, ...]:
    """The demo identity provider and the echo upstream."""
    return tuple(
        ChildSpec(
            name=name,
            command=(sys.executable, "-m", f"scopegate_demo.{module}", "--port", str(port)),
            environment=dict(os.environ),
            silent=True,
        )
        for name, module, port in (
            ("demo-idp", "idp", ports.idp),
            ("demo-upstream", "echo", ports.echo),
        )
    )


async def _until_ready(ports: Ports) -> None:
    """Wait until Scopegate, the identity provider and the upstream all answer."""
    await asyncio.gather(
        *(
            _until_answers(url)
            for url in (
                f"http://127.0.0.1:{ports.status}/status/ready",
                f"{_issuer(ports)}/.well-known/openid-configuration",
                f"http://127.0.0.1:{ports.echo}/anything",
            )
        )
    )


async def _until_answers(url: str) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        for _ in range(READY_S * 10):
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.1)
    raise CannotStart(f"{url} did not answer in {READY_S} s; the lines above may say why")


def _issuer(ports: Ports) -> str:
    return f"http://127.0.0.1:{ports.idp}/realms/kong"


def _site(ports: Ports) -> str:
    return f"http://localhost:{ports.proxy}/oidc"


async def apply_story(admin: str, ports: Ports) -> None:
    """Put the story's service, route and plugin as they were. Raises CannotStart."""
    site = _site(ports)
    async with aiohttp.ClientSession(admin) as session:
        service = await _put(
            session,
            f"/services/{SERVICE}",
            {"name": SERVICE, "url": f"http://127.0.0.1:{ports.echo}/anything"},
        )
        route = await _put(
            session,
            f"/routes/{ROUTE}",
            {"name": ROUTE, "paths": ["/oidc"], "service": {"id": service["id"]}},
        )
        await _put(
            session,
            f"/plugins/{await _plugin_id(session, route['id'])}",
            {
                "name": PLUGIN,
                "route": {"id": route["id"]},
                "config": {
                    "issuer": f"{_issuer(ports)}/.well-known/openid-configuration",
                    "client_id": [CLIENT_ID],
                    "client_secret": [CLIENT_SECRET],
                    "redirect_uri": [site],
                    # What is built; the default names methods that would be warned of.
                    "auth_methods": ["authorization_code", "session", "bearer", "refresh_token"],
                    "consumer_claim": ["email"],
                    "consumer_optional": True,
                    "scopes_required": ["kong_api_access"],
                    # For people in a browser who want to come back as somebody else.
                    "logout_query_arg": "logout",
                    "logout_methods": ["GET"],
                    "logout_redirect_uri": [site],
                },
            },
        )


async def _plugin_id(session: aiohttp.ClientSession, route_id: str) -> str:
    """The id of the plugin that the route has already, or a new one."""
    async with session.get(f"/routes/{route_id}/plugins") as answer:
        document = await answer.json()
    for plugin in document.get("data", []):
        if plugin["name"] == PLUGIN:
            return str(plugin["id"])
    return str(uuid.uuid4())


async def _put(session: aiohttp.ClientSession, path: str, document: Any) -> Any:
    async with session.put(path, json=document) as answer:
        said = await answer.json()
        if answer.status >= 300:
            raise CannotStart(f"the Admin API refused {path}: {said.get('message', said)}")
        return said


def welcome(console: Console, ports: Ports) -> None:
    """Print what to open, who to log in as, what to try next."""
    site = _site(ports)
    people = Table(box=None, padding=(0, 2), show_header=False)
    for _ in range(2):
        people.add_column(no_wrap=True)
    people.add_row(Text("Blog_with_scope", "bold green"), PASSWORD, "gets in")
    people.add_row(Text("Blog_without_scope", "bold red"), PASSWORD, "is told no; the log says why")
    head = Group(
        Text.assemble("Open  ", (site, "bold cyan underline"), "  in a browser and log in as"),
        Text(),
        people,
        Text(),
        Text.assemble(
            "To come back as the other one, open  ", (f"{site}?logout=1", "cyan underline")
        ),
    )
    console.print()
    console.print(
        Panel(head, title="Scopegate runs", box=box.ROUNDED, border_style="green", padding=(1, 2))
    )
    console.print("Then try")
    for what, line in lines_to_try(ports):
        console.print(Text(f"  # {what}", "dim"))
        # One line each however narrow the terminal is, so that it can be copied.
        console.print(Text(f"  {line}", "cyan"), soft_wrap=True)
    console.print()
    console.print(Text("Ctrl-C ends everything.", "dim"))


def lines_to_try(ports: Ports) -> tuple[tuple[str, str], ...]:
    """What a line shows, and the line."""
    http = httpie()
    return (
        ("what the gateway knows", f"{http} :{ports.admin}/services"),
        ("the plugin, every field of it", f"{http} :{ports.admin}/routes/{ROUTE}/plugins"),
        ("a program without a token", f"{http} :{ports.proxy}/oidc Accept:application/json"),
        (
            "a program gets a token from the identity provider",
            f"{http} -bf :{ports.idp}/realms/kong/protocol/openid-connect/token"
            f" grant_type=password username=Blog_with_scope password={PASSWORD}"
            f" client_id={CLIENT_ID} client_secret={CLIENT_SECRET} scope=openid",
        ),
        (
            "and is let in with it",
            f"{http} :{ports.proxy}/oidc 'Authorization: Bearer <access_token>'",
        ),
        ("numbers for Prometheus", f"{http} :{ports.status}/metrics"),
    )


def httpie() -> str:
    """How to call HTTPie from here."""
    return "http" if shutil.which("http") else _beside("http")


def _beside(program: str) -> str:
    """The path of a program of this environment, short where it can be."""
    beside = Path(sys.executable).with_name(program)
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
