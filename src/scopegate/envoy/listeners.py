"""Listeners: addresses, TLS, limits, the filters and the access log.

A listener depends on the node's addresses, certificates and settings and on nothing that the Admin
API can change: Envoy drains a listener whose resource changes.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
)
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.protocol_pb2 import (
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    SchemeHeaderTransformation,
)
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.http.original_ip_detection.custom_header.v3.custom_header_pb2 import (
    CustomHeaderConfig,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
)
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from scopegate.envoy import names
from scopegate.envoy.answers import (
    local_replies,
    not_refused,
    refused_after_arrival,
    refused_on_arrival,
)
from scopegate.envoy.arrival import arrival
from scopegate.envoy.messages import duration, packed
from scopegate.envoy.proxy_filter import proxy_filter
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.routes import TABLE
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

# Of the proxy filter, which says its own and those of the policy service, or of the route.
_REASONS = (
    ("DYNAMIC_METADATA", f"{names.METADATA}:reason"),
    ("METADATA", f"ROUTE:{names.METADATA}:reason"),
)
# What else there is to look at where there are trusted peers.
_ARRIVAL_REASON = ("REQ", names.ARRIVAL_REASON)
_PATHS = (("DYNAMIC_METADATA", f"{names.METADATA}:path"), ("REQ", "X-FORWARDED-PATH"))

# No header values and no query: either may hold a credential.
_LOGGED = {
    "time": "%START_TIME%",
    "request_id": f"%REQ({names.REQUEST_ID})%",
    "client_ip": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-FORWARDED-PATH)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_HOST%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration_ms": "%DURATION%",
}


def _first_of(*places: tuple[str, str]) -> str:
    """Where Envoy finds something, in the order in which it looks."""
    operators = [{"command": command, "param": what} for command, what in places]
    return f"%COALESCE({json.dumps({'operators': operators})})%"


def envoy_listener(listener: ir.Listener, settings: EnvoySettings) -> Listener:
    """One address."""
    chain = FilterChain(
        filters=[
            Filter(
                name="envoy.filters.network.http_connection_manager",
                typed_config=packed(_connection_manager(listener, settings)),
            )
        ]
    )
    result = Listener(
        name=listener.name,
        address=Address(
            socket_address=SocketAddress(address=listener.address, port_value=listener.port)
        ),
        per_connection_buffer_limit_bytes=UInt32Value(value=settings.buffer_limit_bytes),
    )
    if listener.tls is not None:
        chain.transport_socket.CopyFrom(
            TransportSocket(
                name="envoy.transport_sockets.tls", typed_config=packed(_tls(listener.tls))
            )
        )
        result.listener_filters.append(
            ListenerFilter(
                name="envoy.filters.listener.tls_inspector", typed_config=packed(TlsInspector())
            )
        )
    if listener.proxy_protocol:
        _expect_preamble(result, chain, settings)
    result.filter_chains.append(chain)
    return result


def _expect_preamble(listener: Listener, chain: FilterChain, settings: EnvoySettings) -> None:
    """A connection without a preamble is closed, and so is one that no filter chain matches: that
    of who is not trusted. The preamble comes before the handshake of TLS.
    """
    if settings.trusted_peers is None:
        raise ValueError("without trusted peers nobody may connect")
    listener.listener_filters.insert(
        0,
        ListenerFilter(
            name="envoy.filters.listener.proxy_protocol", typed_config=packed(ProxyProtocol())
        ),
    )
    for each in map(ipaddress.ip_network, settings.trusted_peers.ranges):
        chain.filter_chain_match.direct_source_prefix_ranges.add(
            address_prefix=str(each.network_address),
            prefix_len=UInt32Value(value=each.prefixlen),
        )


def _connection_manager(
    listener: ir.Listener, settings: EnvoySettings
) -> hcm.HttpConnectionManager:
    manager = hcm.HttpConnectionManager(
        stat_prefix=listener.name,
        rds=hcm.Rds(route_config_name=TABLE, config_source=_over_ads()),
        http_filters=_http_filters(settings),
        normalize_path=BoolValue(value=True),
        merge_slashes=True,
        path_with_escaped_slashes_action=hcm.HttpConnectionManager.KEEP_UNCHANGED,
        # The peer is the client; X-Forwarded-For is appended to in the route table, as Kong does.
        use_remote_address=BoolValue(value=settings.trusted_peers is None),
        skip_xff_append=True,
        internal_address_config=hcm.HttpConnectionManager.InternalAddressConfig(),
        # The client's X-Request-Id is its own; ours is made on arrival.
        generate_request_id=BoolValue(value=False),
        early_header_mutation_extensions=[arrival(listener, settings.trusted_peers)],
        upgrade_configs=[hcm.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        local_reply_config=local_replies(),
        server_name=settings.server_name,
        server_header_transformation=hcm.HttpConnectionManager.APPEND_IF_ABSENT,
        max_request_headers_kb=UInt32Value(value=settings.headers_limit_kib),
        common_http_protocol_options=HttpProtocolOptions(
            max_headers_count=UInt32Value(value=settings.headers_limit_count),
            headers_with_underscores_action=HttpProtocolOptions.ALLOW,
        ),
        http_protocol_options=Http1ProtocolOptions(
            accept_http_10=True, default_host_for_http_10=names.NO_HOST
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=UInt32Value(value=128),
            initial_stream_window_size=UInt32Value(value=256 * 1024),
            initial_connection_window_size=UInt32Value(value=1024 * 1024),
        ),
        request_headers_timeout=duration(settings.request_headers_timeout_ms),
        stream_idle_timeout=duration(settings.stream_idle_timeout_ms),
    )
    if settings.trusted_peers is None:
        manager.scheme_header_transformation.CopyFrom(_scheme(listener))
    else:
        manager.original_ip_detection_extensions.append(_client_address())
    if settings.access_log_path is not None:
        manager.access_log.extend(_access_logs(settings.access_log_path, settings))
    return manager


def _scheme(listener: ir.Listener) -> SchemeHeaderTransformation:
    """That of the connection, whatever the client says. Where there are trusted peers, arrival sets
    it.
    """
    return SchemeHeaderTransformation(scheme_to_overwrite="https" if listener.tls else "http")


def _client_address() -> TypedExtensionConfig:
    """Arrival says it; a request of which it says none is refused."""
    config = CustomHeaderConfig(
        header_name=names.CLIENT_IP, reject_with_status=HttpStatus(code=400)
    )
    return TypedExtensionConfig(name="scopegate.client_address", typed_config=packed(config))


def _http_filters(settings: EnvoySettings) -> list[hcm.HttpFilter]:
    # Envoy's numbers by status and service cost a request 9,000 instructions (ADR 40).
    router = Router(suppress_envoy_headers=True, dynamic_stats=BoolValue(value=False))
    return [
        hcm.HttpFilter(name=names.FILTER, typed_config=packed(proxy_filter(settings))),
        hcm.HttpFilter(name=names.ROUTER, typed_config=packed(router)),
    ]


def _over_ads() -> ConfigSource:
    """Wait for it: a listener without its routes must not take requests."""
    return ConfigSource(
        ads=AggregatedConfigSource(),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=duration(0),
    )


def _access_logs(path: str, settings: EnvoySettings) -> Iterator[AccessLog]:
    """A line for every request; only a refusal may have a reason, which costs a look."""
    logged, reason = _LOGGED, _first_of(*_REASONS)
    if settings.trusted_peers is not None:
        logged = _LOGGED | {"path": _first_of(*_PATHS)}
        reason = _first_of(_ARRIVAL_REASON, *_REASONS)
    yield _access_log(path, logged, not_refused())
    yield _access_log(path, logged | {"reason": reason}, refused_after_arrival())
    # Its id was made for the answer.
    answered = {
        "request_id": f"%RESP({names.REQUEST_ID})%",
        "reason": EnvoyReason.REFUSED_ON_ARRIVAL,
    }
    yield _access_log(path, logged | answered, refused_on_arrival())


def _access_log(path: str, fields: Mapping[str, str], condition: AccessLogFilter) -> AccessLog:
    line = Struct()
    line.update(fields)
    log = FileAccessLog(path=path, log_format=SubstitutionFormatString(json_format=line))
    return AccessLog(name="envoy.access_loggers.file", filter=condition, typed_config=packed(log))


def _tls(identity: ir.TlsIdentity) -> DownstreamTlsContext:
    certificate = TlsCertificate(
        certificate_chain=DataSource(filename=identity.certificate_path),
        private_key=DataSource(filename=identity.private_key_path),
    )
    return DownstreamTlsContext(
        common_tls_context=CommonTlsContext(
            tls_certificates=[certificate], alpn_protocols=["h2", "http/1.1"]
        )
    )
