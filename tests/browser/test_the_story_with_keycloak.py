"""The story of the mission on real parts: HTTPie, Scopegate with Envoy, Keycloak, Chromium.

Its lines are those of the mission and of the tutorial, with the ports and the issuer of the test.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Frame, Page

from scopegate_demo.echo import EchoUpstream
from support.base64url import from_base64url
from support.browser import chromium, log_in, person, screenshot
from support.gateway import Gateway, running_gateway
from support.keycloak import ADMIN, KEYCLOAK_TIMEOUT_S, Keycloak
from support.leaks import jwts_in
from support.login import PASSWORD

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(KEYCLOAK_TIMEOUT_S),
    pytest.mark.asyncio(loop_scope="module"),
]

LINES = """
http POST localhost:{admin}/services name=openidconnect url={upstream}/anything
http POST localhost:{admin}/services/openidconnect/routes name=openidconnectRoute paths=/oidc -f
http -f localhost:{admin}/routes/openidconnectRoute/plugins name=openid-connect \
config.issuer={keycloak}/realms/kong/.well-known/openid-configuration \
config.client_id=blog_post config.client_secret=blog_post_secret config.ssl_verify=false \
config.consumer_claim=email config.verify_signature=false \
config.redirect_uri=http://localhost:{proxy}/oidc config.consumer_optional=true \
config.scopes_required=kong_api_access
"""


@dataclass
class Story:
    """The gateway as the three lines left it.

    answers   status and body that HTTPie got for each line
    secrets   what went over the wire in this module and must be in no log
    """

    gateway: Gateway
    keycloak: Keycloak
    echo: EchoUpstream
    answers: list[tuple[int, dict]]
    secrets: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.gateway.proxy}/oidc"

    def watch(self, page: Page) -> None:
        """Note the codes and states that pass through the address bar."""

        def note(frame: Frame) -> None:
            arguments = parse_qs(urlsplit(frame.url).query)
            for name in ("code", "state", "nonce", "code_challenge"):
                self.secrets.update(arguments.get(name, ()))

        page.on("framenavigated", note)

    async def note_cookies(self, page: Page) -> set[str]:
        """Note the gateway's cookies; their names."""
        cookies = await page.context.cookies(self.url)
        self.secrets.update(cookie["value"] for cookie in cookies)
        return {cookie["name"] for cookie in cookies}


def http(line: str, home: Path) -> tuple[int, dict]:
    """Run a line with the real HTTPie; status and JSON of the answer."""
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
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    return int(head.split()[1]), json.loads(body)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(
    keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    async with EchoUpstream(port=0) as echo, running_gateway(folder) as gateway:
        lines = LINES.format(
            admin=gateway.admin, proxy=gateway.proxy, upstream=echo.url, keycloak=keycloak.url
        )
        answers = [http(line, folder) for line in lines.strip().splitlines()]
        yield Story(gateway, keycloak, echo, answers)


async def access_token(keycloak: Keycloak, username: str) -> str:
    """A token of this realm from the password grant, without the gateway."""
    form = {"grant_type": "password", "username": username, "password": PASSWORD, "scope": "openid"}
    form |= {"client_id": keycloak.client_id, "client_secret": keycloak.client_secret}
    url = f"{keycloak.issuer}/protocol/openid-connect/token"
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as answer:
        assert answer.status == 200
        return str((await answer.json())["access_token"])


def scopes_of(token: str) -> list[str]:
    claims = json.loads(from_base64url(token.split(".")[1]))
    return str(claims["scope"]).split()


async def test_the_three_lines_are_answered_with_201(story: Story) -> None:
    assert [status for status, _ in story.answers] == [201, 201, 201]
    service, route, plugin = (body for _, body in story.answers)
    assert route["service"] == {"id": service["id"]}
    assert plugin["route"] == {"id": route["id"]}
    assert plugin["config"]["scopes_required"] == ["kong_api_access"]
    assert plugin["config"]["ssl_verify"] is False


async def test_blog_with_scope_reaches_the_upstream(story: Story) -> None:
    async with chromium() as browser, person(browser) as page:
        story.watch(page)
        await page.goto(story.url)
        assert page.url.startswith(f"{story.keycloak.issuer}/"), "Keycloak's own page asks"
        await log_in(page, "Blog_with_scope")
        seen = json.loads(await page.inner_text("body"))
        await screenshot(page, "story-keycloak-with-scope")
        cookies = await story.note_cookies(page)
        logins = len(story.echo.seen)
        await page.goto(story.url)
        again = json.loads(await page.inner_text("body"))
    token = seen["headers"]["Authorization"].removeprefix("Bearer ")
    story.secrets.add(token)
    assert seen["method"] == "GET"
    assert seen["url"].endswith("/anything")
    assert seen["args"] == {}, "code, state and session_state stay at the gateway"
    assert "Cookie" not in seen["headers"]
    assert "kong_api_access" in scopes_of(token)
    assert "session" in cookies
    assert again["headers"]["Authorization"] == f"Bearer {token}", "the session carries on"
    assert len(story.echo.seen) == logins + 1


async def test_blog_without_scope_is_refused_and_the_log_names_the_scopes_of_the_token(
    story: Story,
) -> None:
    before = len(story.echo.seen)
    async with chromium() as browser, person(browser) as page:
        story.watch(page)
        await page.goto(story.url)
        async with page.expect_response(lambda answer: answer.url.startswith(story.url)) as waiting:
            await log_in(page, "Blog_without_scope")
        answer = await waiting.value
        text = await page.inner_text("body")
        await screenshot(page, "story-keycloak-without-scope")
        cookies = await story.note_cookies(page)
    assert answer.status == 403
    assert "403 Forbidden" in text
    request_id = re.search(r"[0-9a-f]{32}", text)
    assert request_id is not None
    assert answer.headers["x-kong-request-id"] == request_id[0]
    assert "session" not in cookies, "a refused user leaves without a session"
    assert len(story.echo.seen) == before, "the upstream never heard of it"

    # The order is Keycloak's, anew for every realm: another token of this realm shows it.
    token = await access_token(story.keycloak, "Blog_without_scope")
    story.secrets.add(token)
    scopes = scopes_of(token)
    assert set(scopes) == {"openid", "profile", "email"}
    lines = [line for line in story.gateway.log_lines() if line.get("request_id") == request_id[0]]
    assert len(lines) == 1, f"one line about the refusal: {lines}"
    sentence = f"required scopes were not found [ {', '.join(scopes)} ]"
    assert lines[0]["event"] == f"[openid-connect] {sentence}"
    assert (lines[0]["reason"], lines[0]["status"]) == ("scopes_missing", 403)


async def test_a_program_with_keycloaks_token_gets_in_and_with_the_other_ones_does_not(
    story: Story,
) -> None:
    answers = {}
    for username in ("Blog_with_scope", "Blog_without_scope"):
        token = await access_token(story.keycloak, username)
        story.secrets.add(token)
        reply = await story.gateway.ask("/oidc", headers=[("Authorization", f"Bearer {token}")])
        answers[username] = reply
    assert answers["Blog_with_scope"].status == 200
    refused = answers["Blog_without_scope"]
    assert refused.status == 403
    assert 'error="insufficient_scope"' in (refused.one("www-authenticate") or "")


@asynccontextmanager
async def membership(keycloak: Keycloak, username: str, group_name: str) -> AsyncIterator[None]:
    """Put somebody into a group at Keycloak, for a while; other tests have the same realm."""
    form = {"grant_type": "password", "client_id": "admin-cli"}
    form |= {"username": ADMIN["KC_BOOTSTRAP_ADMIN_USERNAME"]}
    form |= {"password": ADMIN["KC_BOOTSTRAP_ADMIN_PASSWORD"]}
    token_url = f"{keycloak.url}/realms/master/protocol/openid-connect/token"
    realm = f"{keycloak.url}/admin/realms/kong"
    async with aiohttp.ClientSession() as session:
        async with session.post(token_url, data=form) as answer:
            token = (await answer.json())["access_token"]
        more = {"headers": {"Authorization": f"Bearer {token}"}}
        async with session.get(f"{realm}/users?exact=true&username={username}", **more) as answer:
            (user,) = await answer.json()
        async with session.get(f"{realm}/groups?exact=true&search={group_name}", **more) as answer:
            (group,) = await answer.json()
        url = f"{realm}/users/{user['id']}/groups/{group['id']}"
        async with session.put(url, **more) as answer:
            assert answer.status == 204
        try:
            yield
        finally:
            async with session.delete(url, **more) as answer:
                assert answer.status == 204


async def test_a_group_at_keycloak_lets_the_other_one_in_too(story: Story) -> None:
    group = membership(story.keycloak, "blog_without_scope", "kong_api_group")
    async with group, chromium() as browser, person(browser) as page:
        story.watch(page)
        await page.goto(story.url)
        await log_in(page, "Blog_without_scope")
        seen = json.loads(await page.inner_text("body"))
        await story.note_cookies(page)
    token = seen["headers"]["Authorization"].removeprefix("Bearer ")
    story.secrets.add(token)
    assert "kong_api_access" in scopes_of(token)
    refused = await access_token(story.keycloak, "Blog_without_scope")
    assert "kong_api_access" not in scopes_of(refused), "out of the group again"


async def test_what_is_switched_off_is_warned_of(story: Story) -> None:
    said = await story.gateway.call_admin("GET", "/scopegate/findings")
    text = json.dumps(said)
    warnings = [line for line in story.gateway.log_lines() if line.get("level") == "warning"]
    for name in ("ssl_verify", "verify_signature"):
        assert name in text, f"a finding about {name}"
        assert any(name in json.dumps(line) for line in warnings), f"a warning about {name}"


async def test_no_secret_is_in_any_log(story: Story) -> None:
    files = [story.gateway.log_path, *story.gateway.prefix.joinpath("logs").glob("*")]
    assert len(files) > 1, "the access log is among them"
    log = "".join(path.read_text() for path in files)
    assert "scopes_missing" in log
    assert " /oidc" in log or '"/oidc"' in log, "the access log tells the paths"
    secrets = {*story.secrets, story.keycloak.client_secret, PASSWORD}
    assert len(secrets) > 10, "the tests above noted them"
    for secret in secrets:
        assert secret not in log
        assert secret[-24:] not in log, "nor a part"
    assert jwts_in(log) == []
    for mark in ("code=", "state=", "session=", "Bearer e"):
        assert mark not in log, f"{mark} in the log"
