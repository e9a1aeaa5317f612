"""Upstreams as Envoy's clusters."""

from __future__ import annotations

import ipaddress

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.address_pb2 import Address, BindConfig, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
)
from envoy.config.core.v3.socket_option_pb2 import SocketOption
from envoy.config.endpoint.v3.endpoint_components_pb2 import (
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.clusters.common.dns.v3.dns_pb2 import DnsLookupFamily
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    SubjectAltNameMatcher,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, UpstreamTlsContext
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream_http
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.wrappers_pb2 import UInt32Value

from scopegate.envoy import names
from scopegate.envoy.messages import duration, packed
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

UPSTREAM_IDLE_MS = 60_000
"""How long an unused connection to an upstream is kept, as Kong does."""

_NO_LIMIT = 2**31 - 1
_IPPROTO_TCP, _TCP_USER_TIMEOUT = 6, 18  # Linux: tcp(7)
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def envoy_cluster(cluster: ir.Cluster, settings: EnvoySettings) -> Cluster:
    """One upstream; a name is resolved again and again."""
    result = Cluster(
        name=cluster.name,
        connect_timeout=duration(cluster.connect_timeout_ms),
        per_connection_buffer_limit_bytes=UInt32Value(value=settings.buffer_limit_bytes),
        load_assignment=_load_assignment(cluster, settings),
        circuit_breakers=unlimited(),
        typed_extension_protocol_options={_HTTP_OPTIONS: packed(_http(cluster))},
        upstream_bind_config=BindConfig(socket_options=[_write_timeout(cluster)]),
    )
    if _is_address(cluster.host):
        result.type = Cluster.STATIC
    else:
        result.cluster_type.CopyFrom(_resolved_by_name())
    if cluster.tls is not None:
        context = _tls(cluster.tls, cluster.http2, settings)
        result.transport_socket.CopyFrom(
            TransportSocket(name="envoy.transport_sockets.tls", typed_config=packed(context))
        )
    return result


def _resolved_by_name() -> Cluster.CustomClusterType:
    failure = DnsCluster.RefreshRate(base_interval=duration(1_000), max_interval=duration(5_000))
    dns = DnsCluster(
        dns_refresh_rate=duration(5_000),
        dns_failure_refresh_rate=failure,
        respect_dns_ttl=True,
        dns_lookup_family=DnsLookupFamily.V4_PREFERRED,
    )
    return Cluster.CustomClusterType(name="envoy.cluster.dns", typed_config=packed(dns))


def unlimited() -> CircuitBreakers:
    """Envoy's own limits are low (three retries at once); ours are elsewhere."""
    threshold = CircuitBreakers.Thresholds(
        max_connections=UInt32Value(value=_NO_LIMIT),
        max_pending_requests=UInt32Value(value=_NO_LIMIT),
        max_requests=UInt32Value(value=_NO_LIMIT),
        max_retries=UInt32Value(value=_NO_LIMIT),
    )
    return CircuitBreakers(thresholds=[threshold])


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _load_assignment(cluster: ir.Cluster, settings: EnvoySettings) -> ClusterLoadAssignment:
    address = Address(socket_address=SocketAddress(address=cluster.host, port_value=cluster.port))
    endpoint = LbEndpoint(endpoint=Endpoint(address=address))
    via = endpoint.metadata.filter_metadata[names.METADATA].fields[names.VIA]
    via.string_value = f"{'2' if cluster.http2 else '1.1'} {settings.server_name}"
    return ClusterLoadAssignment(
        cluster_name=cluster.name, endpoints=[LocalityLbEndpoints(lb_endpoints=[endpoint])]
    )


def _http(cluster: ir.Cluster) -> upstream_http.HttpProtocolOptions:
    options = upstream_http.HttpProtocolOptions(
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=duration(UPSTREAM_IDLE_MS))
    )
    if cluster.http2:
        options.explicit_http_config.http2_protocol_options.CopyFrom(Http2ProtocolOptions())
    else:
        options.explicit_http_config.http_protocol_options.CopyFrom(Http1ProtocolOptions())
    return options


def _write_timeout(cluster: ir.Cluster) -> SocketOption:
    """The kernel ends a connection whose peer takes nothing for so long. Source: tcp(7)."""
    return SocketOption(
        description="write_timeout",
        level=_IPPROTO_TCP,
        name=_TCP_USER_TIMEOUT,
        int_value=cluster.write_timeout_ms,
        state=SocketOption.STATE_PREBIND,
    )


def _tls(tls: ir.UpstreamTls, http2: bool, settings: EnvoySettings) -> UpstreamTlsContext:
    common = CommonTlsContext(alpn_protocols=["h2" if http2 else "http/1.1"])
    is_address = _is_address(tls.server_name)
    if tls.verify:
        validation = CertificateValidationContext(
            trusted_ca=DataSource(filename=settings.ca_bundle_path),
            match_typed_subject_alt_names=[
                SubjectAltNameMatcher(
                    san_type=(
                        SubjectAltNameMatcher.IP_ADDRESS
                        if is_address
                        else SubjectAltNameMatcher.DNS
                    ),
                    matcher=StringMatcher(exact=tls.server_name, ignore_case=not is_address),
                )
            ],
        )
        common.validation_context.CopyFrom(validation)
    return UpstreamTlsContext(common_tls_context=common, sni="" if is_address else tls.server_name)
