"""From a service to a cluster, and from route and service to how a request is forwarded."""

from __future__ import annotations

from dataclasses import asdict, replace

from scopegate.compile.reasons import CompileReason
from scopegate.entities.snapshot import Route, Service
from scopegate.ir.gateway import Cluster, Forward, UpstreamTls
from scopegate.ir.policy import canonical_json, content_id
from scopegate.plugins.lowering import CannotLower

_DEFAULT_PORTS = {"http": 80, "grpc": 80, "https": 443, "grpcs": 443}


def cluster_of(service: Service, verify_by_default: bool) -> Cluster:
    """The service's upstream. Raises CannotLower for what Envoy cannot do as configured."""
    if service.protocol not in _DEFAULT_PORTS:
        raise CannotLower(
            CompileReason.SERVICE_PROTOCOL_UNSUPPORTED,
            f"protocol '{service.protocol}' is not supported yet;"
            f" it should be one of {', '.join(_DEFAULT_PORTS)}",
        )
    cluster = Cluster(
        name="",
        host=service.host.lower().strip("[]").removesuffix("."),
        port=service.port,
        connect_timeout_ms=service.connect_timeout,
        write_timeout_ms=service.write_timeout,
        http2=service.protocol in ("grpc", "grpcs"),
        tls=_tls(service, verify_by_default),
    )
    content = content_id(canonical_json(asdict(cluster)))
    return replace(cluster, name=f"{service.id}-{content[:8]}")


def forward_of(route: Route, service: Service, cluster: Cluster) -> Forward:
    """How a request of this route goes to its service."""
    return Forward(
        cluster=cluster.name,
        base_path=service.path or "/",
        strip_path=route.strip_path,
        host=None if route.preserve_host else _host_header(service),
        read_timeout_ms=service.read_timeout,
        retries=service.retries,
    )


def _tls(service: Service, verify_by_default: bool) -> UpstreamTls | None:
    if service.protocol not in ("https", "grpcs"):
        return None
    return UpstreamTls(
        server_name=service.host.lower().strip("[]").removesuffix("."),
        verify=verify_by_default if service.tls_verify is None else service.tls_verify,
    )


def _host_header(service: Service) -> str:
    host = service.host
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    is_default = service.port == _DEFAULT_PORTS[service.protocol]
    return host if is_default else f"{host}:{service.port}"
