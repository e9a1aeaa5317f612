"""The examples of the check protocol, which the proxy filter is tested with, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scopegate.ir.cache_profile import CacheProfile
from scopegate.ir.route_label import read_label
from scopegate.plugins.access import Body, Cacheable, Continue, Tls
from scopegate.policy import check_response
from scopegate.policy.check_request import read_check_request
from scopegate.policy.client_answer import ClientAnswer

VECTORS = Path(__file__).parents[2] / "vectors" / "check"
BODIES = {"not-read": Body.NOT_READ, "whole": Body.WHOLE, "too-large": Body.TOO_LARGE}


def examples(folder: str) -> Iterator[Any]:
    """Message and meaning."""
    for path in sorted((VECTORS / folder).glob("*.json")):
        message = path.with_suffix(".msg").read_bytes()
        meaning = json.loads(path.read_text())
        if "status" in meaning and meaning["verdict"] != "body" and meaning["reason"] is None:
            continue  # the policy service always gives a reason
        yield pytest.param(message, meaning, id=path.stem)


def utf8(text: str) -> str:
    """Characters stand for bytes there."""
    return text.encode("latin-1").decode()


def pairs(meaning: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, utf8(value)) for name, value in meaning)


@pytest.mark.parametrize(("message", "meaning"), list(examples("requests")))
def test_request_means_what_the_example_says(message: bytes, meaning: dict[str, Any]) -> None:
    policy_id, request = read_check_request(message)
    label = read_label(utf8(meaning["route"]))
    assert policy_id == meaning["policy"] == label.policy
    assert (request.route_id, request.route_name) == (label.route_id, label.route_name)
    assert (request.service_id, request.service_name) == (label.service_id, label.service_name)
    assert request.request_id == meaning["id"]
    assert request.client_ip == meaning["client"]
    assert request.protocol == meaning["protocol"]
    assert request.tls == (Tls(*meaning["tls"]) if meaning["tls"] else None)
    assert (request.method, request.scheme) == (meaning["method"], meaning["scheme"])
    assert request.host == meaning["authority"]
    assert (request.path, request.query) == (meaning["path"], meaning["query"])
    assert request.headers == tuple(map(tuple, meaning["headers"]))
    assert request.body_state is BODIES[meaning["body"]]
    assert request.body == meaning["content"].encode("latin-1")


@pytest.mark.parametrize(("message", "meaning"), list(examples("responses")))
def test_response_is_written_as_in_the_example(message: bytes, meaning: dict[str, Any]) -> None:
    written = write(meaning)
    if message.startswith(b"scopegate-check 1\nverdict allow\ncount"):  # the unordered one
        assert sorted(written.splitlines()) == sorted(message.splitlines())
    else:
        assert written == message


def write(meaning: dict[str, Any]) -> bytes:
    reason: Any = meaning["reason"]
    client, revoke = pairs(meaning["client"]), meaning["revoke"]
    if meaning["verdict"] == "body":
        return check_response.want_body(revoke)
    if meaning["verdict"] == "answer":
        answer = ClientAnswer(meaning["status"], client, meaning["body"].encode("latin-1"))
        return check_response.answer(answer, reason, revoke)
    added = ("cache-control", 'no-cache="set-cookie"')
    outcome = Continue(
        set_headers=pairs(meaning["set"]),
        remove_headers=tuple(meaning["remove"]),
        response_headers=tuple(header for header in client if header != added),
        query=meaning["query"],
        method=meaning["method"],
        drop_body=meaning["drop_body"],
        body_cuts=tuple(map(tuple, meaning["cuts"])),
        reason=reason,
    )
    profile, count = meaning["profile"], meaning["count"]
    if profile is not None:
        assert str(CacheProfile.read(profile)) == profile
    return check_response.allow(
        replace(outcome, cacheable=Cacheable(0, tuple(meaning["tags"]))),
        revoke,
        profile=profile,
        cache_until_s=meaning["cache"],
        plugin_id=count[0] if count else "",
    )
