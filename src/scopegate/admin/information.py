"""Endpoints about the gateway itself: `/`, `/status`, `/schemas/…`, tags, findings.

Source: contract admin-api.md §1, §2 (other endpoints), §7.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from scopegate.admin import paging
from scopegate.admin.endpoints import Answer, Call, Endpoint, Ports
from scopegate.admin.errors import refusal, schema_refusal
from scopegate.admin.node import KONG_VERSION
from scopegate.admin.unbuilt import UNBUILT_ENTITIES
from scopegate.entities.description import describe_schema
from scopegate.entities.schema import EntitySchema
from scopegate.entities.violations import SchemaViolation
from scopegate.store.protocol import StoreUnavailable

TAG_PLACE = 3  # tag, kind, id


class Information:
    """The endpoints that are not one entity's."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def endpoints(self) -> Iterator[Endpoint]:
        """All of them but `/endpoints`, which must know the others."""
        yield Endpoint("/", {"GET": self.root})
        yield Endpoint("/status", {"GET": self.status})
        yield Endpoint("/config", {"GET": self.config, "POST": self.config})
        yield Endpoint("/tags", {"GET": self.tags})
        yield Endpoint("/tags/{tag}", {"GET": self.tags})
        yield Endpoint("/plugins/enabled", {"GET": self.plugins_enabled})
        yield Endpoint("/plugins/schema/{name}", {"GET": self.plugin_config_schema})
        yield Endpoint("/schemas/{entity}", {"GET": self.entity_schema})
        yield Endpoint("/schemas/{entity}/validate", {"POST": self.validate})
        yield Endpoint("/schemas/plugins/{name}", {"GET": self.plugin_schema})
        yield Endpoint("/schemas/plugins/validate", {"POST": self.validate_plugin})
        yield Endpoint("/scopegate/findings", {"GET": self.findings})

    async def root(self, _call: Call) -> Answer:
        node = self._ports.node
        available = {
            plugin.name: {"version": plugin.version, "priority": plugin.priority}
            for plugin in self._ports.plugin_types.values()
        }
        body = {
            "tagline": "Welcome to Scopegate",
            "version": KONG_VERSION,
            "scopegate_version": node.version,
            "edition": "community",
            "hostname": node.hostname,
            "node_id": node.node_id,
            "pids": dict(node.pids),
            "timers": {"running": 0, "pending": 0},
            "lua_version": "none",
            "plugins": {
                "available_on_server": available,
                "enabled_in_cluster": await self._plugins_in_use(),
            },
            "configuration": {
                **node.configuration,
                "database": node.database,
                "router_flavor": "traditional_compatible",
                "rbac": "off",
                "portal": False,
                "wasm": False,
                "proxy_listeners": [dict(listener) for listener in node.proxy_listeners],
            },
        }
        return Answer(200, body)

    async def _plugins_in_use(self) -> list[str]:
        names: set[str] = set()
        after: str | None = None
        async with self._ports.store.read() as tx:
            while True:
                page = await tx.page("plugins", size=paging.SIZE_LIMIT, after=after)
                names.update(plugin["name"] for plugin in page.documents)
                if page.next_id is None:
                    return sorted(names)
                after = page.next_id

    async def status(self, _call: Call) -> Answer:
        """Without `server` when the proxy does not answer, rather than with zeros."""
        try:
            await self._ports.store.ping()
            reachable = True
        except StoreUnavailable:
            reachable = False
        body: dict[str, Any] = {
            "database": {"reachable": reachable},
            "memory": {"workers_lua_vms": [], "lua_shared_dicts": {}},
        }
        counts = await self._ports.counts()
        if counts is not None:
            body["server"] = asdict(counts)
        return Answer(200, body)

    async def config(self, _call: Call) -> Answer:
        raise refusal(
            400, "this endpoint is only available when the gateway does not use a database"
        )

    async def tags(self, call: Call) -> Answer:
        """Every use of every tag, or of one; in the order tag, kind, id."""
        wanted = call.names.get("tag")
        size, offset = paging.page_size(call.query), paging.first(call.query, "offset")
        after = tuple(paging.decode_offset(offset, TAG_PLACE)) if offset else None
        uses: list[tuple[str, str, str]] = []
        async for use in await self._tags():
            if (wanted is None or use[0] == wanted) and (after is None or use > after):
                uses.append(use)
                if len(uses) > size:
                    break
        page, path = uses[:size], "/tags" if wanted is None else f"/tags/{quote(wanted, safe='')}"
        following = paging.encode_offset(*page[-1]) if len(uses) > size else None
        data = [{"tag": tag, "entity_name": kind, "entity_id": id_} for tag, kind, id_ in page]
        return Answer(200, paging.page_body(data, path, following))

    async def _tags(self) -> AsyncIterator[tuple[str, str, str]]:
        return await self._ports.store.tags()

    async def plugins_enabled(self, _call: Call) -> Answer:
        return Answer(200, {"enabled_plugins": sorted(self._ports.plugin_types)})

    async def plugin_config_schema(self, call: Call) -> Answer:
        config = self._plugin(call).config
        return Answer(200, describe_schema(config.fields, config.checks, config.shorthands))

    async def plugin_schema(self, call: Call) -> Answer:
        return Answer(200, self._plugin(call).describe())

    def _plugin(self, call: Call) -> Any:
        name = call.names["name"]
        if name not in self._ports.plugin_types:
            raise refusal(404, f"No plugin named '{name}'")
        return self._ports.plugin_types[name]

    async def entity_schema(self, call: Call) -> Answer:
        return Answer(200, self._schema(call.names["entity"]).describe())

    async def validate(self, call: Call) -> Answer:
        return self._validate(self._schema(call.names["entity"]), call)

    async def validate_plugin(self, call: Call) -> Answer:
        return self._validate(self._schema("plugins"), call)

    def _validate(self, schema: EntitySchema, call: Call) -> Answer:
        sent = call.sent.arguments if call.sent.typed else schema.infer(call.sent.arguments)
        try:
            schema.check(schema.draft_new(sent, self._ports.makings()))
        except SchemaViolation as violation:
            raise schema_refusal(violation) from None
        return Answer(200, {"message": "schema validation successful"})

    def _schema(self, name: str) -> EntitySchema:
        if name in self._ports.schemas:
            return self._ports.schemas[name]
        why = " (it is not built yet)" if name in UNBUILT_ENTITIES else ""
        raise refusal(404, f"No entity named '{name}'{why}")

    async def findings(self, _call: Call) -> Answer:
        return Answer(200, {"data": [asdict(found) for found in self._ports.findings()]})
