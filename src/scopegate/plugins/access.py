"""The access phase: what a plugin is given, and what it may say.

Plugins are pure but for the ports that `Ports` hands them: no clock, no randomness, no network of
their own. The policy service (`scopegate.policy`) builds the request, runs the steps in order and
turns the outcome into an answer for Envoy. Nothing here shows a credential in its `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from scopegate.plugins.reasons import StepReason
from scopegate.reason_code import ReasonCode

Header = tuple[str, str]


class Body(Enum):
    """What is known of the request's body."""

    NOT_READ = "not read"
    """Envoy has not buffered it yet; ask with `NeedBody`."""
    WHOLE = "whole"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as Envoy routed it: the path is normalised, what is decided is what is sent.

    scheme, host   as the client sees them (`host` keeps its port)
    path, query    path without query; query without `?`, still encoded ("" when absent)
    headers        lower-case names in the order of arrival
    client_ip      the address that Envoy trusts as the client's
    route_…, service_…   what it was routed to, for the log; "" where there is none
    """

    method: str
    scheme: str
    host: str
    path: str
    query: str = field(repr=False)
    headers: tuple[Header, ...] = field(repr=False)
    client_ip: str
    request_id: str
    route_id: str = ""
    route_name: str = ""
    service_id: str = ""
    service_name: str = ""
    body: bytes = field(default=b"", repr=False)
    body_state: Body = Body.NOT_READ
    _values: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The first of a name, as far as there are two.
        object.__setattr__(self, "_values", dict(reversed(self.headers)))

    def header(self, name: str) -> str | None:
        """The value of a header (lower-case name); of a repeated one Envoy joined the values."""
        return self._values.get(name)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event for the log. `fields` hold no credential."""

    level: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long the same request would get the same yes (`ir/replay.py`).

    until_s   unix seconds: the first end of all that the yes rests on
    tags      what is published when something that it rests on is revoked before
    """

    until_s: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """The step has no objection.

    set_headers        for the upstream; replaces what the client sent under that name
    remove_headers     names (lower case, twins with `_`, `.` … too) that the upstream must not see
    response_headers   for the client, with whatever the upstream answers (Set-Cookie …)
    query              for the upstream, empty for none, when it differs from the request's. No step
                       changes the path: the route, and how paths are joined, were chosen by it
    method             for the upstream, when it differs from the request's
    drop_body          the upstream gets no body
    body_cuts          byte ranges (start, end past the last) taken out of the body
    lasting            whether Envoy may give this yes again; None: ask each time
    reason             why, for logs and metrics
    subject, consumer_id   who it is, for the log and for later steps
    """

    set_headers: tuple[Header, ...] = field(default=(), repr=False)
    remove_headers: tuple[str, ...] = ()
    response_headers: tuple[Header, ...] = field(default=(), repr=False)
    query: str | None = field(default=None, repr=False)
    method: str | None = None
    drop_body: bool = False
    body_cuts: tuple[tuple[int, int], ...] = ()
    lasting: Lasting | None = None
    reason: ReasonCode = StepReason.ALLOWED
    subject: str | None = None
    consumer_id: str | None = None
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """No. The policy service renders it: JSON for programs, a page for people.

    detail      for the log and, with `show_detail`, for the client; no credential
    message     Kong's `message`
    challenge   value of WWW-Authenticate, if any
    location    answer with a redirect to this URL instead
    required    what would have been enough, alternatives as configured; for the log
    """

    status: int
    reason: ReasonCode
    detail: str
    message: str
    challenge: str | None = None
    location: str | None = None
    response_headers: tuple[Header, ...] = field(default=(), repr=False)
    show_detail: bool = False
    retry_after_s: int | None = None
    required: tuple[str, ...] = ()
    subject: str | None = None
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Redirect:
    """302 to `location`: a login, the way back from one, a logout."""

    location: str = field(repr=False)
    reason: ReasonCode
    response_headers: tuple[Header, ...] = field(default=(), repr=False)
    subject: str | None = None
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Respond:
    """An answer of the plugin's own, neither refusal nor redirect."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    reason: ReasonCode
    response_headers: tuple[Header, ...] = field(default=(), repr=False)
    subject: str | None = None
    log: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class NeedBody:
    """Cannot say without the body: ask again with it."""


Outcome = Continue | Refusal | Redirect | Respond | NeedBody


class Step(Protocol):
    """One plugin of one policy, prepared once and asked for every request."""

    async def access(self, request: Request) -> Outcome:
        """What this step says. Whatever it raises becomes a refusal."""
        ...


Steps = Sequence[Step]
