"""The echo upstream."""

import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest

from scopegate_demo.echo import EchoUpstream


@pytest.fixture
async def echo() -> AsyncIterator[EchoUpstream]:
    async with EchoUpstream() as running:
        yield running


async def test_anything_has_httpbins_members_in_its_order(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    url = f"{echo.url}/anything/a%2Fb?x=1&x=2&y="
    async with http.get(aiohttp.client.URL(url, encoded=True)) as answer:
        assert answer.content_type == "application/json"
        body = await answer.json()
    assert list(body) == [
        "args",
        "data",
        "files",
        "form",
        "headers",
        "json",
        "method",
        "origin",
        "url",
    ]
    assert body["args"] == {"x": ["1", "2"], "y": ""}
    assert body["method"] == "GET"
    assert body["origin"] == "127.0.0.1"
    assert body["url"] == url
    assert body["headers"]["Host"] == f"127.0.0.1:{echo.port}"
    assert (body["data"], body["form"], body["files"], body["json"]) == ("", {}, {}, None)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
async def test_any_method_will_do(
    echo: EchoUpstream, http: aiohttp.ClientSession, method: str
) -> None:
    async with http.request(method, f"{echo.url}/anything") as answer:
        assert (await answer.json())["method"] == method


async def test_browsers_get_json_too(echo: EchoUpstream, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{echo.url}/anything", headers={"Accept": "text/html"}) as answer:
        assert answer.content_type == "application/json"


async def test_json_form_files_and_bytes_each_have_their_member(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    url = f"{echo.url}/anything"
    async with http.post(url, json={"a": [1]}) as answer:
        body = await answer.json()
        assert body["json"] == {"a": [1]}
        assert body["data"] == '{"a": [1]}'
    async with http.post(url, data=[("a", "1"), ("a", "2"), ("b", "3")]) as answer:
        body = await answer.json()
        assert body["form"] == {"a": ["1", "2"], "b": "3"}
        assert (body["data"], body["json"]) == ("", None)
    form = aiohttp.FormData({"a": "1"})
    form.add_field("f", b"content", filename="f.txt")
    async with http.post(url, data=form) as answer:
        body = await answer.json()
        assert (body["files"], body["form"]) == ({"f": "content"}, {"a": "1"})
    async with http.post(url, data=b"\xff\x00") as answer:
        body = await answer.json()
        assert body["data"] == "data:application/octet-stream;base64,/wA="


async def test_headers_of_the_gateway_are_shown(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    sent = [
        ("x-forwarded-proto", "https"),
        ("X-Forwarded-For", "192.0.2.1"),
        ("x-twice", "1"),
        ("x-twice", "2"),
        ("x_under", "3"),
    ]
    async with http.get(f"{echo.url}/anything", headers=sent) as answer:
        body = await answer.json()
    assert body["headers"]["X-Forwarded-Proto"] == "https"
    assert body["headers"]["X-Twice"] == "1,2"
    assert body["headers"]["X_under"] == "3"
    assert body["origin"] == "192.0.2.1"
    assert body["url"].startswith("https://")


async def test_long_headers_pass(echo: EchoUpstream, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{echo.url}/anything", headers={"X-Long": "x" * 60_000}) as answer:
        assert len((await answer.json())["headers"]["X-Long"]) == 60_000


async def test_raw_shows_target_and_headers_as_they_came(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    url = aiohttp.client.URL(f"{echo.url}/raw/a%2f..;b?q=%20", encoded=True)
    headers = [("x-B", "1"), ("X-a", "2"), ("x-B", "3")]
    async with http.post(url, headers=headers, data=b"\xff") as answer:
        body = await answer.json()
    assert body["target"] == "/raw/a%2f..;b?q=%20"
    assert [pair for pair in body["headers"] if pair[0].lower() in ("x-a", "x-b")] == [
        ["x-B", "1"],
        ["X-a", "2"],
        ["x-B", "3"],
    ]
    assert base64.b64decode(body["body_base64"]) == b"\xff"


async def test_what_was_seen_can_be_asked_in_the_process(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    async with http.put(f"{echo.url}/anything?x=1", headers={"X-User": "somebody"}):
        pass
    (seen,) = echo.seen
    assert (seen.method, seen.target) == ("PUT", "/anything?x=1")
    assert seen.header("x-user") == "somebody"
    assert seen.header("x-other") is None


@pytest.mark.parametrize("code", [200, 204, 302, 404, 503])
async def test_status_answers_with_it(
    echo: EchoUpstream, http: aiohttp.ClientSession, code: int
) -> None:
    async with http.post(f"{echo.url}/status/{code}", allow_redirects=False) as answer:
        assert answer.status == code
        assert ("Location" in answer.headers) == (code == 302)


@pytest.mark.parametrize(
    "path", ["/status/abc", "/status/99", "/status/600", "/delay/-1", "/delay/nan", "/delay/1e9"]
)
async def test_wrong_numbers_are_400_and_say_what_is_right(
    echo: EchoUpstream, http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(echo.url + path) as answer:
        assert answer.status == 400
        assert "expected" in (await answer.json())["message"]


async def test_delay_waits_and_answers_like_anything(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{echo.url}/delay/0.05?x=1") as answer:
        assert (await answer.json())["args"] == {"x": "1"}


async def test_stream_sends_events_until_the_count(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{echo.url}/stream?count=2&interval_s=0.01") as answer:
        assert answer.content_type == "text/event-stream"
        text = await answer.text()
    assert text == 'id: 1\ndata: {"event": 1}\n\nid: 2\ndata: {"event": 2}\n\n'


async def test_stream_has_no_end_of_its_own(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{echo.url}/stream?interval_s=0.01") as answer:
        lines = [await answer.content.readline() for _ in range(9)]
    assert lines[6] == b"id: 3\n"


async def test_websocket_sends_back_text_and_bytes(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    async with http.ws_connect(f"{echo.url}/ws") as socket:
        await socket.send_str("hello")
        assert await socket.receive_str() == "hello"
        await socket.send_bytes(b"\xff")
        assert await socket.receive_bytes() == b"\xff"


async def test_down_and_up_again_on_the_same_port(
    echo: EchoUpstream, http: aiohttp.ClientSession
) -> None:
    url = f"{echo.url}/anything"
    await echo.down()
    with pytest.raises(aiohttp.ClientConnectorError):
        await http.get(url)
    await echo.start()
    async with http.get(url) as answer:
        assert answer.status == 200
