import pytest

from scopegate.plugins.access import Request
from scopegate.plugins.openid_connect.navigation import (
    is_form,
    is_navigation,
    is_preflight,
)
from support.plugin_requests import plugin_request

BROWSER_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def request(method: str = "GET", **headers: str) -> Request:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return plugin_request(method=method, headers=pairs)


@pytest.mark.parametrize(
    "asked",
    [
        request(),
        request(accept="*/*"),
        request(accept=BROWSER_ACCEPT, sec_fetch_mode="navigate"),
        request(accept="application/json, */*"),
        request("HEAD"),
        request(accept="image/png"),
    ],
)
def test_a_browser_that_goes_somewhere_and_plain_curl_are_navigations(asked: Request) -> None:
    assert is_navigation(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request(sec_fetch_mode="cors"),
        request(sec_fetch_mode="no-cors", accept="image/avif,*/*"),
        request(x_requested_with="XMLHttpRequest"),
        request(accept="application/json"),
        request(accept="application/problem+json, application/json;q=0.9"),
        request(accept=BROWSER_ACCEPT + "," * 4096),
        request(upgrade="websocket"),
        request("POST"),
        request("POST", sec_fetch_mode="navigate"),
        request("DELETE"),
        request("POST", content_type="application/grpc", sec_fetch_mode="navigate"),
    ],
)
def test_a_request_that_says_so_itself_is_none(asked: Request) -> None:
    assert not is_navigation(asked)


def test_a_preflight_is_options_with_origin_and_wanted_method() -> None:
    wanted = {"origin": "null", "access_control_request_method": "PUT"}
    assert is_preflight(request("OPTIONS", **wanted))
    assert not is_preflight(request("GET", **wanted))
    for name in wanted:
        assert not is_preflight(request("OPTIONS", **wanted | {name: ""}))
        rest = {other: value for other, value in wanted.items() if other != name}
        assert not is_preflight(request("OPTIONS", **rest))


def test_a_form_is_what_a_page_posts_and_no_script() -> None:
    assert is_form(request("POST", accept=BROWSER_ACCEPT, sec_fetch_mode="navigate"))
    assert is_form(request("POST", accept=BROWSER_ACCEPT)), "browsers without Sec-Fetch-Mode"
    assert not is_form(request("GET", accept=BROWSER_ACCEPT, sec_fetch_mode="navigate"))
    assert not is_form(request("HEAD"))
    for headers in (
        {"sec_fetch_mode": "cors"},
        {"sec_fetch_mode": ""},
        {"x_requested_with": "XMLHttpRequest"},
        {"accept": "application/json"},
        {"content_type": "application/grpc"},
    ):
        assert not is_form(request("POST", **headers))
