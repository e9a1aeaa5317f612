"""Listeners: addresses, TLS, limits, the chain of filters and the access log.

A listener depends on the node's addresses, certificates and settings and on nothing that the Admin
API can change: Envoy drains a listener whose resource changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog, AccessLogFilter
from envoy.config.core.v3.address_pb2 import Address, SocketAddress
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.config.core.v3.config_source_pb2 import (
    AggregatedConfigSource,
    ApiVersion,
    ConfigSource,
    ExtensionConfigSource,
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
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as hcm,
)
from envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as EarlyHeaderMutation,
)
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
)
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from scopegate.envoy import names
from scopegate.envoy.answers import (
    ASKING,
    local_replies,
    not_refused,
    refused_after_arrival,
    refused_by_asking,
    refused_on_arrival,
)
from scopegate.envoy.arrival import on_arrival
from scopegate.envoy.filters import (
    debug_headers,
    extension_types,
    where_wanted,
)
from scopegate.envoy.guards import guard
from scopegate.envoy.messages import duration, packed
from scopegate.envoy.reasons import EnvoyReason
from scopegate.envoy.routes import table_name
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

# Of the guard, which names its rules by the reason, or of the route.
_REASONS = {
    "operators": [
        {
            "command": "DYNAMIC_METADATA",
            "param": "envoy.filters.http.rbac:enforced_effective_policy_id",
        },
        {"command": "METADATA", "param": f"ROUTE:{names.METADATA}:reason"},
    ]
}
_REASON = f"%COALESCE({json.dumps(_REASONS)})%"

# No header values and no query: either may hold a credential.
_LOGGED = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
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
    result.filter_chains.append(chain)
    return result


def _connection_manager(
    listener: ir.Listener, settings: EnvoySettings
) -> hcm.HttpConnectionManager:
    manager = hcm.HttpConnectionManager(
        stat_prefix=listener.name,
        rds=hcm.Rds(route_config_name=table_name(listener), config_source=_over_ads()),
        http_filters=list(_http_filters(settings)),
        normalize_path=BoolValue(value=True),
        merge_slashes=True,
        path_with_escaped_slashes_action=hcm.HttpConnectionManager.KEEP_UNCHANGED,
        # The peer is the client; X-Forwarded-For is appended to in the route table, as Kong does.
        use_remote_address=BoolValue(value=True),
        skip_xff_append=True,
        internal_address_config=hcm.HttpConnectionManager.InternalAddressConfig(),
        # The client's X-Request-Id is its own; ours is made on arrival.
        generate_request_id=BoolValue(value=False),
        early_header_mutation_extensions=[
            TypedExtensionConfig(
                name="scopegate.arrival",
                typed_config=packed(EarlyHeaderMutation(mutations=list(on_arrival(listener)))),
            )
        ],
        scheme_header_transformation=SchemeHeaderTransformation(
            scheme_to_overwrite="https" if listener.tls else "http"
        ),
        upgrade_configs=[hcm.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        local_reply_config=local_replies(),
        server_name=settings.server_name,
        server_header_transformation=hcm.HttpConnectionManager.APPEND_IF_ABSENT,
        max_request_headers_kb=UInt32Value(value=settings.headers_limit_kib),
        common_http_protocol_options=HttpProtocolOptions(
            max_headers_count=UInt32Value(value=settings.headers_limit_count),
            headers_with_underscores_action=HttpProtocolOptions.ALLOW,
        ),
        http_protocol_options=Http1ProtocolOptions(accept_http_10=True),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=UInt32Value(value=128),
            initial_stream_window_size=UInt32Value(value=256 * 1024),
            initial_connection_window_size=UInt32Value(value=1024 * 1024),
        ),
        request_headers_timeout=duration(settings.request_headers_timeout_ms),
        stream_idle_timeout=duration(settings.stream_idle_timeout_ms),
    )
    if settings.access_log_path is not None:
        manager.access_log.extend(_access_logs(settings.access_log_path))
    return manager


def _http_filters(settings: EnvoySettings) -> Iterator[hcm.HttpFilter]:
    if settings.debug_header:
        # First: it must have seen the head of a request that another filter refuses.
        yield hcm.HttpFilter(name=names.DEBUG, typed_config=packed(debug_headers()))
    yield hcm.HttpFilter(name=names.GUARD, typed_config=packed(guard()))
    for name, filter_ in where_wanted().items():
        yield hcm.HttpFilter(name=name, typed_config=packed(filter_), disabled=True)
    for name, type_url in extension_types().items():
        source = ExtensionConfigSource(config_source=_over_ads(), type_urls=[type_url])
        yield hcm.HttpFilter(name=name, config_discovery=source)
    yield hcm.HttpFilter(
        name=names.ROUTER, typed_config=packed(Router(suppress_envoy_headers=True))
    )


def _over_ads() -> ConfigSource:
    """Wait for it: a listener without its routes or filters must not take requests."""
    return ConfigSource(
        ads=AggregatedConfigSource(),
        resource_api_version=ApiVersion.V3,
        initial_fetch_timeout=duration(0),
    )


def _access_logs(path: str) -> Iterator[AccessLog]:
    """A line for every request; only a refusal may have a reason, which costs a look."""
    yield _access_log(path, _LOGGED, not_refused())
    yield _access_log(path, _LOGGED | {"reason": _REASON}, refused_after_arrival())
    for details, reason in ASKING.items():
        yield _access_log(path, _LOGGED | {"reason": reason}, refused_by_asking(details))
    # Its id was made for the answer.
    answered = {
        "request_id": f"%RESP({names.REQUEST_ID})%",
        "reason": EnvoyReason.REFUSED_ON_ARRIVAL,
    }
    yield _access_log(path, _LOGGED | answered, refused_on_arrival())


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
