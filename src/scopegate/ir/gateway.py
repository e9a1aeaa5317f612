"""Listeners, routes and clusters of one node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from scopegate.ir.policy import Policy


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """Paths of a PEM certificate chain and its private key, readable by the node."""

    certificate_path: str
    private_key_path: str


@dataclass(frozen=True, slots=True)
class Listener:
    """An address that takes requests. `tls` is None for plain text."""

    name: str
    address: str
    port: int
    tls: TlsIdentity | None = None


@dataclass(frozen=True, slots=True)
class HostMatch:
    """A host, lower case: exact, `*.suffix` or `prefix.*`; `port` None takes any port."""

    pattern: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class PathMatch:
    """`prefix`: begins with `value`, no segment boundary. `regex`: anchored at the start only."""

    kind: Literal["prefix", "regex"]
    value: str


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A header, name lower case; one of `values` must equal (lower case) or, as regex, be found."""

    name: str
    values: tuple[str, ...]
    regex: bool = False


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """All that is set must match; within one field one alternative suffices. Empty: anything."""

    methods: tuple[str, ...] = ()
    hosts: tuple[HostMatch, ...] = ()
    path: PathMatch | None = None
    headers: tuple[HeaderMatch, ...] = ()
    snis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request to `cluster`.

    base_path       the service's path, `/` when it has none; joined as Kong's v0 does
    strip_path      take what the route's path matched off before joining
    host            value of the Host header for the upstream; None keeps the client's
    timeouts in milliseconds; `retries` counts attempts after the first
    """

    cluster: str
    base_path: str
    strip_path: bool
    host: str | None
    connect_timeout_ms: int
    read_timeout_ms: int
    write_timeout_ms: int
    retries: int
    buffer_request: bool
    buffer_response: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer at once. `reason` is a stable code for logs, `message` is for the client."""

    status: int
    reason: str
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


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """TLS to the upstream. `verify` None leaves it to the node's default."""

    server_name: str
    verify: bool
    verify_depth: int | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """An upstream. `name` contains a hash of the content, so that a change makes a new cluster."""

    name: str
    host: str
    port: int
    connect_timeout_ms: int
    http2: bool = False
    tls: UpstreamTls | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything one node does.

    policies           by id
    upstream_headers   names, lower case, that policies may set on the request to the upstream
    """

    listeners: tuple[Listener, ...] = ()
    routes: tuple[Route, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    upstream_headers: frozenset[str] = frozenset()
