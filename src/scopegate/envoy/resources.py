"""The second compiler pass: everything that one Envoy is told, by kind and name.

The first, from entities to the gateway that this one takes, is `compile/gateway.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3 import discovery_pb2 as discovery
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError, Message

from scopegate.envoy.clusters import envoy_cluster
from scopegate.envoy.listeners import envoy_listener
from scopegate.envoy.messages import packed
from scopegate.envoy.routes import TABLE, TableMemo, route_table
from scopegate.envoy.settings import EnvoySettings
from scopegate.ir import gateway as ir

CLUSTERS = f"type.googleapis.com/{Cluster.DESCRIPTOR.full_name}"
LISTENERS = f"type.googleapis.com/{Listener.DESCRIPTOR.full_name}"
ROUTES = f"type.googleapis.com/{RouteConfiguration.DESCRIPTOR.full_name}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that Envoy is told. `version` is a hash of the content."""

    version: str
    content: Any

    @classmethod
    def of(cls, message: Message) -> Resource:
        content = packed(message)
        return cls(hashlib.sha256(content.value).hexdigest()[:16], content)


ResourceSet = Mapping[str, Resource]
"""All resources of one kind, by name."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What one Envoy is told."""

    clusters: ResourceSet = field(default_factory=dict)
    listeners: ResourceSet = field(default_factory=dict)
    routes: ResourceSet = field(default_factory=dict)

    def of_kind(self, type_url: str) -> ResourceSet:
        """The resources of the kind that Envoy calls by this URL."""
        kinds = {CLUSTERS: self.clusters, LISTENERS: self.listeners, ROUTES: self.routes}
        return kinds[type_url]

    def to_bytes(self) -> bytes:
        """For a file: a DeltaDiscoveryResponse that holds all kinds."""
        message = discovery.DeltaDiscoveryResponse()
        for kind in (self.clusters, self.listeners, self.routes):
            for name, resource in kind.items():
                message.resources.add(name=name, version=resource.version).resource.CopyFrom(
                    resource.content
                )
        return bytes(message.SerializeToString(deterministic=True))

    @classmethod
    def from_bytes(cls, content: bytes) -> Resources:
        """What `to_bytes` wrote. Raises ValueError."""
        try:
            message = discovery.DeltaDiscoveryResponse.FromString(content)
        except DecodeError as error:
            raise ValueError(str(error)) from None
        kinds: dict[str, dict[str, Resource]] = {}
        for each in message.resources:
            of_kind = kinds.setdefault(each.resource.type_url, {})
            of_kind[each.name] = Resource(each.version, each.resource)
        return cls(*(kinds.get(url, {}) for url in (CLUSTERS, LISTENERS, ROUTES)))


@dataclass(slots=True)
class ResourceMemo:
    """What was made of the last gateway, so that only what changed is made anew.

    For one set of settings. It changes no result.
    """

    table: TableMemo = field(default_factory=TableMemo)
    clusters: dict[ir.Cluster, tuple[str, Resource]] = field(default_factory=dict)
    listeners: dict[ir.Listener, tuple[str, Resource]] = field(default_factory=dict)


def gateway_resources(
    gateway: ir.Gateway, settings: EnvoySettings, memo: ResourceMemo | None = None
) -> Resources:
    """What Envoy is told of a gateway. Pure: the same gateway gives the same bytes."""
    memo = memo if memo is not None else ResourceMemo()
    memo.clusters = {
        each: memo.clusters.get(each) or _named(envoy_cluster(each, settings))
        for each in gateway.clusters
    }
    memo.listeners = {
        each: memo.listeners.get(each) or _named(envoy_listener(each, settings))
        for each in gateway.listeners
    }
    table = route_table(gateway, settings, memo.table)
    return Resources(
        clusters=dict(memo.clusters.values()),
        listeners=dict(memo.listeners.values()),
        routes={TABLE: Resource(table.digest.hex()[:16], table.content)},
    )


def _named(message: Message) -> tuple[str, Resource]:
    return message.name, Resource.of(message)
