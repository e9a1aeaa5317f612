"""A route and its service in one text."""

from __future__ import annotations

import pytest

from scopegate.ir.route_label import RouteLabel, read_label


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (RouteLabel("r-1", "orders", "s-1", "shop"), "r-1/orders s-1/shop"),
        (RouteLabel("r-1", "", "s-1", "shop"), "r-1 s-1/shop"),
        (RouteLabel("r-1", "-", "s-1"), "r-1/- s-1"),
        (RouteLabel("r-1", "größe\u2028"), "r-1/größe\u2028"),
        (RouteLabel("r-1"), "r-1"),
        (RouteLabel(""), ""),
    ],
)
def test_a_label_is_read_as_it_was_written(label: RouteLabel, text: str) -> None:
    assert str(label) == text
    assert read_label(text) == label
