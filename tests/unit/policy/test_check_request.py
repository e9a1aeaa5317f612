"""What Envoy's question says of route and service, which is for the log."""

from __future__ import annotations

import pytest

from scopegate.plugins.access import Request
from scopegate.policy.exchange import read_question
from support.policy_question import question


def request(*headers: tuple[str, bytes]) -> Request:
    return read_question(question("p", *headers), b"").request


@pytest.mark.parametrize(
    ("said", "known"),
    [
        (b"r-1/orders s-1/shop", ("r-1", "orders", "s-1", "shop")),
        ("r-1/größe-价格\u2028 s-1".encode(), ("r-1", "größe-价格\u2028", "s-1", "")),
        (b"r-1/\xff", ("r-1", "\ufffd", "", "")),
        (b"r-1", ("r-1", "", "", "")),
        (b"", ("", "", "", "")),
    ],
)
def test_route_and_service_are_told_apart(said: bytes, known: tuple[str, ...]) -> None:
    asked = request(("x-scopegate-route", said))
    told = (asked.route_id, asked.route_name, asked.service_id, asked.service_name)
    assert told == known
