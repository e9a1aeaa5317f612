"""The demo: what it asks the Admin API, what it shows, what it says when it cannot."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from scopegate.app import demo
from scopegate.app.cannot_start import CannotStart
from scopegate.app.demo import Ports, apply_story, demo_children, demo_settings, run_demo, welcome
from scopegate.plugins.openid_connect.config_fields.client_fields import BUILT_METHODS
from scopegate_demo.idp import realm

PORTS = Ports(proxy=18000, tls=18443, admin=18001, status=18007, idp=18080, echo=18081)


class FakeAdmin:
    """Enough of an Admin API to be told the story."""

    def __init__(self, refuse: str | None = None) -> None:
        self.refuse = refuse
        self.entities: dict[str, dict[str, Any]] = {}

    async def __call__(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            assert request.path == "/routes/id-of-openidconnectRoute/plugins"
            plugins = [e for path, e in self.entities.items() if path.startswith("/plugins/")]
            return web.json_response({"data": plugins, "next": None})
        assert request.method == "PUT"
        if self.refuse and request.path.startswith(self.refuse):
            return web.json_response({"message": "schema violation (x: no)"}, status=400)
        key = request.path.rpartition("/")[2]
        id_ = key if request.path.startswith("/plugins/") else f"id-of-{key}"
        self.entities[request.path] = {"id": id_, **await request.json()}
        return web.json_response(self.entities[request.path])

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        runner = web.ServerRunner(web.Server(self), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def test_the_story_is_told_once_however_often_it_is_told() -> None:
    admin = FakeAdmin()
    async with admin.serving() as url:
        await apply_story(url, PORTS)
        once = dict(admin.entities)
        await apply_story(url, PORTS)
    assert admin.entities == once
    service, route, plugin = once.values()
    assert service["url"] == "http://127.0.0.1:18081/anything"
    assert (route["name"], route["paths"]) == ("openidconnectRoute", ["/oidc"])
    assert route["service"] == {"id": "id-of-openidconnect"}
    assert (plugin["name"], plugin["route"]) == (
        "openid-connect",
        {"id": "id-of-openidconnectRoute"},
    )
    config = plugin["config"]
    assert config["issuer"] == (
        "http://127.0.0.1:18080/realms/kong/.well-known/openid-configuration"
    )
    assert config["redirect_uri"] == ["http://localhost:18000/oidc"]
    assert config["scopes_required"] == ["kong_api_access"]
    # A newcomer's first screen has no warning about what he did not ask for.
    assert {*config["auth_methods"]} == {*BUILT_METHODS}


async def test_a_refusal_of_the_admin_api_is_one_line() -> None:
    async with FakeAdmin(refuse="/routes").serving() as url:
        with pytest.raises(CannotStart) as caught:
            await apply_story(url, PORTS)
    assert caught.value.lines == (
        "the Admin API refused /routes/openidconnectRoute: schema violation (x: no)",
    )


def test_the_demo_provider_knows_the_same_client_and_people() -> None:
    assert (demo.CLIENT_ID, demo.CLIENT_SECRET) == (
        realm.STORY_CLIENT_ID,
        realm.STORY_CLIENT_SECRET,
    )
    assert demo.PASSWORD == realm.STORY_PASSWORD
    names = [user.username for user in realm.story_realm().users]
    assert names == ["Blog_with_scope", "Blog_without_scope"]


def test_everything_listens_on_loopback_in_a_prefix_of_its_own(tmp_path: Path) -> None:
    settings = demo_settings(PORTS, {"SCOPEGATE_LOG_LEVEL": "debug", "SCOPEGATE_PREFIX": "/x"})
    assert settings.prefix == Path.cwd() / ".scopegate/demo"
    assert settings.log_level == "debug"
    for addresses in (settings.proxy_listen, settings.admin_listen, settings.status_listen):
        assert all(address.is_loopback for address in addresses)
    assert [(address.port, address.ssl) for address in settings.proxy_listen] == [
        (18000, False),
        (18443, True),
    ]


def test_the_demo_programs_are_started_on_their_ports() -> None:
    idp, echo = demo_children(PORTS)
    assert idp.command[1:] == ("-m", "scopegate_demo.idp", "--port", "18080")
    assert echo.command[1:] == ("-m", "scopegate_demo.echo", "--port", "18081")


@pytest.mark.parametrize(("field", "option"), [("idp", "--idp-port"), ("echo", "--echo-port")])
def test_a_taken_port_names_the_option_that_changes_it(field: str, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(**{"idp": 18080, "echo": 18081, field: port})
        with pytest.raises(CannotStart) as caught:
            run_demo(ports)
    (line,) = caught.value.lines
    assert line.endswith(
        f"scopegate demo {option}: 127.0.0.1:{port} is taken by another program; end that one or"
        " give another port"
    )


def test_the_screen_says_what_to_open_who_to_be_and_what_to_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "httpie", lambda: ".venv/bin/http")
    console = Console(width=80)
    with console.capture() as capture:
        welcome(console, PORTS)
    shown = capture.get()
    for text in (
        "http://localhost:18000/oidc ",
        "Blog_with_scope ",
        "Blog_without_scope ",
        realm.STORY_PASSWORD,
        f"client_secret={realm.STORY_CLIENT_SECRET} scope=openid\n",
        ".venv/bin/http :18001/services",
        ".venv/bin/http :18000/oidc",
        "Ctrl-C ends everything",
    ):
        assert text in shown


def test_httpie_is_called_by_the_shortest_name_that_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo.shutil, "which", lambda _: "/usr/bin/http")
    assert demo.httpie() == "http"
    monkeypatch.setattr(demo.shutil, "which", lambda _: None)
    monkeypatch.setattr(demo.sys, "executable", str(tmp_path / ".venv/bin/python"))
    assert demo.httpie() == str(tmp_path / ".venv/bin/http")
    monkeypatch.chdir(tmp_path)
    assert demo.httpie() == ".venv/bin/http"
