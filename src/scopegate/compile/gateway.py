"""The first compiler pass: a snapshot and facts become the gateway of a node, and findings.

The second, from the gateway to what Envoy is told, is `envoy/resources.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from scopegate.compile.findings import plugin_findings, service_findings
from scopegate.compile.policies import Policies, lower_plugins
from scopegate.compile.route_table import RouteMemo, route_table
from scopegate.compile.upstreams import cluster_of
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Service, Snapshot
from scopegate.ir.gateway import Cluster, Forward, Gateway, Listener
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.lowering import CannotLower, Facts


@dataclass(frozen=True, slots=True)
class CompileSettings:
    """What the node's settings say about the gateway.

    upstream_tls_verify   for services whose `tls_verify` is null
    """

    listeners: tuple[Listener, ...] = ()
    escaped_slashes: Literal["refuse", "keep"] = "refuse"
    path_parameters: Literal["refuse", "keep"] = "refuse"
    upstream_tls_verify: bool = True


@dataclass(frozen=True, slots=True)
class Compiled:
    """The gateway and what the operator should know about it."""

    gateway: Gateway
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class CompileMemo:
    """What was made of the last snapshot, so that only what changed is made anew.

    For one set of settings and plugins. It changes no result: entities count as unchanged when
    they are the same objects, as the store hands them out.
    """

    policies: Policies | None = None
    clusters: dict[str, tuple[Service, Cluster | CannotLower]] = field(default_factory=dict)
    routes: RouteMemo = field(default_factory=RouteMemo)


def compile_gateway(
    snapshot: Snapshot,
    facts: Facts,
    settings: CompileSettings,
    plugins: Iterable[BuiltPlugin],
    memo: CompileMemo | None = None,
) -> Compiled:
    """Compile everything. Never fails: what is broken is refused on its own routes, and found."""
    memo = memo if memo is not None else CompileMemo()
    memo.policies = policies = lower_plugins(snapshot, facts, plugins, memo.policies)
    memo.clusters = {
        service.id: _known_cluster(service, settings, memo)
        for service in snapshot.services.values()
    }
    clusters = {id_: cluster for id_, (_, cluster) in memo.clusters.items()}
    table = route_table(snapshot, clusters, policies, memo.routes)
    forwards = (route.action for route in table.entries if isinstance(route.action, Forward))
    needed = {forward.cluster for forward in forwards}
    built = (cluster for cluster in clusters.values() if isinstance(cluster, Cluster))
    consumers_needed = any(policy.consumers for policy in table.policies.values())
    gateway = Gateway(
        listeners=settings.listeners,
        routes=table.entries,
        clusters=tuple(
            sorted((c for c in built if c.name in needed), key=lambda cluster: cluster.name)
        ),
        policies=table.policies,
        consumers=policies.directory if consumers_needed else None,
        cookies=policies.cookies,
        escaped_slashes=settings.escaped_slashes,
        path_parameters=settings.path_parameters,
    )
    findings = {
        *policies.findings(),
        *plugin_findings(snapshot),
        *service_findings(snapshot, clusters),
        *table.findings,
    }
    return Compiled(gateway, tuple(sorted(findings, key=_finding_order)))


def _known_cluster(
    service: Service, settings: CompileSettings, memo: CompileMemo
) -> tuple[Service, Cluster | CannotLower]:
    known = memo.clusters.get(service.id)
    if known is not None and known[0] is service:
        return known
    return service, _cluster(service, settings.upstream_tls_verify)


def _cluster(service: Service, verify_by_default: bool) -> Cluster | CannotLower:
    try:
        return cluster_of(service, verify_by_default)
    except CannotLower as error:
        return error


def _finding_order(finding: Finding) -> tuple[str, str, str, str, str]:
    return (finding.level, finding.kind or "", finding.id or "", finding.code, finding.message)
