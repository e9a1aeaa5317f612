"""What the node's settings say to Envoy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrustedPeers:
    """Who may speak for clients (ADR 43).

    ranges           CIDR ranges
    address_header   that names the client's address, lower case; `proxy_protocol`: none does
    recursive        the client's is the last address in it that is not trusted, else the last one
    """

    ranges: tuple[str, ...]
    address_header: str = "x-real-ip"
    recursive: bool = False


@dataclass(frozen=True, slots=True)
class EnvoySettings:
    """Limits, times and paths. Changing what listeners are made of drains them; see ADR 0013.

    server_name             for the Server header of answers that have none, and for Via
    ca_bundle_path          PEM file of the authorities that upstream certificates must come from
    policy_timeout_ms       how long the policy service may take; a login waits for its provider
    body_limit_bytes        how much of a body is buffered for the policy service
    debug_header            whether clients may ask which route took their request
    headers_limit_kib, headers_limit_count   of a request
    request_headers_timeout_ms   from the first byte of a request to the end of its head
    stream_idle_timeout_ms  how long nothing may move on a request, WebSockets included
    buffer_limit_bytes      per connection, before the other side is slowed down
    policy_socket           where the policy service is told of uses of cached decisions
    revocations_path        tags whose cached decisions have ended, written by policy workers
    cache_limit_entries, cache_limit_bytes   of one proxy worker, for each of two generations
    trusted_peers           None: nobody is
    access_log_path         a file, `/dev/stdout` or `/dev/stderr`; None: no access log
    """

    server_name: str = "scopegate"
    ca_bundle_path: str = "/etc/ssl/certs/ca-certificates.crt"
    policy_timeout_ms: int = 15_000
    body_limit_bytes: int = 64 * 1024
    debug_header: bool = False
    headers_limit_kib: int = 60
    headers_limit_count: int = 100
    request_headers_timeout_ms: int = 60_000
    stream_idle_timeout_ms: int = 3_600_000
    buffer_limit_bytes: int = 1024 * 1024
    policy_socket: str = "/dev/null"
    revocations_path: str = "/dev/null"
    cache_limit_entries: int = 10_000
    cache_limit_bytes: int = 16 * 1024 * 1024
    trusted_peers: TrustedPeers | None = None
    access_log_path: str | None = None
