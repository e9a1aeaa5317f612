"""One Envoy's side of the conversation: what it subscribed to, has, and said no to. No I/O.

The incremental variant of xDS: a reconnecting Envoy says what it has, and only what differs is
sent; nothing is removed that was not said to be removed.
Source: Envoy, "xDS REST and gRPC protocol", Incremental xDS.
"""

from __future__ import annotations

import itertools
from collections.abc import Set
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from scopegate.envoy.resources import CLUSTERS, LISTENERS, ResourceSet

_ALL = "*"
_MAY_WANT_ALL = frozenset({CLUSTERS, LISTENERS})


@dataclass(slots=True)
class _Sent:
    """A response that waits for its ACK or NACK."""

    nonce: str
    versions: dict[str, str]
    removed: list[str]


@dataclass(slots=True)
class _Subscription:
    """One kind of resource.

    held      versions that Envoy has, by name
    refused   versions that it said no to, by name
    fault     what it said then
    answered  whether it got anything on this stream, if only an empty response
    """

    wants_all: bool = False
    names: set[str] = field(default_factory=set)
    held: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    sent: _Sent | None = None
    answered: bool = False

    def wanted(self, target: ResourceSet) -> dict[str, str]:
        """Versions of what Envoy subscribed to and there is, by name."""
        return {
            name: resource.version
            for name, resource in target.items()
            if self.wants_all or name in self.names
        }


class AdsStream:
    """What is known of one connected Envoy."""

    def __init__(self) -> None:
        self._subscriptions: dict[str, _Subscription] = {}
        self._nonces = itertools.count(1)

    def receive(self, request: discovery.DeltaDiscoveryRequest) -> None:
        """Take a subscription, an ACK or a NACK."""
        first = request.type_url not in self._subscriptions
        subscription = self._subscriptions.setdefault(request.type_url, _Subscription())
        if first:
            subscription.held.update(request.initial_resource_versions)
            subscription.wants_all = (
                request.type_url in _MAY_WANT_ALL and not request.resource_names_subscribe
            )
        for name in request.resource_names_unsubscribe:
            subscription.names.discard(name)
            subscription.held.pop(name, None)
        for name in request.resource_names_subscribe:
            if name == _ALL:
                subscription.wants_all = True
                continue
            subscription.names.add(name)
            if not first:  # who subscribes again wants to be sent again
                subscription.held.pop(name, None)
                subscription.answered = False
        sent = subscription.sent
        if sent is not None and request.response_nonce == sent.nonce:
            subscription.sent = None
            if request.HasField("error_detail"):
                subscription.refused.update(sent.versions)
                # Of what was refused Envoy may have taken a part: nobody knows what it holds now.
                subscription.held.update(dict.fromkeys(sent.versions, ""))
                subscription.fault = request.error_detail.message
            else:
                subscription.held.update(sent.versions)
                for name in sent.removed:
                    subscription.held.pop(name, None)

    def response(
        self, type_url: str, target: ResourceSet, keep: Set[str] = frozenset()
    ) -> discovery.DeltaDiscoveryResponse | None:
        """What to send now so that Envoy gets `target`; None when there is nothing to send.

        keep   names that Envoy may go on holding although the target has them no more
        """
        subscription = self._subscriptions.get(type_url)
        if subscription is None or subscription.sent is not None:
            return None
        wanted = subscription.wanted(target)
        changed = {
            name: version
            for name, version in wanted.items()
            if subscription.held.get(name) != version and subscription.refused.get(name) != version
        }
        removed = sorted(subscription.held.keys() - wanted.keys() - keep)
        if subscription.answered and not changed and not removed:
            return None
        nonce = str(next(self._nonces))
        subscription.sent = _Sent(nonce, changed, removed)
        subscription.answered = True
        return discovery.DeltaDiscoveryResponse(
            type_url=type_url,
            nonce=nonce,
            removed_resources=removed,
            resources=[
                discovery.Resource(
                    name=name, version=target[name].version, resource=target[name].content
                )
                for name in sorted(changed)
            ],
        )

    def forget_refusals(self) -> None:
        """Offer again what Envoy refused: the reason, such as a taken port, may be gone."""
        for subscription in self._subscriptions.values():
            subscription.refused.clear()

    def subscribed(self, type_url: str) -> bool:
        """Whether Envoy has asked for this kind."""
        return type_url in self._subscriptions

    def accepted(self, type_url: str, target: ResourceSet) -> bool:
        """Whether Envoy has all of the target that it subscribed to."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None or subscription.sent is not None or not subscription.answered:
            return False
        return all(
            subscription.held.get(name) == version
            for name, version in subscription.wanted(target).items()
        )

    def fault(self, type_url: str, target: ResourceSet) -> str | None:
        """What Envoy said no with, when it refuses something of the target."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return None
        refused = any(
            subscription.refused.get(name) == version
            for name, version in subscription.wanted(target).items()
        )
        return subscription.fault or "refused without a message" if refused else None

    def held(self, type_url: str) -> frozenset[str]:
        """Names that Envoy has."""
        subscription = self._subscriptions.get(type_url)
        return frozenset(subscription.held) if subscription else frozenset()
