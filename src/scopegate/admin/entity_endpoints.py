"""The endpoints of every kind of entity, made from the schemas.

For each kind `/routes` and `/routes/{routes}`; for each foreign key `/routes/{routes}/service`,
`/services/{services}/routes` and `/services/{services}/routes/{routes}`.
Source: contract admin-api.md §2.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from scopegate.admin import paging
from scopegate.admin.endpoints import Answer, Call, Endpoint, Ports
from scopegate.admin.errors import METHOD_NOT_ALLOWED, not_found, refusal
from scopegate.admin.hooks import LOOKUPS, lookup_fault
from scopegate.admin.writing import Key, Writer, key_of
from scopegate.entities.schema import EntitySchema
from scopegate.store.protocol import Document, Transaction


def entity_endpoints(ports: Ports) -> Iterator[Endpoint]:
    """All endpoints of all kinds."""
    for schema in ports.schemas.values():
        yield from _Plain(ports, schema).endpoints()
        for field, foreign in schema.foreign_fields().items():
            parent = ports.schemas.get(foreign.reference or "")
            if parent is not None:
                yield from _Nested(ports, schema, field, parent).endpoints()


class _Endpoints:
    """What both kinds of endpoints need."""

    def __init__(self, ports: Ports, schema: EntitySchema) -> None:
        self._ports = ports
        self._schema = schema
        self._kind = schema.kind

    def _writer(self) -> Writer:
        return Writer(self._ports.schemas, self._ports.makings())

    def _key(self, call: Call, schema: EntitySchema) -> Key:
        return key_of(schema, call.names[schema.kind])

    async def _found(self, tx: Transaction, call: Call, schema: EntitySchema) -> Document:
        """The entity that the path names. Raises AdminError (404)."""
        document = await tx.get(schema.kind, self._key(call, schema))
        if document is None:
            raise not_found()
        return document


class _Plain(_Endpoints):
    """`/services` and `/services/{services}`."""

    def endpoints(self) -> Iterator[Endpoint]:
        yield Endpoint(f"/{self._kind}", {"GET": self.list, "POST": self.create})
        one = {"GET": self.get, "PATCH": self.patch, "PUT": self.put, "DELETE": self.delete}
        yield Endpoint(f"/{self._kind}/{{{self._kind}}}", one)

    async def list(self, call: Call) -> Answer:
        lookup = LOOKUPS.get(self._kind)
        if lookup is not None and lookup in call.query:
            return await self._look_up(lookup, call)
        size, tags = paging.page_size(call.query), paging.tag_filter(call.query)
        after = paging.first(call.query, "offset")
        async with self._ports.store.read() as tx:
            page = await tx.page(
                self._kind,
                size=size,
                after=paging.decode_offset(after)[0] if after else None,
                tags=tags,
            )
        more = "".join(
            f"&{name}={quote(text, safe='')}"
            for name in ("tags", "size")
            if (text := paging.first(call.query, name))
        )
        shown = [self._schema.show(document) for document in page.documents]
        offset = paging.encode_offset(page.next_id) if page.next_id is not None else None
        return Answer(200, paging.page_body(shown, f"/{self._kind}", offset, more))

    async def _look_up(self, name: str, call: Call) -> Answer:
        value = call.query[name]
        fault = lookup_fault(name, value)
        if fault is not None:
            raise refusal(400, fault)
        async with self._ports.store.read() as tx:
            document = await tx.get(self._kind, {name: value})
        found = [] if document is None else [self._schema.show(document)]
        return Answer(200, paging.page_body(found, f"/{self._kind}", None))

    async def create(self, call: Call) -> Answer:
        writer = self._writer()
        async with self._ports.store.write() as tx:
            document = await writer.create(tx, self._kind, call.sent, {})
        return Answer(201, self._schema.show(document), publish=True)

    async def get(self, call: Call) -> Answer:
        async with self._ports.store.read() as tx:
            document = await self._found(tx, call, self._schema)
        return Answer(200, self._schema.show(document))

    async def patch(self, call: Call) -> Answer:
        writer, key = self._writer(), self._key(call, self._schema)
        async with self._ports.store.write() as tx:
            document = await writer.change(tx, self._kind, key, call.sent)
        return Answer(200, self._schema.show(document), publish=True)

    async def put(self, call: Call) -> Answer:
        writer, key = self._writer(), self._key(call, self._schema)
        async with self._ports.store.write() as tx:
            document = await writer.put(tx, self._kind, key, call.sent)
        return Answer(200, self._schema.show(document), publish=True)

    async def delete(self, call: Call) -> Answer:
        key = self._key(call, self._schema)
        async with self._ports.store.write() as tx:
            document = await tx.get(self._kind, key)
            gone = document is not None and await tx.delete(self._kind, document["id"])
        return Answer(204, None, publish=gone)


class _Nested(_Endpoints):
    """Both ways over one foreign key: `schema` is the child, `field` points to the parent."""

    def __init__(
        self, ports: Ports, schema: EntitySchema, field: str, parent: EntitySchema
    ) -> None:
        super().__init__(ports, schema)
        self._field = field
        self._parent = parent

    def endpoints(self) -> Iterator[Endpoint]:
        child, parent = self._kind, self._parent.kind
        yield Endpoint(
            f"/{child}/{{{child}}}/{self._field}",
            {
                "GET": self.get_parent,
                "PATCH": self.patch_parent,
                "PUT": self.put_parent,
                "DELETE": self.delete_parent,
            },
        )
        children = f"/{parent}/{{{parent}}}/{child}"
        yield Endpoint(children, {"GET": self.list_children, "POST": self.create_child})
        yield Endpoint(
            f"{children}/{{{child}}}",
            {
                "GET": self.get_child,
                "PATCH": self.patch_child,
                "PUT": self.put_child,
                "DELETE": self.delete_child,
            },
        )

    async def get_parent(self, call: Call) -> Answer:
        async with self._ports.store.read() as tx:
            document = await tx.get(self._parent.kind, await self._parent_key(tx, call))
        if document is None:
            raise not_found()
        return Answer(200, self._parent.show(document))

    async def patch_parent(self, call: Call) -> Answer:
        writer = self._writer()
        async with self._ports.store.write() as tx:
            key = await self._parent_key(tx, call)
            document = await writer.change(tx, self._parent.kind, key, call.sent)
        return Answer(200, self._parent.show(document), publish=True)

    async def put_parent(self, call: Call) -> Answer:
        """Replaces the parent, or makes one and points to it."""
        writer = self._writer()
        async with self._ports.store.write() as tx:
            child = await self._found(tx, call, self._schema)
            reference = child[self._field]
            key = reference or {"id": writer.makings.new_uuid()}
            document = await writer.put(tx, self._parent.kind, key, call.sent)
            if reference is None:
                now_s = writer.makings.now_s
                await tx.replace(self._kind, {**child, self._field: key, "updated_at": now_s})
        return Answer(200, self._parent.show(document), publish=True)

    async def delete_parent(self, call: Call) -> Answer:
        async with self._ports.store.read() as tx:
            await self._parent_key(tx, call)
        raise refusal(405, METHOD_NOT_ALLOWED)

    async def list_children(self, call: Call) -> Answer:
        size, after = paging.page_size(call.query), paging.first(call.query, "offset")
        async with self._ports.store.read() as tx:
            parent = await self._found(tx, call, self._parent)
            page = await tx.page(
                self._kind,
                size=size,
                after=paging.decode_offset(after)[0] if after else None,
                where={self._field: parent["id"]},
            )
        shown = [self._schema.show(document) for document in page.documents]
        offset = paging.encode_offset(page.next_id) if page.next_id is not None else None
        path = f"/{self._parent.kind}/{parent['id']}/{self._kind}"
        return Answer(200, paging.page_body(shown, path, offset))

    async def create_child(self, call: Call) -> Answer:
        writer = self._writer()
        async with self._ports.store.write() as tx:
            parent = await self._found(tx, call, self._parent)
            fixed = {self._field: {"id": parent["id"]}}
            document = await writer.create(tx, self._kind, call.sent, fixed)
        return Answer(201, self._schema.show(document), publish=True)

    async def get_child(self, call: Call) -> Answer:
        async with self._ports.store.read() as tx:
            _, child = await self._family(tx, call)
        return Answer(200, self._schema.show(child))

    async def patch_child(self, call: Call) -> Answer:
        writer = self._writer()
        async with self._ports.store.write() as tx:
            parent, child = await self._family(tx, call)
            fixed = {self._field: {"id": parent["id"]}}
            key = {"id": child["id"]}
            document = await writer.change(tx, self._kind, key, call.sent, fixed)
        return Answer(200, self._schema.show(document), publish=True)

    async def put_child(self, call: Call) -> Answer:
        writer, key = self._writer(), self._key(call, self._schema)
        async with self._ports.store.write() as tx:
            parent = await self._found(tx, call, self._parent)
            fixed = {self._field: {"id": parent["id"]}}
            document = await writer.put(tx, self._kind, key, call.sent, fixed)
        return Answer(200, self._schema.show(document), publish=True)

    async def delete_child(self, call: Call) -> Answer:
        async with self._ports.store.write() as tx:
            _, child = await self._family(tx, call)
            await tx.delete(self._kind, child["id"])
        return Answer(204, None, publish=True)

    async def _parent_key(self, tx: Transaction, call: Call) -> Key:
        child = await self._found(tx, call, self._schema)
        reference: Key | None = child.get(self._field)
        if reference is None:
            raise not_found()
        return {"id": reference["id"]}

    async def _family(self, tx: Transaction, call: Call) -> tuple[Document, Document]:
        """Parent and child in the path, which belong together. Raises AdminError (404)."""
        parent = await self._found(tx, call, self._parent)
        child = await self._found(tx, call, self._schema)
        reference = child.get(self._field)
        if reference is None or reference["id"] != parent["id"]:
            raise not_found()
        return parent, child
