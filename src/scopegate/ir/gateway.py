"""Listeners, routes and clusters of one node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from scopegate.ir.policy import Json, Policy, canonical_json, content_id
from scopegate.reason_code import ReasonCode

RESERVED = ":@!$&'()*+,;=[]"
"""What may stand in a path as itself or percent-encoded, and arrives as the client wrote it; `/`
apart. Servers take both spellings for one. Source: RFC 3986 §2.2, §3.3.
"""

USUAL_RETRIES, USUAL_READ_TIMEOUT_MS = 5, 60_000
"""Of services that say nothing else: Kong's defaults."""


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Paths of a PEM certificate chain and its private key, readable by the node."""

    certificate_path: str
    private_key_path: str


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that takes requests.

    tls              None for plain text
    proxy_protocol   every connection must come from a trusted peer (a setting of the node) and
                     begin with a preamble of the PROXY protocol; whom that names is the peer then
    """

    name: str
    address: str
    port: int
    tls: TlsIdentity | None = None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class HostMatch:
    """A host, lower case, without trailing dot: exact, `*suffix` or `prefix*`.

    `port` is what the client's Host must name, or, when that names none, the listener's port;
    None takes any port.
    """

    pattern: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class PathMatch:
    """How the path begins; what is after the match is free. Both as paths arrive: see below.

    prefix   begins with `value`, no segment boundary; reserved characters in either spelling
    regex    RE2, anchored at the start only; names a reserved character in both spellings itself,
             as `:` and `(?i:%3A)`; only one that is written so counts as named

    Paths arrive normalised: unreserved characters decoded, what is no URI character encoded, dot
    segments removed. Hexadecimal digits of an encoded character may have either case.
    """

    kind: Literal["prefix", "regex"]
    value: str


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A header, name lower case with `-`, which also stands for `_`.

    One of `values` must equal one of the request's values (either case), or one of `regexes` be
    found in one.
    """

    name: str
    values: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All that is set must match; within one field one alternative suffices. Empty: anything.

    snis   server names of the TLS handshake, lower case; plain-text requests do not need one
    """

    methods: tuple[str, ...] = ()
    hosts: tuple[HostMatch, ...] = ()
    path: PathMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()
    snis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request to `cluster`.

    base_path        the service's path, `/` when it has none; joined as Kong's v0 does
    strip_path       take what the route's path matched off before joining
    host             value of the Host header for the upstream; None keeps the client's
    read_timeout_ms  how long the upstream may say nothing once it has the request
    retries          attempts after the first, while the upstream has not begun to work on it
    """

    cluster: str
    base_path: str
    strip_path: bool
    host: str | None
    read_timeout_ms: int
    retries: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer at once. `message` is for the client."""

    status: int
    reason: ReasonCode
    message: str


@dataclass(frozen=True, slots=True)
class HttpsOnly:
    """What a plain-text request gets on a route that wants https: 426, or a redirect status."""

    status: int


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the route table, tried in order.

    key          unique within the table and stable over changes of other routes
    route_id, route_name, service_id, service_name   for logs, metrics and the policy service
    policy_id    the policy that decides first; None: nothing to decide
    https_only   plain text is answered with this, and no policy is asked
    grpc_only    other requests are answered 415, HTTP/1 426, and no policy is asked
    """

    key: str
    match: RouteMatch
    action: Forward | Refuse
    route_id: str
    route_name: str | None = None
    service_id: str | None = None
    service_name: str | None = None
    policy_id: str | None = None
    https_only: HttpsOnly | None = None
    grpc_only: bool = False


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS to the upstream. `server_name` is sent as SNI (unless it is an address) and verified."""

    server_name: str
    verify: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """An upstream. `name` contains a hash of the content, so that a change makes a new cluster.

    write_timeout_ms   how long the upstream may take nothing that was sent to it
    """

    name: str
    host: str
    port: int
    connect_timeout_ms: int
    write_timeout_ms: int
    http2: bool = False
    tls: UpstreamTls | None = None


@dataclass(frozen=True, slots=True)
class ConsumerDirectory:
    """All consumers, for policies that look somebody up.

    content   canonical JSON: a list of `{id, username, custom_id}`, by id
    """

    content: bytes

    @property
    def id(self) -> str:
        """The name of this content; policies refer to it."""
        return content_id(self.content)

    @classmethod
    def of(cls, consumers: Iterable[Mapping[str, Json]]) -> ConsumerDirectory:
        """From `{id, username, custom_id}` objects in any order."""
        return cls(canonical_json(sorted(consumers, key=lambda consumer: str(consumer["id"]))))


@dataclass(frozen=True, slots=True, order=True)
class GatewayCookie:
    """A cookie that the gateway gives to browsers, and that no upstream gets.

    marks   how values begin that the gateway sealed (behind a digit where `rest` has names); what
            begins otherwise is an application's cookie of the same name
    rest    names of the cookies that hold the rest of a long value
    """

    name: str
    marks: tuple[str, ...]
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything one node does.

    policies            by id
    consumers           the directory that policies look in; None when none does
    cookies             that the policies give to browsers; one name may stand there more than once
    escaped_slashes     `refuse`: a path with an encoded slash or backslash is answered 400, unless
                        a route's own path has one; `keep`: it goes on as it is
    path_parameters     the same for a path with `;`, encoded or not
    """

    listeners: tuple[Listener, ...] = ()
    routes: tuple[Route, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    consumers: ConsumerDirectory | None = None
    cookies: frozenset[GatewayCookie] = frozenset()
    escaped_slashes: Literal["refuse", "keep"] = "refuse"
    path_parameters: Literal["refuse", "keep"] = "refuse"
