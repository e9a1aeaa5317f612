"""The text in which a route's facts travel through Envoy."""

from __future__ import annotations

import pytest

from scopegate.ir.route_label import OPEN, RouteLabel, read_label

POLICY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (RouteLabel("r-1", "orders", "s-1", "shop", POLICY), f"r-1/orders s-1/shop {POLICY}"),
        (RouteLabel("r-1", "", "s-1", "shop", OPEN), "r-1 s-1/shop open"),
        (RouteLabel("r-1", "-", "s-1"), "r-1/- s-1"),
        (RouteLabel("r-1", "größe\u2028", policy=OPEN), "r-1/größe\u2028 - open"),
        (RouteLabel("no-route", policy=OPEN), "no-route - open"),
        (RouteLabel("r-1"), "r-1 -"),
    ],
)
def test_label_reads_back_as_written(label: RouteLabel, text: str) -> None:
    assert str(label) == text
    assert read_label(text) == label


def test_words_after_the_policy_are_passed_over() -> None:
    assert read_label("r-1 - open slashes,parameters") == RouteLabel("r-1", policy=OPEN)


def test_label_of_one_word_is_a_route_alone() -> None:
    assert read_label("r-1/orders") == RouteLabel("r-1", "orders")
    assert read_label("") == RouteLabel("")
