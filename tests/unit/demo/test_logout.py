"""The end-session endpoint."""

import aiohttp
import pytest

from scopegate_demo.idp import DemoIdp, Signature, TokenEdit
from support.login import LoginRefused, log_in
from support.relying_party import RelyingParty

USER = "Blog_with_scope"
AFTER = "http://localhost:8000/bye"


async def logged_in(http: aiohttp.ClientSession, rp: RelyingParty) -> str:
    """The ID token."""
    callback = await log_in(http, rp.authorization_url(), USER)
    _, tokens = await rp.redeem(http, callback.parameters["code"])
    return tokens["id_token"]


async def log_out(
    http: aiohttp.ClientSession, rp: RelyingParty, **parameters: str
) -> tuple[int, str, str]:
    """Status, Location and text."""
    url = f"{rp.base}/logout"
    async with http.get(url, params=parameters, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def is_logged_in(http: aiohttp.ClientSession, rp: RelyingParty) -> bool:
    callback = await log_in(http, rp.authorization_url(prompt="none"), "unused")
    return "code" in callback.parameters


async def test_with_the_id_token_logout_is_at_once_and_goes_back_with_state(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    hint = await logged_in(http, rp)
    assert await is_logged_in(http, rp)
    status, location, _ = await log_out(
        http, rp, id_token_hint=hint, post_logout_redirect_uri=AFTER, state="s 1"
    )
    assert (status, location) == (302, f"{AFTER}?state=s+1")
    assert not await is_logged_in(http, rp)


async def test_an_expired_id_token_still_names_the_session(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    hint = await logged_in(http, rp)
    clock.forward(idp.lifetimes.id_token_s + 1)
    await log_out(http, rp, id_token_hint=hint)
    assert not await is_logged_in(http, rp)


async def test_without_the_id_token_the_person_is_asked(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    await logged_in(http, rp)
    parameters = {"client_id": "blog_post", "post_logout_redirect_uri": AFTER}
    status, _, text = await log_out(http, rp, **parameters)
    assert status == 200
    assert "Log out?" in text
    assert await is_logged_in(http, rp)
    form = parameters | {"confirm": "yes"}
    async with http.post(f"{rp.base}/logout", data=form, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, AFTER)
    assert not await is_logged_in(http, rp)


async def test_a_link_cannot_confirm(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    await logged_in(http, rp)
    await log_out(http, rp, confirm="yes")
    assert await is_logged_in(http, rp)


async def test_without_a_place_to_go_there_is_a_page(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    status, _, text = await log_out(http, rp, id_token_hint=await logged_in(http, rp))
    assert status == 200
    assert "You are logged out" in text


@pytest.mark.parametrize(
    "parameters",
    [
        {"post_logout_redirect_uri": "http://evil.example/", "client_id": "blog_post"},
        {"post_logout_redirect_uri": AFTER},
        {"post_logout_redirect_uri": AFTER, "client_id": "unknown"},
        {"id_token_hint": "nonsense"},
    ],
)
async def test_a_wrong_request_is_a_page_and_ends_nothing(
    http: aiohttp.ClientSession, rp: RelyingParty, parameters: dict
) -> None:
    await logged_in(http, rp)
    status, location, text = await log_out(http, rp, **parameters)
    assert (status, location) == (400, "")
    assert "evil.example" not in text
    assert await is_logged_in(http, rp)


async def test_a_forged_hint_or_one_of_another_client_ends_nothing(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    hint = await logged_in(http, rp)
    forged = idp.id_token(USER, TokenEdit(signature=Signature.OTHER_KEY))
    assert (await log_out(http, rp, id_token_hint=forged))[0] == 400
    assert (await log_out(http, rp, id_token_hint=hint, client_id="other"))[0] == 400
    assert await is_logged_in(http, rp)


async def test_an_access_token_is_no_hint(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    assert (await log_out(http, rp, id_token_hint=idp.access_token(USER)))[0] == 400


async def test_after_logout_the_password_is_wanted_again(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    await log_out(http, rp, id_token_hint=await logged_in(http, rp))
    with pytest.raises(LoginRefused):
        await log_in(http, rp.authorization_url(), USER, "wrong")
