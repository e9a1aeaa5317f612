"""From claims to a consumer, a credential and groups. Source: contract openid-connect.md §7."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.oidc.claim_lookup import words
from scopegate.plugins.access import Header, LogLine
from scopegate.plugins.consumers import AmbiguousConsumer, ConsumerIndex, ConsumerRecord
from scopegate.plugins.openid_connect.headers import dropped_line, is_sendable
from scopegate.plugins.openid_connect.identity import Identity, look_up, text_of
from scopegate.plugins.openid_connect.reasons import AccessReason

_GROUPS = "x-authenticated-groups"


class ConsumerRefused(Exception):
    """The claims name no consumer where one is needed: 403."""

    def __init__(self, reason: AccessReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class AnonymousInstead(Exception):
    """The claims name no consumer, and the anonymous one stands in: on as nobody (contract §7)."""


class AnonymousMissing(Exception):
    """The configured anonymous consumer does not exist: 500, not open."""


@dataclass(frozen=True, slots=True)
class ConsumerMapping:
    """How a configuration maps claims. `claims` are paths, the first that is found wins."""

    claims: tuple[tuple[str, ...], ...]
    fields: tuple[str, ...]
    optional: bool
    ignore_username_case: bool
    anonymous: str | None
    credential_claim: tuple[str, ...]
    groups_claim: tuple[str, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ConsumerMapping:
        return cls(
            claims=tuple(tuple(path) for path in config["consumer_claims"] or ()),
            fields=tuple(config["consumer_by"] or ()),
            optional=config["consumer_optional"],
            ignore_username_case=config["by_username_ignore_case"],
            anonymous=config["anonymous"],
            credential_claim=tuple(config["credential_claim"] or ()),
            groups_claim=tuple(config["authenticated_groups_claim"] or ()),
        )

    def consumer(self, identity: Identity, consumers: ConsumerIndex) -> ConsumerRecord | None:
        """The consumer of this identity; None where none is mapped or needed.

        Raises ConsumerRefused, AnonymousInstead.
        """
        if not self.claims:
            return None
        value, path = None, self.claims[0]
        for candidate in self.claims:
            value = text_of(look_up(identity.for_mapping(), candidate))
            if value is not None:
                path = candidate
                break
        consumer = self._find(value, consumers)
        if consumer is not None or self.optional:
            return consumer
        if self.anonymous is not None:
            raise AnonymousInstead
        claim = ".".join(path)
        problem = "was not found" if value is None else "names no consumer"
        raise ConsumerRefused(
            AccessReason.CONSUMER_NOT_FOUND,
            f"consumer was not found (claim ({claim}) {problem} for consumer mapping)",
        )

    def _find(self, value: str | None, consumers: ConsumerIndex) -> ConsumerRecord | None:
        if value is None:
            return None
        try:
            return consumers.find(
                value, self.fields, ignore_username_case=self.ignore_username_case
            )
        except AmbiguousConsumer:
            raise ConsumerRefused(
                AccessReason.CONSUMER_AMBIGUOUS,
                "several consumers differ only in the case of the username",
            ) from None

    def anonymous_consumer(self, consumers: ConsumerIndex) -> ConsumerRecord:
        """The consumer that stands in for nobody, by id or username. Raises AnonymousMissing."""
        record = consumers.find(self.anonymous or "", ("username", "id"))
        if record is None:
            raise AnonymousMissing
        return record

    def credential_headers(
        self, identity: Identity, consumer: ConsumerRecord | None
    ) -> tuple[list[Header], list[LogLine]]:
        """X-Consumer-*, or the virtual credential, and the authenticated groups; and a line where
        a group is left out, since it would read as another or as two.
        """
        headers = consumer_headers(consumer) if consumer else []
        dropped: list[LogLine] = []
        if consumer is None and self.credential_claim:
            credential = text_of(look_up(identity.for_headers(), self.credential_claim))
            if credential is not None:
                headers.append(("x-credential-identifier", credential))
        if self.groups_claim:
            found = words(look_up(identity.for_mapping(), self.groups_claim))
            groups = [group for group in found if "," not in group and is_sendable(group)]
            if groups:
                headers.append((_GROUPS, ", ".join(groups)))
            if groups != found:
                dropped.append(dropped_line("group", _GROUPS))
        return headers, dropped


def consumer_headers(consumer: ConsumerRecord) -> list[Header]:
    """Kong's X-Consumer-* headers; a field that is not set gives none."""
    headers: list[Header] = [("x-consumer-id", consumer.id)]
    if consumer.custom_id is not None:
        headers.append(("x-consumer-custom-id", consumer.custom_id))
    if consumer.username is not None:
        headers.append(("x-consumer-username", consumer.username))
    return headers
