"""The authorization endpoint and the login page."""

from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from scopegate_demo.idp import STORY_PASSWORD, DemoIdp, Edit
from scopegate_demo.idp.login import WRONG_PASSWORD
from support.login import Callback, LoginRefused, form_browser, log_in
from support.relying_party import RelyingParty

USER = "Blog_with_scope"


async def page(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.get(url, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def refusal(http: aiohttp.ClientSession, rp: RelyingParty, **changes: str | None) -> str:
    """The error that the client gets without anybody having to log in."""
    callback = await log_in(http, rp.authorization_url(**changes), USER)
    assert callback.url.startswith(rp.redirect_uri)
    assert "code" not in callback.parameters
    return callback.parameters["error"]


async def test_a_login_goes_back_with_code_state_and_issuer(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    callback = await log_in(http, rp.authorization_url(), USER)
    assert callback.url.startswith(f"{rp.redirect_uri}?")
    assert set(callback.parameters) == {"code", "state", "iss", "session_state"}
    assert callback.parameters["state"] == rp.state
    assert callback.parameters["iss"] == idp.issuer


async def test_the_answer_joins_a_query_that_the_redirect_uri_has(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    rp.redirect_uri += "?keep=1"
    callback = await log_in(http, rp.authorization_url(), USER)
    assert parse_qs(urlsplit(callback.url).query)["keep"] == ["1"]
    assert "code" in callback.parameters


async def test_form_post_answers_in_a_form_and_not_in_the_address(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    callback = await log_in(http, rp.authorization_url(response_mode="form_post"), USER)
    assert callback.url == rp.redirect_uri
    assert callback.form is not None
    assert callback.form["state"] == rp.state
    assert callback.form["code"]


async def test_a_request_may_be_posted(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    parts = urlsplit(rp.authorization_url(login_hint="posted"))
    url = f"{rp.base}/auth"
    async with http.post(url, data=parse_qs(parts.query)) as answer:
        assert answer.status == 200
        assert 'value="posted"' in await answer.text()


async def test_a_wrong_password_says_so_keeps_the_name_and_lets_try_again(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    with pytest.raises(LoginRefused, match=WRONG_PASSWORD):
        await log_in(http, rp.authorization_url(), USER, "wrong")
    assert isinstance(await log_in(http, rp.authorization_url(), USER), Callback)


async def test_an_unknown_user_gets_the_same_words_as_a_wrong_password(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    with pytest.raises(LoginRefused, match=WRONG_PASSWORD):
        await log_in(http, rp.authorization_url(), "nobody")


async def test_a_second_login_needs_no_password(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    first = await log_in(http, rp.authorization_url(), USER)
    second = await log_in(http, rp.authorization_url(prompt="none"), "unused", "unused")
    assert second.parameters["code"] != first.parameters["code"]
    assert second.parameters["session_state"] == first.parameters["session_state"]


async def test_prompt_none_without_a_session_is_login_required(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    assert await refusal(http, rp, prompt="none") == "login_required"


@pytest.mark.parametrize("prompt", ["login", "select_account"])
async def test_prompt_can_ask_for_the_password_again(
    http: aiohttp.ClientSession, rp: RelyingParty, prompt: str
) -> None:
    await log_in(http, rp.authorization_url(), USER)
    with pytest.raises(LoginRefused, match=WRONG_PASSWORD):
        await log_in(http, rp.authorization_url(prompt=prompt), USER, "wrong")


async def test_max_age_asks_again_when_the_login_is_too_old(
    http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    await log_in(http, rp.authorization_url(), USER)
    clock.forward(60)
    young_enough = rp.authorization_url(max_age="60", prompt="none")
    assert "code" in (await log_in(http, young_enough, "unused")).parameters
    clock.forward(1)
    assert await refusal(http, rp, max_age="60", prompt="none") == "login_required"
    await log_in(http, rp.authorization_url(max_age="60"), USER)
    assert "code" in (await log_in(http, young_enough, "unused")).parameters


async def test_a_session_ends_when_it_lies_idle_and_at_its_limit(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    await log_in(http, rp.authorization_url(), USER)
    clock.forward(idp.lifetimes.session_idle_s)
    assert await refusal(http, rp, prompt="none") == "login_required"
    await log_in(http, rp.authorization_url(), USER)
    for _ in range(idp.lifetimes.session_max_s // 1000 - 1):
        clock.forward(1000)
        assert "code" in (await log_in(http, rp.authorization_url(), "unused")).parameters
    clock.forward(1000)
    assert await refusal(http, rp, prompt="none") == "login_required"


async def test_another_person_in_the_same_browser_gets_a_session_of_their_own(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    first = await log_in(http, rp.authorization_url(), USER)
    second = await log_in(http, rp.authorization_url(prompt="login"), "Blog_without_scope")
    assert second.parameters["session_state"] != first.parameters["session_state"]
    assert idp.provider.ledger.session(first.parameters["session_state"]) is None


async def test_login_hint_fills_in_the_name_and_is_escaped(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    _, text = await page(http, rp.authorization_url(login_hint='"><script>alert(1)</script>'))
    assert "&#34;&gt;&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


async def test_the_login_page_is_not_stored_framed_or_scripted(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    async with http.get(rp.authorization_url()) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_cookies_are_for_the_provider_alone(
    http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    async with http.get(rp.authorization_url()) as answer:
        (cookie,) = answer.headers.getall("Set-Cookie")
    assert {"HttpOnly", "SameSite=Lax", "Path=/realms/kong/"} <= {*cookie.split("; ")}


async def test_a_login_form_is_not_taken_from_another_site(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    _, text = await page(http, rp.authorization_url())
    action = text.partition('action="')[2].partition('"')[0]
    url = f"{idp.origin}{action}"
    filled = {"username": USER, "password": STORY_PASSWORD}
    # From another site a browser sends no cookies with a POST: they are SameSite=Lax.
    async with form_browser() as other, other.post(url, data=filled) as answer:
        assert answer.status == 400
        assert "Set-Cookie" not in answer.headers
    async with http.post(url, data=filled, allow_redirects=False) as answer:
        assert answer.status == 302


async def test_tabs_that_were_opened_at_once_can_all_log_in(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    _, first = await page(http, rp.authorization_url(state="first tab"))
    http.cookie_jar.clear()  # the second tab's request left before the first tab's answer came
    await page(http, rp.authorization_url(state="second tab"))
    action = first.partition('action="')[2].partition('"')[0]
    filled = {"username": USER, "password": STORY_PASSWORD}
    url = f"{idp.origin}{action}"
    async with http.post(url, data=filled, allow_redirects=False) as answer:
        assert answer.status == 302
        location = urlsplit(answer.headers["Location"])
    assert parse_qs(location.query)["state"] == ["first tab"]


async def test_tabs_log_in_in_any_order(http: aiohttp.ClientSession, rp: RelyingParty) -> None:
    texts = [(await page(http, rp.authorization_url(state=f"tab {i}")))[1] for i in range(3)]
    origin = rp.issuer.removesuffix("/realms/kong")
    for i in (2, 0, 1):
        action = texts[i].partition('action="')[2].partition('"')[0]
        filled = {"username": USER, "password": STORY_PASSWORD}
        async with http.post(origin + action, data=filled, allow_redirects=False) as answer:
            query = parse_qs(urlsplit(answer.headers["Location"]).query)
            assert query["state"] == [f"tab {i}"]


async def test_a_login_page_expires(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty, clock
) -> None:
    _, text = await page(http, rp.authorization_url())
    action = text.partition('action="')[2].partition('"')[0]
    clock.forward(idp.lifetimes.login_s)
    filled = {"username": USER, "password": STORY_PASSWORD}
    async with http.post(f"{idp.origin}{action}", data=filled) as answer:
        assert answer.status == 400
        assert "expired" in await answer.text()


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "unknown"},
        {"redirect_uri": None},
        {"redirect_uri": "http://evil.example/"},
    ],
)
async def test_what_cannot_be_answered_safely_is_a_page(
    http: aiohttp.ClientSession, rp: RelyingParty, changes: dict
) -> None:
    status, text = await page(http, rp.authorization_url(**changes))
    assert status == 400
    assert 'role="alert"' in text
    assert "evil.example" not in text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"scope": "openid nonsense"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "consent"}, "consent_required"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "urn:x"}, "request_uri_not_supported"),
    ],
)
async def test_a_wrong_request_is_answered_to_the_client(
    http: aiohttp.ClientSession, rp: RelyingParty, changes: dict, error: str
) -> None:
    assert await refusal(http, rp, **changes) == error


@pytest.mark.parametrize("name", ["nonce", "state", "scope"])
async def test_a_repeated_parameter_is_refused(
    http: aiohttp.ClientSession, rp: RelyingParty, name: str
) -> None:
    callback = await log_in(http, f"{rp.authorization_url()}&{name}=again", USER)
    assert callback.parameters["error"] == "invalid_request"
    assert ("state" in callback.parameters) == (name != "state")


async def test_the_callback_can_be_spoiled(
    idp: DemoIdp, http: aiohttp.ClientSession, rp: RelyingParty
) -> None:
    idp.behaviour.callback = Edit(
        set={"error": "access_denied", "iss": "http://elsewhere.example"},
        without=["code", "session_state"],
    )
    callback = await log_in(http, rp.authorization_url(), USER)
    assert callback.parameters == {
        "error": "access_denied",
        "iss": "http://elsewhere.example",
        "state": rp.state,
    }
