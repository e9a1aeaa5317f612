"""What Envoy's question says of route and service, which is for the log."""

from __future__ import annotations

import pytest

from scopegate.plugins.access import Request
from scopegate.policy.exchange import read_question
from support.policy_question import question


def request(*headers: tuple[str, bytes]) -> Request:
    return read_question(question("p", *headers), b"").request


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
    asked = request(("x-scopegate-route", said), ("x-scopegate-service", said))
    assert (asked.route_id, asked.route_name) == (id_, name)
    assert (asked.service_id, asked.service_name) == (id_, name)


def test_a_route_without_service_is_no_fault() -> None:
    asked = request(("x-scopegate-route", b"r-1"))
    assert (asked.service_id, asked.service_name) == ("", "")
