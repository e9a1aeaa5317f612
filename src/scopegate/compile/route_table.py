"""The entries of the route table, and the policies that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from scopegate.compile.findings import GRPC, PLAIN, SERVED, route_findings
from scopegate.compile.matches import fault, matches
from scopegate.compile.order import SplitRoute, rank, split
from scopegate.compile.policies import Policies
from scopegate.compile.reasons import CompileReason
from scopegate.compile.upstreams import forward_of
from scopegate.entities.finding import Finding
from scopegate.entities.snapshot import Route as RouteEntity
from scopegate.entities.snapshot import Service, Snapshot
from scopegate.ir.gateway import Cluster, Forward, HttpsOnly, Refuse, Route, RouteMatch
from scopegate.ir.policy import Policy
from scopegate.plugins.lowering import CannotLower
from scopegate.reason_code import ReasonCode

NO_SERVICE = Refuse(503, CompileReason.SERVICE_MISSING, "no Service found with those values")

Clusters = Mapping[str, Cluster | CannotLower]
"""By service id."""


@dataclass(frozen=True, slots=True)
class RouteTable:
    """entries in order; policies by id; findings about single routes."""

    entries: tuple[Route, ...]
    policies: Mapping[str, Policy]
    findings: tuple[Finding, ...]


class _Part:
    """A part of a route: what it matches, where it stands, and its entries, one for each path."""

    __slots__ = ("entries", "fault", "matches", "rank", "split")

    def __init__(self, part: SplitRoute) -> None:
        self.split = part
        self.rank = rank(part)
        self.fault = fault(part)
        self.matches: tuple[RouteMatch, ...] = tuple(matches(part))
        self.entries: tuple[Route, ...] = ()


@dataclass(slots=True)
class _Known:
    """What was made of a route; `rests_on`: service, cluster and policies that its entries have."""

    route: RouteEntity
    parts: tuple[_Part, ...]
    findings: tuple[Finding, ...]
    rests_on: tuple[Service | None, Cluster | CannotLower | None, Policies] | None = None
    policy: Policy | None = None


@dataclass(slots=True)
class RouteMemo:
    """What was made of the routes of the last snapshot: of those that are the same objects, and
    rest on the same, nothing is made again. It changes no result.
    """

    known: dict[str, _Known] = field(default_factory=dict)
    order: list[_Part] = field(default_factory=list)


def route_table(
    snapshot: Snapshot,
    clusters: Clusters,
    policies: Policies,
    memo: RouteMemo,
) -> RouteTable:
    """All entries."""
    known = {route.id: _known(route, memo) for route in snapshot.routes.values()}
    served: dict[int, _Part] = {}
    named: dict[int, Policy] = {}
    for each in known.values():
        service = snapshot.services.get(each.route.service_id or "")
        if not _is_served(each.route, service):
            continue
        cluster = clusters[service.id] if service else None
        before = each.rests_on
        if (
            before is None
            or before[0] is not service
            or before[1] is not cluster
            or before[2] is not policies
        ):
            _renew(each, service, cluster, policies)
            each.rests_on = (service, cluster, policies)
        served.update((id(part), part) for part in each.parts)
        if each.policy is not None:
            named[id(each.policy)] = each.policy
    memo.known = known
    # What stood in order before still does, so that little is left to sort.
    former = [part for part in memo.order if served.pop(id(part), None) is not None]
    memo.order = sorted([*former, *served.values()], key=attrgetter("rank"), reverse=True)
    return RouteTable(
        entries=tuple(entry for part in memo.order for entry in part.entries),
        policies=dict(sorted((policy.id, policy) for policy in named.values())),
        findings=tuple(finding for each in known.values() for finding in each.findings),
    )


def _known(route: RouteEntity, memo: RouteMemo) -> _Known:
    found = memo.known.get(route.id)
    if found is not None and found.route is route:
        return found
    return _Known(route, tuple(map(_Part, split(route))), tuple(route_findings(route)))


def _is_served(route: RouteEntity, service: Service | None) -> bool:
    return not SERVED.isdisjoint(route.protocols) and (service is None or service.enabled)


def _renew(
    known: _Known,
    service: Service | None,
    cluster: Cluster | CannotLower | None,
    policies: Policies,
) -> None:
    """Make its entries; one that is as before stays the object that it was."""
    known.policy = None
    for part in known.parts:
        action, policy = _action(part, service, cluster, policies)
        known.policy = policy or known.policy
        before = {entry.key: entry for entry in part.entries}
        made = _entries(part, service, action, policy)
        part.entries = tuple(
            was if (was := before.get(entry.key)) == entry else entry for entry in made
        )


def _entries(
    part: _Part,
    service: Service | None,
    action: Forward | Refuse,
    policy: Policy | None,
) -> Iterator[Route]:
    """One entry per path of this part."""
    route = part.split.route
    protocols = frozenset(route.protocols) & SERVED
    policy_id = policy.id if policy else None
    for number, match in enumerate(part.matches):
        yield Route(
            key=f"{part.split.id}/{number}",
            match=match,
            action=action,
            route_id=route.id,
            route_name=route.name,
            service_id=service.id if service else None,
            service_name=service.name if service else None,
            policy_id=policy_id,
            https_only=None if protocols & PLAIN else HttpsOnly(route.https_redirect_status_code),
            grpc_only=protocols <= GRPC,
        )


def _action(
    part: _Part,
    service: Service | None,
    cluster: Cluster | CannotLower | None,
    policies: Policies,
) -> tuple[Forward | Refuse, Policy | None]:
    policy = policies.of(part.split.route)
    if isinstance(policy, CannotLower):
        return _refusal(policy.code), None
    if part.fault:
        return _refusal(CompileReason.ROUTE_REGEX_INVALID), None
    if service is None or cluster is None:
        return NO_SERVICE, policy
    if isinstance(cluster, CannotLower):
        return _refusal(cluster.code), policy
    return forward_of(part.split.route, service, cluster), policy


def _refusal(reason: ReasonCode) -> Refuse:
    return Refuse(500, reason, "An unexpected error occurred")
