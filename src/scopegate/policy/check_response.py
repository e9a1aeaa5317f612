"""The check response: what was decided becomes the message for the proxy filter. Source:
docs/check-protocol.md.

Every function raises ValueError for what the message cannot carry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from scopegate.ir.cache_profile import is_header_name
from scopegate.plugins.access import Continue
from scopegate.policy.check_request import CONTROLS, VERSION
from scopegate.policy.client_answer import ClientAnswer
from scopegate.reason_code import ReasonCode

CONTENT_TYPE = "application/x-scopegate-check"
LIMIT_BYTES = 1 << 20
_QUERY = re.compile('[!"$-~]*')
_METHOD = re.compile("[A-Z-]+")


def allow(
    outcome: Continue,
    revoked: Iterable[str] = (),
    *,
    profile: str | None = None,
    cache_until_s: int | None = None,
    plugin_id: str = "",
) -> bytes:
    """The request goes on, with the outcome's changes.

    revoked         tags of cached decisions that end now
    profile         of the policy (`ir/cache_profile.py`)
    cache_until_s   unix second in which the decision stops being good; only with a profile
    plugin_id       under which each use of the cached decision is counted
    """
    lines = ["verdict allow", f"reason {outcome.reason}"]
    lines += [f"remove {name}" for name in outcome.remove_headers]
    lines += [f"set {_checked(name)}:{value}" for name, value in outcome.set_headers]
    if outcome.query is not None:
        if _QUERY.fullmatch(outcome.query) is None:
            raise ValueError("a query with a character that no query has")
        lines.append(f"query {outcome.query}")
    if outcome.method is not None:
        if _METHOD.fullmatch(outcome.method) is None:
            raise ValueError(f"no method: {outcome.method!r}")
        lines.append(f"method {outcome.method}")
    if outcome.drop_body:
        lines.append("drop-body ")
    else:
        lines += [f"cut {start}-{end}" for start, end in outcome.body_cuts]
    if outcome.response_headers:
        lines += [f"client {_checked(name)}:{value}" for name, value in outcome.response_headers]
        if any(name == "set-cookie" for name, _ in outcome.response_headers):
            # The response is the upstream's, and may be for everybody; a cookie in it never is, and
            # a cache must not hand one visitor's to the next (RFC 9111 §5.2.2.4).
            lines.append('client cache-control:no-cache="set-cookie"')
    if profile is not None:
        lines.append(f"profile {profile}")
    if cache_until_s is not None:
        lines.append(f"cache {cache_until_s}")
        lines += [f"tag {tag}" for tag in outcome.cacheable.tags] if outcome.cacheable else []
        lines.append(f"count {plugin_id} {outcome.reason}")
    return _message(lines, revoked)


def answer(given: ClientAnswer, reason: ReasonCode, revoked: Iterable[str] = ()) -> bytes:
    """The client gets this instead of the upstream's response."""
    lines = [f"verdict answer {given.status}", f"reason {reason}"]
    lines += [f"client {_checked(name)}:{value}" for name, value in given.headers]
    return _message(lines, revoked, given.body)


def want_body(revoked: Iterable[str] = ()) -> bytes:
    """The filter is to ask again, with the body."""
    return _message(["verdict body"], revoked)


def _message(lines: list[str], revoked: Iterable[str], body: bytes = b"") -> bytes:
    lines += [f"revoke {tag}" for tag in revoked]
    head = "\n".join([VERSION, *lines, "", ""]).encode()
    # A line break in a value would begin another line, which the filter would take for our word.
    if head.count(b"\n") != len(lines) + 2 or len(head.translate(None, CONTROLS)) != len(head):
        raise ValueError("a control character in a line of the response")
    message = head + body
    if len(message) > LIMIT_BYTES:
        raise ValueError("the response is over the limit")
    return message


@lru_cache(maxsize=4096)
def _checked(name: str) -> str:
    if not is_header_name(name):
        raise ValueError(f"no name of a header: {name!r}")
    return name
