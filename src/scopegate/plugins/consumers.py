"""The consumers as plugins look them up: by username, custom_id or id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ConsumerRecord:
    """What a plugin needs of a consumer."""

    id: str
    username: str | None
    custom_id: str | None


class AmbiguousConsumer(Exception):
    """Several consumers differ only in the case of their username: we do not guess."""


class ConsumerIndex:
    """Consumers by the fields in which a plugin may look for them."""

    def __init__(self, records: Iterable[ConsumerRecord]) -> None:
        self._by: dict[str, dict[str, ConsumerRecord]] = {"username": {}, "custom_id": {}, "id": {}}
        self._by_folded_username: dict[tuple[str, str], list[ConsumerRecord]] = {}
        for record in records:
            self._by["id"][record.id] = record
            if record.username is not None:
                self._by["username"][record.username] = record
                folded = _without_case(record.username)
                self._by_folded_username.setdefault(folded, []).append(record)
            if record.custom_id is not None:
                self._by["custom_id"][record.custom_id] = record

    @classmethod
    def from_documents(cls, documents: Iterable[Mapping[str, Any]]) -> ConsumerIndex:
        """From `{id, username, custom_id}` objects."""
        return cls(ConsumerRecord(d["id"], d["username"], d["custom_id"]) for d in documents)

    def find(
        self, value: str, fields: Iterable[str], *, ignore_username_case: bool = False
    ) -> ConsumerRecord | None:
        """The consumer whose field has this value; fields in the order username, custom_id, id.

        Raises AmbiguousConsumer. Source: contract openid-connect.md §7.
        """
        wanted = frozenset(fields)
        for name in ("username", "custom_id", "id"):
            if name not in wanted:
                continue
            if name == "username" and ignore_username_case:
                alike = self._by_folded_username.get(_without_case(value), [])
                if len(alike) > 1:
                    raise AmbiguousConsumer
                if alike:
                    return alike[0]
                continue
            record = self._by[name].get(value)
            if record is not None:
                return record
        return None


def _without_case(username: str) -> tuple[str, str]:
    """Equal for names that differ in nothing but case.

    Folding alone also makes equal what looks or reads alike: the Kelvin sign and k, ß and ss, the
    long s and s. Somebody who may choose a name at the provider would pass for another so.
    """
    return username.lower(), username.upper()
