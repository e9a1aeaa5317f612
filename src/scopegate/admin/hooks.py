"""Rules of one kind of entity that reach beyond its own document.

Source: contract admin-api.md §2 (`?custom_id=`), §4 (protocols of plugins).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from scopegate.admin.paging import SIZE_LIMIT
from scopegate.entities.violations import SchemaViolation
from scopegate.store.protocol import Document, Transaction

Check = Callable[[Transaction, Document], Awaitable[None]]


async def _share_a_protocol(tx: Transaction, plugin: Document) -> None:
    """A plugin must speak a protocol of its route, or of one of its service's routes."""
    protocols = set(plugin["protocols"])
    if plugin["route"] is not None:
        route = await tx.get("routes", {"id": plugin["route"]["id"]})
        if route is not None and protocols.isdisjoint(route["protocols"]):
            raise SchemaViolation({"protocols": "must match the associated route's protocols"})
    elif plugin["service"] is not None:
        routes = [route async for route in _all(tx, "routes", service=plugin["service"]["id"])]
        if routes and all(protocols.isdisjoint(route["protocols"]) for route in routes):
            raise SchemaViolation(
                {
                    "protocols": "must match the protocols of at least one route pointing to "
                    "this Plugin's service"
                }
            )


async def _keep_its_plugins(tx: Transaction, route: Document) -> None:
    """A route must not lose a plugin, and with it its protection, to a change of its protocols.

    Kong lets it.
    """
    async for plugin in _all(tx, "plugins", route=route["id"]):
        if set(plugin["protocols"]).isdisjoint(route["protocols"]):
            raise SchemaViolation(
                {
                    "protocols": f"must share a protocol with the plugin '{plugin['name']}' "
                    f"of this route, which is for {', '.join(plugin['protocols'])}"
                }
            )


async def _all(tx: Transaction, kind: str, **where: str) -> AsyncIterator[Document]:
    after: str | None = None
    while True:
        page = await tx.page(kind, size=SIZE_LIMIT, after=after, where=where)
        for document in page.documents:
            yield document
        if page.next_id is None:
            return
        after = page.next_id


CHECKS: Mapping[str, Check] = {"plugins": _share_a_protocol, "routes": _keep_its_plugins}
"""By kind: what is checked before a document is written. Raises SchemaViolation."""

LOOKUPS: Mapping[str, str] = {"consumers": "custom_id"}
"""By kind: the unique field that a list can be asked for (`/consumers?custom_id=x`)."""


def lookup_fault(name: str, value: Any) -> str | None:
    """Why a list cannot be asked for this value, or None."""
    return None if isinstance(value, str) and value else f"{name} must be an unempty string"
