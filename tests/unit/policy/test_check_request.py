"""Check requests as the service reads them. Source: docs/check-protocol.md."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scopegate.plugins.access import Body, Request, Tls
from scopegate.policy.check_request import MalformedMessage, read_check_request, read_hits
from support.policy_check import FACTS, check_request

# What one line can hold, with one character a byte.
TEXT = st.text(
    st.characters(codec="latin-1", exclude_categories=(), exclude_characters="\x7f").filter(
        lambda char: char >= " " or char == "\t"
    )
)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.!~", min_size=1)


def read(*headers: tuple[str, str | bytes], **facts: str) -> Request:
    return read_check_request(check_request("0" * 32, *headers, **facts))[1]


def test_facts_become_a_request() -> None:
    policy_id, request = read_check_request(check_request("ab" * 16, ("accept", "*/*")))
    assert policy_id == "ab" * 16
    assert request == Request(
        method="GET",
        scheme="https",
        host="a.example",
        path="/a%20b",
        query="q=1",
        headers=(("accept", "*/*"),),
        client_ip="192.0.2.1",
        request_id="0" * 32,
        protocol="HTTP/1.1",
        route_id="r-1",
        route_name="orders",
        service_id="s-1",
    )


@pytest.mark.parametrize(
    ("label", "known"),
    [
        (f"r-1/orders s-1/shop {'0' * 32}", ("r-1", "orders", "s-1", "shop")),
        ("r-1/größe-价格\u2028 -", ("r-1", "größe-价格\u2028", "", "")),
        ("r-1", ("r-1", "", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_label_names_route_and_service(label: str, known: tuple[str, ...]) -> None:
    request = read(route=label)
    names = (request.route_id, request.route_name, request.service_id, request.service_name)
    assert names == known


def test_name_that_is_no_utf8_refuses_nobody() -> None:
    message = check_request().replace(b"r-1/orders", b"r-1/\xff")
    assert read_check_request(message)[1].route_name == "\ufffd"


@pytest.mark.parametrize(
    ("tls", "known"),
    [
        ("TLSv1.3 shop.example", Tls("TLSv1.3", "shop.example")),
        ("TLSv1.2 ", Tls("TLSv1.2", "")),
    ],
)
def test_tls_is_version_and_server_name(tls: str, known: Tls) -> None:
    message = check_request().replace(b"method", f"tls {tls}\nmethod".encode(), 1)
    assert read_check_request(message)[1].tls == known
    assert read().tls is None


def test_body_follows_the_headers() -> None:
    for headers in ((), (("a", "1"),)):
        message = check_request("0" * 32, *headers, body=b"\n\na=1\n\n\x00")
        request = read_check_request(message)[1]
        assert request.headers == headers
        assert (request.body, request.body_state) == (b"\n\na=1\n\n\x00", Body.WHOLE)
    for word, state in (("whole", Body.WHOLE), ("too-large", Body.TOO_LARGE)):
        message = check_request().replace(b"not-read", word.encode())
        request = read_check_request(message)[1]
        assert (request.body, request.body_state) == (b"", state)


def test_repeated_header_keeps_its_lines_and_joins_its_values() -> None:
    lines = (("a", "1"), ("b", ":"), ("a", "2"))
    request = read(*lines)
    assert request.headers == lines
    assert (request.header("a"), request.header("b")) == ("1,2", ":")


@given(headers=st.lists(st.tuples(NAMES, TEXT)), body=st.binary(min_size=1))
def test_headers_and_body_come_byte_for_byte(headers: list[tuple[str, str]], body: bytes) -> None:
    pairs = [(name, value.encode("latin-1")) for name, value in headers]
    request = read_check_request(check_request("0" * 32, *pairs, body=body))[1]
    assert request.headers == tuple(headers)
    assert request.body == body


@pytest.mark.parametrize("missing", FACTS)
def test_every_fact_must_be_there(missing: str) -> None:
    with pytest.raises(MalformedMessage):
        read_check_request(check_request(without=missing))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"check 1\n", b"check 2\n"),
        (b"check 1\n", b"check 1\r\n"),
        (b"client", b"Client"),
        (b"method GET\n", b"method GET\nmethod GET\n"),
        (b"method GET\nscheme https\n", b"scheme https\nmethod GET\n"),
        (b"method GET", b"method get"),
        (b"method GET", b"method "),
        (b"scheme https", b"scheme ftp"),
        (b"HTTP/1.1", b"HTTP/3"),
        (b"path /", b"path  /"),
        (b"query q=1", "query q=\u00e9".encode()),
        (b"authority a", b"authority \x00a"),
        (b"policy 0", b"policy g"),
        (b"policy 0", b"policy ../"),
        (b"body not-read", b"body none"),
        (b"not-read\n\n", b"not-read\n"),
        (b"\naccept:", b"\nAccept:"),
        (b"\naccept:", b"\n:"),
        (b"\naccept:*/*", b"\naccept"),
        (b"\naccept:*/*", b"\n accept:*/*"),
        (b"\naccept:*/*", b"\naccept:*\r\n/*"),
        (b"*/*\n\n", b"*/*\n"),
        (b"*/*\n\n", b"*/*"),
        (b"*/*\n\n", b"*/*\n\nbody"),
    ],
)
def test_broken_rule_is_malformed(right: bytes, wrong: bytes) -> None:
    message = check_request("0" * 32, ("accept", "*/*"))
    read_check_request(message)
    assert right in message
    with pytest.raises(MalformedMessage):
        read_check_request(message.replace(right, wrong, 1))


@given(message=st.binary(), at=st.integers(0, 400))
def test_no_bytes_raise_anything_else(message: bytes, at: int) -> None:
    whole = check_request("0" * 32, ("accept", "*/*"))
    for tried in (message, whole[:at] + message + whole[at:], whole[:at]):
        with contextlib.suppress(MalformedMessage):
            read_check_request(tried)


def test_hits_are_lines_of_count_plugin_and_reason() -> None:
    assert read_hits(b"12 plugin-1 allowed\n1 p allowed\n") == [
        (12, "plugin-1", "allowed"),
        (1, "p", "allowed"),
    ]
    assert read_hits(b"") == []


@pytest.mark.parametrize(
    "line",
    [
        *(b"0 p r\n", b"-1 p r\n", b"1.5 p r\n", b"1" * 17 + b" p r\n"),
        *(b"1 p\n", b"1 p r", b"1  r\n", b"1 p r r\n", b"\n", b"1 p r\r\n", "1 p é\n".encode()),
    ],
)
def test_malformed_hits_are_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_hits(b"1 p r\n" + line)
