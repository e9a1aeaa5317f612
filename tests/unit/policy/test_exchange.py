"""What Envoy's question says of route and service, which is for the log."""

from __future__ import annotations

import pytest

from scopegate.plugins.access import Request
from scopegate.policy.exchange import read_question


def request(*headers: tuple[bytes, bytes]) -> Request:
    own = {
        b"host": b"a.example",
        b"x-request-id": b"0" * 32,
        b"x-scopegate-phase": b"head",
        b"x-scopegate-policy": b"p",
        b"x-scopegate-scheme": b"https",
        b"x-scopegate-client-ip": b"192.0.2.1",
    }
    scope = {"method": "GET", "raw_path": b"/", "query_string": b""}
    return read_question(scope | {"headers": [*own.items(), *headers]}, b"").request


@pytest.mark.parametrize(
    ("said", "id_", "name"),
    [
        (b"r-1 orders", "r-1", "orders"),
        ("r-1 größe-价格\u2028".encode(), "r-1", "größe-价格\u2028"),
        (b"r-1 \xff", "r-1", "\ufffd"),
        (b"r-1", "r-1", ""),
        (b"", "", ""),
    ],
)
def test_id_and_name_are_told_apart(said: bytes, id_: str, name: str) -> None:
    asked = request((b"x-scopegate-route", said), (b"x-scopegate-service", said))
    assert (asked.route_id, asked.route_name) == (id_, name)
    assert (asked.service_id, asked.service_name) == (id_, name)


def test_a_route_without_service_is_no_fault() -> None:
    asked = request((b"x-scopegate-route", b"r-1"))
    assert (asked.service_id, asked.service_name) == ("", "")
