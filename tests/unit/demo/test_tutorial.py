"""The tutorial shows what is there."""

import re
import subprocess
from pathlib import Path

from support.keycloak import REALM_SCRIPT, VERSION

ROOT = REALM_SCRIPT.parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial" / "keycloak.md").read_text()

ISSUER = "http://127.0.0.1:8080"
# As users of Kong know them; the issuer's host is left to the reader.
LINES = [
    "http POST localhost:8001/services name=openidconnect url=http://httpbin.org/anything",
    "http POST localhost:8001/services/openidconnect/routes name=openidconnectRoute paths=/oidc -f",
    "http -f localhost:8001/routes/openidconnectRoute/plugins name=openid-connect "
    f"config.issuer={ISSUER}/realms/kong/.well-known/openid-configuration "
    "config.client_id=blog_post config.client_secret=blog_post_secret config.ssl_verify=false "
    "config.consumer_claim=email config.verify_signature=false "
    "config.redirect_uri=http://localhost:8000/oidc config.consumer_optional=true "
    "config.scopes_required=kong_api_access",
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)


def test_the_python_shown_is_the_scripts_own() -> None:
    script = REALM_SCRIPT.read_text()
    shown = blocks("python")
    assert len(shown) == 4
    for block in shown:
        assert block in script


def test_the_story_is_told_with_its_own_lines() -> None:
    commands = "".join(blocks("sh")).splitlines()
    for line in LINES:
        assert line in commands


def test_every_command_is_good_shell() -> None:
    for block in blocks("sh"):
        done = subprocess.run(
            ["sh", "-n"], input=block, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{block}{done.stderr}"


def test_the_keycloak_of_the_tutorial_is_the_one_of_the_tests() -> None:
    assert set(re.findall(r"(?:dist[:-]|keycloak-)(\d+\.\d+\.\d+)", TUTORIAL)) == {VERSION}


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = re.findall(r"\]\((\.\./[^)#]+)", TUTORIAL)
    assert links
    for link in links:
        assert Path(ROOT, "docs", "tutorial", link).exists(), link
