"""What a client must never say, by name."""

from __future__ import annotations

import itertools
import re

import pytest

from scopegate.plugins.openid_connect.headers import IDENTITY_HEADERS
from support.stripped_headers import STRIPPED_HEADERS


@pytest.mark.parametrize(
    "name",
    [
        "x-scopegate-decided",
        "x_scopegate_decided",
        "x-envoy-retry-on",
        "x-consumer-id",
        "x_consumer_custom_id",
        "x-consumer_custom-id",
        "x-forwarded-proto",
        "x-forwarded-f",
        "x-forwarded-fo",
        "x-forwarded-foo",
        "x-forwarded-forx",
        "x_forwarded_for",
        "x_forwarded-for",
        "x-forwarded_for",
        "forwarded",
        "x-real_ip",
        "x-original-url",
        "x_kong-request-id",
        "x.kong~request|id",
        "x.scopegate.decided",
        "x~forwarded-for",
        "x-forwarded.for",
        "x.forwarded.proto",
        "x!original$url",
    ],
)
def test_stripped(name: str):
    assert re.fullmatch(STRIPPED_HEADERS, name)


@pytest.mark.parametrize("name", sorted(IDENTITY_HEADERS))
def test_identities_are_stripped_in_every_spelling(name: str):
    for spelled in itertools.product(*("-_.~" if letter == "-" else letter for letter in name)):
        assert re.fullmatch(STRIPPED_HEADERS, "".join(spelled))


@pytest.mark.parametrize("separator", "!#$%&'*+-.^_`|~")
def test_every_separator_that_a_name_may_hold_counts(separator: str):
    """All that RFC 9110 §5.6.2 allows in a name beside letters and digits."""
    assert re.fullmatch(STRIPPED_HEADERS, f"x{separator}consumer{separator}id")


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-for",
        "authorization",
        "x-request-id",
        "x-consumer",
        "x-consumer-idea",
        "xxconsumer-id",
        "x-consumer0id",
        "x-scopegateway",
        "forwarded-by",
        "cookie",
    ],
)
def test_not_stripped(name: str):
    assert not re.fullmatch(STRIPPED_HEADERS, name)
