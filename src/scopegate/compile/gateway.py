"""The first compiler pass: a snapshot and facts become the gateway of a node, and findings.

The second, from the gateway to what Envoy is told, is `envoy/resources.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from scopegate.compile.findings import (
    GRPC,
    PLAIN,
    SERVED,
    plugin_findings,
    route_findings,
    service_findings,
)
from scopegate.compile.matches import fault, matches
from scopegate.compile.order import SplitRoute, in_order
from scopegate.compile.policies import Policies, lower_plugins
from scopegate.compile.reasons import CompileReason
from scopegate.compile.upstreams import cluster_of, forward_of
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Route as RouteEntity
from scopegate.entities.snapshot import Service, Snapshot
from scopegate.ir.gateway import Cluster, Forward, Gateway, HttpsOnly, Listener, Refuse, Route
from scopegate.ir.policy import Policy
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.lowering import CannotLower, Facts
from scopegate.reason_code import ReasonCode

NO_SERVICE = Refuse(503, CompileReason.SERVICE_MISSING, "no Service found with those values")


@dataclass(frozen=True, slots=True)
class CompileSettings:
    """What the node's settings say about the gateway.

    upstream_tls_verify   for services whose `tls_verify` is null
    remembers             whether Envoy may give a yes again
    """

    listeners: tuple[Listener, ...] = ()
    escaped_slashes: Literal["refuse", "keep"] = "refuse"
    path_parameters: Literal["refuse", "keep"] = "refuse"
    upstream_tls_verify: bool = True
    remembers: bool = True


@dataclass(frozen=True, slots=True)
class Compiled:
    """The gateway and what the operator should know about it."""

    gateway: Gateway
    findings: tuple[Finding, ...] = ()


def compile_gateway(
    snapshot: Snapshot,
    facts: Facts,
    settings: CompileSettings,
    plugins: Iterable[BuiltPlugin],
) -> Compiled:
    """Compile everything. Never fails: what is broken is refused on its own routes, and found."""
    policies = lower_plugins(snapshot, facts, plugins)
    clusters = {
        service.id: _cluster(service, settings.upstream_tls_verify)
        for service in snapshot.services.values()
    }
    table = _RouteTable(snapshot, clusters, policies, remembers=settings.remembers)
    served = [route for route in snapshot.routes.values() if _is_served(route, snapshot)]
    routes = tuple(entry for part in in_order(served) for entry in table.entries(part))
    forwards = (route.action for route in routes if isinstance(route.action, Forward))
    needed = {forward.cluster for forward in forwards}
    built = (cluster for cluster in clusters.values() if isinstance(cluster, Cluster))
    consumers_needed = any(policy.consumers for policy in table.policies.values())
    gateway = Gateway(
        listeners=settings.listeners,
        routes=routes,
        clusters=tuple(
            sorted((c for c in built if c.name in needed), key=lambda cluster: cluster.name)
        ),
        policies=dict(sorted(table.policies.items())),
        consumers=policies.directory if consumers_needed else None,
        upstream_headers=policies.upstream_headers,
        downstream_headers=policies.downstream_headers,
        cookies=policies.cookies,
        escaped_slashes=settings.escaped_slashes,
        path_parameters=settings.path_parameters,
    )
    findings = {
        *policies.findings(),
        *plugin_findings(snapshot),
        *service_findings(snapshot, clusters),
        *route_findings(snapshot),
    }
    return Compiled(gateway, tuple(sorted(findings, key=_finding_order)))


class _RouteTable:
    """Makes the entries of the route table and collects the policies that they name."""

    def __init__(
        self,
        snapshot: Snapshot,
        clusters: Mapping[str, Cluster | CannotLower],
        policies: Policies,
        *,
        remembers: bool,
    ) -> None:
        self._snapshot = snapshot
        self._clusters = clusters
        self._policies = policies
        self._remembers = remembers
        self.policies: dict[str, Policy] = {}

    def entries(self, part: SplitRoute) -> Iterator[Route]:
        """One entry per path of this part."""
        route = part.route
        service = self._snapshot.services.get(route.service_id or "")
        action, policy = self._action(part, service)
        protocols = frozenset(route.protocols) & SERVED
        for number, match in enumerate(matches(part)):
            yield Route(
                key=f"{part.id}/{number}",
                match=match,
                action=action,
                route_id=route.id,
                route_name=route.name,
                service_id=service.id if service else None,
                service_name=service.name if service else None,
                policy_id=policy.id if policy else None,
                replay=policy.replay if policy and self._remembers else None,
                https_only=(
                    None if protocols & PLAIN else HttpsOnly(route.https_redirect_status_code)
                ),
                grpc_only=protocols <= GRPC,
            )

    def _action(
        self, part: SplitRoute, service: Service | None
    ) -> tuple[Forward | Refuse, Policy | None]:
        policy = self._policies.of(part.route)
        if isinstance(policy, CannotLower):
            return _refusal(policy.code), None
        if fault(part):
            return _refusal(CompileReason.ROUTE_REGEX_INVALID), None
        if policy is not None:
            self.policies[policy.id] = policy
        if service is None:
            return NO_SERVICE, policy
        cluster = self._clusters[service.id]
        if isinstance(cluster, CannotLower):
            return _refusal(cluster.code), policy
        return forward_of(part.route, service, cluster), policy


def _refusal(reason: ReasonCode) -> Refuse:
    return Refuse(500, reason, "An unexpected error occurred")


def _is_served(route: RouteEntity, snapshot: Snapshot) -> bool:
    service = snapshot.services.get(route.service_id or "")
    return not SERVED.isdisjoint(route.protocols) and (service is None or service.enabled)


def _cluster(service: Service, verify_by_default: bool) -> Cluster | CannotLower:
    try:
        return cluster_of(service, verify_by_default)
    except CannotLower as error:
        return error


def _finding_order(finding: Finding) -> tuple[str, str, str, str, str]:
    return (finding.level, finding.kind or "", finding.id or "", finding.code, finding.message)
