"""The access phase: what a plugin is given, and what it may return.

Plugins are pure but for the ports that `Ports` hands them: no clock, no randomness, no network of
their own. The policy service (`scopegate.policy`) builds the request, runs the steps in order and
turns the outcome into a check response. Nothing here shows a credential in its `repr`.
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
    """The filter has not looked at it yet; ask with `NeedBody`."""
    WHOLE = "whole"
    TOO_LARGE = "too large"


@dataclass(frozen=True, slots=True)
class Tls:
    """The handshake of the client's connection.

    version       as Envoy writes it, `TLSv1.3`
    server_name   that the client asked for (SNI); "" for none
    """

    version: str
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as Envoy routed it: the path is normalised, what is decided is what is sent.

    scheme, host   as the client sees them (`host` keeps its port)
    path, query    path without query; query without `?`, still encoded ("" when absent)
    headers        lower-case names in the order of arrival; values with one character a byte
    client_ip      the address that Envoy trusts as the client's
    protocol       `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`
    tls            None on a connection without TLS
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
    protocol: str = "HTTP/1.1"
    tls: Tls | None = None
    route_id: str = ""
    route_name: str = ""
    service_id: str = ""
    service_name: str = ""
    body: bytes = field(default=b"", repr=False)
    body_state: Body = Body.NOT_READ
    _values: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        values = dict(self.headers)
        if len(values) != len(self.headers):
            values = {
                name: ",".join(value for other, value in self.headers if other == name)
                for name in values
            }
        object.__setattr__(self, "_values", values)

    def header(self, name: str) -> str | None:
        """The value of a header (lower-case name); of a repeated one all, joined by commas
        (RFC 9110 §5.3)."""
        return self._values.get(name)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event for the log. `fields` hold no credential."""

    level: str
    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cacheable:
    """How long the same request would get the same decision (`ir/cache_profile.py`).

    until_s   unix seconds: the first end of all that the decision depends on
    tags      what is published when something that it depends on is revoked before
    """

    until_s: float
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """The step has no objection.

    set_headers        for the upstream; replaces what the client sent under that name
    remove_headers     names, lower case as the client spelt them, that the upstream must not see
    response_headers   for the client, with whatever the upstream answers (Set-Cookie …)
    query              for the upstream, empty for none, when it differs from the request's. No step
                       changes the path: the route, and how paths are joined, were chosen by it
    method             for the upstream, when it differs from the request's
    drop_body          the upstream gets no body
    body_cuts          byte ranges (start, end past the last) taken out of the body
    cacheable          whether the decision may be cached; None: ask each time
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
    cacheable: Cacheable | None = None
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
    sign_in     for a form that was not sent on: the page of this site (path and query) that leads
                to the login
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
    sign_in: str | None = field(default=None, repr=False)
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
    """Cannot decide without the body: ask again with it."""


Outcome = Continue | Refusal | Redirect | Respond | NeedBody


class Step(Protocol):
    """One plugin of one policy, prepared once and asked for every request."""

    async def access(self, request: Request) -> Outcome:
        """What this step decides. Whatever it raises becomes a refusal."""
        ...


Steps = Sequence[Step]
