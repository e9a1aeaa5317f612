"""The exchange with Envoy: its question becomes a `Request`, an outcome becomes the answer.

The names on the wire are those of `ir/policy_dialogue.py`. Envoy strips `x-scopegate-*` from what
clients send before anything else, so what arrives here is Envoy's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from scopegate.ir import policy_dialogue as dialogue
from scopegate.ir.replay import GRANT, GRANTED
from scopegate.ir.route_label import RouteLabel, read_label
from scopegate.plugins.access import Body, Continue, Header, Request

# In UTF-8 each is one byte, and no other character has it. RFC 9110 §5.5 allows the tab.
_CONTROLS = bytes([*range(0x09), *range(0x0A, 0x20), 0x7F])
_ENVOYS_OWN = (b"x-scopegate-", b"x-envoy-")
_FAILURES_FROM = 500
_KNOWN_NAMES = {
    name.encode("ascii"): name
    for name in (
        *("host", "content-length"),  # what Envoy says to us, and not the client's
        *(dialogue.PHASE, dialogue.POLICY, dialogue.ROUTE),
        *(dialogue.CLIENT_IP, dialogue.SCHEME, dialogue.BODY_IS_CUT),
    )
}

WireHeader = tuple[bytes, bytes]

_NO_BODY: WireHeader = (b"content-length", b"0")
_WITH_BODY, _YES, _YES_CHANGED = (
    (dialogue.DECIDED.encode("ascii"), word.encode("ascii"))
    for word in (dialogue.WITH_BODY, dialogue.YES, dialogue.YES_CHANGED)
)


class MalformedQuestion(Exception):
    """Envoy's question lacks something: a fault of ours, answered with a refusal."""


@dataclass(frozen=True, slots=True)
class Question:
    """What Envoy asks: a request, the policy that decides, and whether the body came along."""

    policy_id: str
    request: Request


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer to Envoy."""

    status: int
    headers: tuple[WireHeader, ...] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def read_question(scope: Mapping[str, Any], body: bytes) -> Question:
    """The question in an ASGI scope. Raises MalformedQuestion."""
    own: dict[str, str] = {}
    headers: list[Header] = []
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        known = _KNOWN_NAMES.get(name)
        if known is not None:
            own[known] = text
        elif name.startswith(_ENVOYS_OWN):
            own[name.decode("latin-1")] = text
        else:
            headers.append((name.decode("latin-1"), text))
    label = _label(own.get(dialogue.ROUTE, ""))
    try:
        phase = own[dialogue.PHASE]
        request = Request(
            method=scope["method"],
            scheme=own[dialogue.SCHEME],
            host=own["host"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=tuple(headers),
            client_ip=own[dialogue.CLIENT_IP],
            request_id=_request_id(headers),
            route_id=label.route_id,
            route_name=label.route_name,
            service_id=label.service_id,
            service_name=label.service_name,
            body=body,
            body_state=_body_state(phase, own),
        )
        return Question(policy_id=own[dialogue.POLICY], request=request)
    except KeyError as missing:
        raise MalformedQuestion(f"no {missing.args[0]!r} in the question") from None


@lru_cache(maxsize=4096)  # routes of the configuration
def _label(text: str) -> RouteLabel:
    """It goes into the log only: what is not UTF-8 must not cost anybody an answer."""
    return read_label(text.encode("latin-1").decode("utf-8", "replace"))


def _request_id(headers: Iterable[Header]) -> str:
    for name, value in headers:
        if name == dialogue.REQUEST_ID:
            return value
    raise KeyError(dialogue.REQUEST_ID)


def _body_state(phase: str, own: Mapping[str, str]) -> Body:
    if phase == dialogue.HEAD_PHASE:
        return Body.NOT_READ
    if phase != dialogue.BODY_PHASE:
        raise MalformedQuestion("the phase is neither head nor body")
    cut = own.get(dialogue.BODY_IS_CUT) == "true"
    return Body.TOO_LARGE if cut else Body.WHOLE


def undecided() -> Answer:
    """`Ask again with the body`: Envoy's second filter does."""
    return Answer(200, (_NO_BODY, _WITH_BODY))


def let_through(outcome: Continue, grant: str | None = None) -> Answer:
    """Yes, with the changes that the upstream is to see and the cookies that the client gets.

    `grant`: lets Envoy give the same yes again (`ir/replay.py`).
    """
    changes = list(_changes(outcome))
    yes = _YES_CHANGED if changes else _YES
    headers: list[WireHeader] = [_NO_BODY, yes, *_encoded(outcome.set_headers), *_encoded(changes)]
    if grant is not None:
        headers += _encoded([(GRANT, grant), (GRANTED, "1")])
    if outcome.remove_headers:
        set_names = {name for name, _ in outcome.set_headers}
        # A name that is set replaces the client's; removing it as well would take ours away.
        remove = [name for name in outcome.remove_headers if name not in set_names]
        if remove:
            headers += _encoded([(dialogue.REMOVE, ",".join(remove))])
    if not outcome.response_headers:
        return Answer(200, tuple(headers))
    headers += _encoded(outcome.response_headers)
    if any(name == "set-cookie" for name, _ in outcome.response_headers):
        # The answer is the upstream's, and may be for everybody; a cookie in it never is, and a
        # cache must not hand one visitor's to the next (RFC 9111 §5.2.2.4).
        headers.append((b"cache-control", b'no-cache="set-cookie"'))
    return Answer(200, tuple(headers))


def _changes(outcome: Continue) -> Iterator[Header]:
    """What `apply.lua` does to the request."""
    if outcome.query is not None:
        yield dialogue.QUERY, f"?{outcome.query}"
    if outcome.method is not None:
        yield dialogue.METHOD, outcome.method
    if outcome.drop_body:
        yield dialogue.BODY, dialogue.DROP
    if outcome.body_cuts:
        yield dialogue.BODY_CUT, ",".join(f"{start}-{end}" for start, end in outcome.body_cuts)


def answer_client(
    status: int, content_type: str, body: bytes, headers: Iterable[Header] = ()
) -> Answer:
    """An answer that goes to the client instead of the upstream's; never cached.

    Envoy takes 200 for a yes, and a status from 500 on for a failure of this service: they travel
    as another one.
    """
    other = dialogue.STAND_INS[500] if status >= _FAILURES_FROM else status
    status = dialogue.STAND_INS.get(status, other)
    wire: list[WireHeader] = [
        (b"content-type", content_type.encode("ascii")),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"cache-control", b"no-store"),
    ]
    return Answer(status, (*wire, *_encoded(headers)), body)


def _encoded(headers: Iterable[Header]) -> list[WireHeader]:
    """Raises ValueError for a value that would not end where it should.

    A line break in a value would begin another header, and Envoy would take it for our word. The
    server below refuses one too, with an answer of its own; here it is a refusal with a reason.
    """
    encoded: list[WireHeader] = []
    for name, value in headers:
        octets = value.encode()
        if len(octets.translate(None, _CONTROLS)) != len(octets):
            raise ValueError(f"a control character in the value of {name}")
        encoded.append((name.encode("latin-1"), octets))
    return encoded
