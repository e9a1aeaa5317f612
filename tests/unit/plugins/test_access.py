"""What goes in and out of a plugin holds credentials, and shows none of them."""

from __future__ import annotations

import pytest

from scopegate.ir.policy import Step
from scopegate.plugins.access import Continue, Redirect, Refusal, Respond
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.policy.client_answer import ClientAnswer
from support.plugin_requests import plugin_request

SECRET = "veryS3cret"
HEADERS = (("authorization", f"Bearer {SECRET}"),)
REQUEST = plugin_request(query=f"code={SECRET}", headers=HEADERS, body=SECRET.encode())


@pytest.mark.parametrize(
    "shown",
    [
        REQUEST,
        Arguments(REQUEST),
        ClientAnswer(200, HEADERS, SECRET.encode()),
        Continue(set_headers=HEADERS, response_headers=HEADERS, query=f"t={SECRET}"),
        Refusal(403, "r", "d", "m", response_headers=HEADERS),
        Redirect(f"/#access_token={SECRET}", "r", HEADERS),
        Respond(200, "text/plain", SECRET.encode(), "r", HEADERS),
        Step("openid-connect", "id", {"client_secret": [SECRET]}, {"k": SECRET}),
    ],
    ids=lambda shown: type(shown).__name__,
)
def test_no_credential_is_shown(shown: object) -> None:
    assert SECRET not in repr(shown)
