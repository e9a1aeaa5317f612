"""What the proxy filter sends: check requests, and the uses of cached decisions. Source:
docs/check-protocol.md."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from scopegate.ir.route_label import RouteLabel, read_label
from scopegate.plugins.access import Body, Request, Tls

VERSION: Final = "scopegate-check 1"

_BODY_STATES = {"not-read": Body.NOT_READ, "whole": Body.WHOLE, "too-large": Body.TOO_LARGE}
_FACTS = re.compile(
    f"{VERSION}\n"
    r"policy ([0-9a-f]{32})\n"
    r"route ([^\n]*)\n"
    r"id ([!-~]+)\n"
    r"client ([!-~]+)\n"
    r"protocol (HTTP/(?:1\.[01]|2))\n"
    r"(?:tls ([!-~]+) ([^ \n]*)\n)?"
    r"method ([A-Z-]+)\n"
    r"scheme (https?)\n"
    r"authority ([^\n]*)\n"
    r"path ([!-~]+)\n"
    r"query ([!-~]*)\n"
    r"body (not-read|whole|too-large)"
)
_HEADER = re.compile("^([^:\x00-\x20A-Z\x7f]+):(.*)$", re.MULTILINE)
_HITS = re.compile(r"([1-9][0-9]{0,15}) ([!-~]+) ([!-~]+)\n")
# Of the bytes that cannot be in a line all but its end; RFC 9110 §5.5 allows the tab.
CONTROLS = bytes([*range(0x09), *range(0x0B, 0x20), 0x7F])


class MalformedMessage(Exception):
    """The message breaks a rule: a fault of ours."""


def read_check_request(message: bytes) -> tuple[str, Request]:
    """The id of the policy that decides, and the request. Raises MalformedMessage."""
    facts, end, rest = message.partition(b"\n\n")
    if rest[:1] == b"\n":
        lines, end_of_headers, body = b"", b"\n", rest[1:]
    else:
        lines, end_of_headers, body = rest.partition(b"\n\n")
    if not (end and end_of_headers):
        raise MalformedMessage("the head does not end")
    head = message[: len(message) - len(body)]
    if len(head.translate(None, CONTROLS)) != len(head):
        raise MalformedMessage("a line holds a control character")
    found = _FACTS.fullmatch(facts.decode("latin-1"))
    if found is None:
        raise MalformedMessage("the facts are not those of a check request")
    policy_id, route, request_id, client_ip, protocol, tls, server_name, *target = found.groups()
    method, scheme, host, path, query, state = target
    headers = tuple(_HEADER.findall(lines.decode("latin-1")))
    if len(headers) != lines.count(b"\n") + bool(lines):
        raise MalformedMessage("a line is no header")
    body_state = _BODY_STATES[state]
    if body and body_state is not Body.WHOLE:
        raise MalformedMessage(f"a body follows that is {state}")
    label = _label(route)
    return policy_id, Request(
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        query=query,
        headers=headers,
        client_ip=client_ip,
        request_id=request_id,
        protocol=protocol,
        tls=None if tls is None else Tls(tls, server_name),
        route_id=label.route_id,
        route_name=label.route_name,
        service_id=label.service_id,
        service_name=label.service_name,
        body=body,
        body_state=body_state,
    )


@lru_cache(maxsize=4096)  # routes of the configuration
def _label(text: str) -> RouteLabel:
    """For the log only: a name that is not UTF-8 must not refuse a request."""
    return read_label(text.encode("latin-1").decode("utf-8", "replace"))


def read_hits(message: bytes) -> list[tuple[int, str, str]]:
    """Count, plugin id and reason of each line of a report. Raises MalformedMessage."""
    found = [_HITS.fullmatch(line) for line in message.decode("latin-1").splitlines(keepends=True)]
    if None in found:
        raise MalformedMessage("a line of the report is malformed")
    return [(int(line[1]), line[2], line[3]) for line in found if line]
