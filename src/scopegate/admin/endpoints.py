"""What an endpoint is, what it gets and what it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.admin.body import Sent
from scopegate.admin.node import NodeInfo, PublishResult, ServerCounts
from scopegate.entities.filling import Makings
from scopegate.entities.finding import Finding
from scopegate.entities.plugins import PluginType
from scopegate.entities.schema import EntitySchema
from scopegate.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Ports:
    """All that endpoints work with.

    schemas        by kind
    plugin_types   by name
    publish        bring what is committed to the proxy
    makings        the time and fresh ids, asked for once per write
    counts         the proxy's connections and requests; None when it does not say
    """

    store: Store
    schemas: Mapping[str, EntitySchema]
    plugin_types: Mapping[str, PluginType]
    publish: Callable[[], Awaitable[PublishResult]]
    findings: Callable[[], Sequence[Finding]]
    node: NodeInfo
    makings: Callable[[], Makings]
    counts: Callable[[], Awaitable[ServerCounts | None]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to one endpoint.

    names  what stands in the path for each `{name}` of the endpoint, decoded
    query  arguments of the query, texts
    sent   arguments of the body
    """

    names: Mapping[str, str]
    query: Mapping[str, Any]
    sent: Sent


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body (None: no body). `publish`: something was committed."""

    status: int
    body: Any
    publish: bool = False


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path (`/services/{services}`) and its methods, without HEAD and OPTIONS."""

    path: str
    methods: Mapping[str, Handler]

    @property
    def segments(self) -> tuple[str, ...]:
        """The path's parts; none for `/`."""
        return tuple(self.path.strip("/").split("/")) if self.path != "/" else ()

    @property
    def allowed(self) -> str:
        """The methods for `Allow`."""
        head = {"HEAD"} if "GET" in self.methods else set()
        return ", ".join(sorted({*self.methods, "OPTIONS"} | head))
