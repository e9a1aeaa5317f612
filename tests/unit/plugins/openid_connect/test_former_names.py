"""Names that fields had before."""

from __future__ import annotations

from typing import Any

import pytest

from unit.plugins.openid_connect.configs import ISSUER, MAKINGS, SCHEMA, configured, fault, shown


def test_consumer_claim_is_one_path_of_consumer_claims_and_both_are_shown() -> None:
    assert configured(consumer_claim=["email"])["consumer_claims"] == [["email"]]
    assert "consumer_claim" not in configured(consumer_claim=["email"])
    config = shown(consumer_claims=[["a", "b"]])
    assert (config["consumer_claim"], config["consumer_claims"]) == (["a", "b"], [["a", "b"]])
    config = shown(consumer_claims=[["a"], ["b"]])
    assert (config["consumer_claim"], config["consumer_claims"]) == (None, [["a"], ["b"]])
    assert shown()["consumer_claim"] is None


def test_consumer_claim_and_consumer_claims_must_agree() -> None:
    both = configured(consumer_claim=["a"], consumer_claims=[["a"]])
    assert both["consumer_claims"] == [["a"]]
    for paths in ([["b"]], [["a"], ["b"]]):
        assert fault(consumer_claim=["a"], consumer_claims=paths) == (
            "consumer_claim: both deprecated and new field are used but their values mismatch: "
            "consumer_claim and consumer_claims"
        )


def test_null_in_a_former_name_gives_way() -> None:
    config = configured(consumer_claim=None, consumer_claims=[["a"]])
    assert config["consumer_claims"] == [["a"]]


def test_patching_consumer_claim_replaces_or_clears_the_paths() -> None:
    stored = SCHEMA.draft_new(
        {"name": "openid-connect", "config": {"issuer": ISSUER, "consumer_claims": [["a"]]}},
        MAKINGS,
    )
    changed = SCHEMA.draft_changed(stored, {"config": {"consumer_claim": ["b"]}}, 2000)
    assert changed["config"]["consumer_claims"] == [["b"]]
    cleared = SCHEMA.draft_changed(stored, {"config": {"consumer_claim": None}}, 2000)
    assert cleared["config"]["consumer_claims"] is None


@pytest.mark.parametrize(
    ("former", "value", "name", "stored"),
    [
        ("session_cookie_lifetime", 60, "session_rolling_timeout", 60),
        ("session_cookie_idletime", 30, "session_idling_timeout", 30),
        ("session_cookie_samesite", "Strict", "session_cookie_same_site", "Strict"),
        ("session_cookie_samesite", "off", "session_cookie_same_site", "Default"),
        ("session_cookie_httponly", False, "session_cookie_http_only", False),
        ("authorization_cookie_lifetime", 60, "authorization_rolling_timeout", 60),
        ("authorization_cookie_samesite", "Lax", "authorization_cookie_same_site", "Lax"),
        ("authorization_cookie_httponly", False, "authorization_cookie_http_only", False),
        ("session_memcache_port", 11211, "session_memcached_port", 11211),
    ],
)
def test_names_from_before_kong_3_2_are_mapped(
    former: str, value: Any, name: str, stored: Any
) -> None:
    assert configured(**{former: value})[name] == stored
    assert former not in shown(**{former: value})


def test_former_names_are_checked_as_the_new_ones_are() -> None:
    assert fault(session_cookie_lifetime=-1) == (
        "session_cookie_lifetime: value should be between 0 and 2147483646"
    )
    assert fault(session_cookie_lifetime="x") == "session_cookie_lifetime: expected a number"
    assert fault(session_redis_host="r").startswith("redis.host: not supported yet")


def test_session_redis_names_are_shown_beside_the_record() -> None:
    config = shown(session_redis_port=6379)
    assert (config["session_redis_port"], config["redis"]["port"]) == (6379, 6379)
    assert config["session_redis_password"] is None


@pytest.mark.parametrize(
    ("former", "value"),
    [
        ("session_cookie_renew", 600),
        ("session_cookie_maxsize", 4000),
        ("session_strategy", "regenerate"),
        ("session_compressor", "zlib"),
    ],
)
def test_names_that_do_nothing_any_more_are_refused_with_a_pointer(former: str, value: Any) -> None:
    assert fault(**{former: value}).startswith(f"{former}: was removed in Kong 3.2")
    assert former not in configured(**{former: None})
