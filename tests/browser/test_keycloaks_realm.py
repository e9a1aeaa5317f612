"""The realm that scripts/keycloak-realm builds in a real Keycloak."""

import json
import os
import subprocess
import sys

import aiohttp
import pytest

from support.base64url import from_base64url
from support.browser import chromium, log_in, person, screenshot
from support.keycloak import ADMIN, KEYCLOAK_TIMEOUT_S, REALM_SCRIPT, Keycloak
from support.relying_party import RelyingParty, callback_page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(KEYCLOAK_TIMEOUT_S)]


def claims_of(token: str) -> dict:
    return json.loads(from_base64url(token.split(".")[1]))


@pytest.mark.parametrize(
    ("user", "scope", "has_role"),
    [
        ("Blog_with_scope", {"openid", "profile", "email", "kong_api_access"}, True),
        ("Blog_without_scope", {"openid", "profile", "email"}, False),
    ],
)
async def test_both_users_log_in_and_only_the_one_in_the_group_has_the_scope(
    keycloak: Keycloak, http: aiohttp.ClientSession, user: str, scope: set[str], has_role: bool
) -> None:
    rp = RelyingParty(keycloak.issuer)
    async with callback_page() as (url, arrived), chromium() as browser, person(browser) as page:
        rp.redirect_uri = url
        await page.goto(rp.authorization_url())
        await screenshot(page, "keycloak-login")
        await log_in(page, user)
        assert page.url.startswith(f"{url}?"), "no page between login and callback"
    (answer,) = arrived
    assert answer["state"] == rp.state
    status, tokens = await rp.redeem(http, answer["code"])
    assert status == 200
    claims = claims_of(tokens["access_token"])
    assert {*claims["scope"].split()} == scope
    assert ("kong_api_role" in claims["realm_access"]["roles"]) == has_role
    assert claims["email"] == f"{user.lower()}@example.com"
    assert claims_of(tokens["id_token"])["nonce"] == rp.nonce


def build_realm(url: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REALM_SCRIPT), url, *options],
        env=os.environ | ADMIN | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_script_does_not_touch_a_realm_that_is_there(keycloak: Keycloak) -> None:
    done = build_realm(keycloak.url)
    assert done.returncode == 1
    assert done.stderr == "the realm kong is there already: --replace builds it anew\n"


def test_a_wrong_administrator_is_one_line(keycloak: Keycloak) -> None:
    done = build_realm(keycloak.url, KC_BOOTSTRAP_ADMIN_PASSWORD="wrong")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Invalid user credentials" in done.stderr
