"""Paging, filters and tags. Source: contract admin-api.md §2 (pagination, tags)."""

from __future__ import annotations

import pytest

from scopegate.store.protocol import Store, TagFilter
from support.documents import Document, consumer, plugin, route, service


async def fill(store: Store, kind: str, *documents: Document) -> None:
    async with store.write() as transaction:
        for document in documents:
            await transaction.insert(kind, document)


async def ids(store: Store, kind: str, **arguments: object) -> list[str]:
    async with store.read() as transaction:
        page = await transaction.page(kind, size=1000, **arguments)
    assert page.next_id is None
    return [document["id"] for document in page.documents]


async def walk(store: Store, kind: str, size: int, **arguments: object) -> list[list[Document]]:
    pages, after = [], None
    async with store.read() as transaction:
        while True:
            page = await transaction.page(kind, size=size, after=after, **arguments)
            pages.append(list(page.documents))
            after = page.next_id
            if after is None:
                return pages


@pytest.mark.parametrize(
    ("size", "lengths"), [(1, [1] * 6), (4, [4, 2]), (3, [3, 3]), (6, [6]), (7, [6])]
)
async def test_pages_are_ordered_by_id_and_hold_each_entity_once(
    store: Store, size: int, lengths: list[int]
) -> None:
    documents = [consumer() for _ in range(6)]
    await fill(store, "consumers", *documents)
    pages = await walk(store, "consumers", size)
    assert [len(page) for page in pages] == lengths
    found = [document for page in pages for document in page]
    assert found == sorted(documents, key=lambda document: document["id"])


async def test_an_empty_page_is_the_last(store: Store) -> None:
    assert await walk(store, "services", 10) == [[]]


async def test_a_page_goes_on_where_the_last_entity_has_gone(store: Store) -> None:
    documents = sorted((service() for _ in range(3)), key=lambda document: document["id"])
    await fill(store, "services", *documents)
    async with store.write() as transaction:
        first = await transaction.page("services", size=2)
        assert first.next_id == documents[1]["id"]
        await transaction.delete("services", first.next_id)
        rest = await transaction.page("services", size=2, after=first.next_id)
    assert rest.documents == [documents[2]]


async def test_where_takes_references_and_fields(store: Store) -> None:
    one, two = service(), service()
    await fill(store, "services", one, two)
    inside, outside, free = route(service=one["id"]), route(service=two["id"]), route()
    await fill(store, "routes", inside, outside, free)
    await fill(
        store,
        "plugins",
        plugin(),
        plugin(route=inside["id"]),
        narrow := plugin(route=inside["id"], service=one["id"]),
        plugin(name="cors", service=one["id"]),
    )
    assert await ids(store, "routes", where={"service": one["id"]}) == [inside["id"]]
    assert await ids(store, "routes", where={"service": None}) == [free["id"]]
    both = {"route": inside["id"], "service": one["id"]}
    assert await ids(store, "plugins", where=both) == [narrow["id"]]
    assert len(await ids(store, "plugins", where={"name": "openid-connect"})) == 3
    await fill(store, "consumers", known := consumer(custom_id="007"), consumer())
    assert await ids(store, "consumers", where={"custom_id": "007"}) == [known["id"]]
    assert await ids(store, "consumers", where={"custom_id": "008"}) == []


async def test_where_refuses_what_it_cannot_filter_by(store: Store) -> None:
    async with store.read() as transaction:
        with pytest.raises(ValueError, match="'host'"):
            await transaction.page("services", size=1, where={"host": "example.test"})


class TestTags:
    @pytest.fixture
    async def tagged(self, store: Store) -> dict[str, str]:
        documents = {
            "ab": service(tags=["a", "b"]),
            "a": service(tags=["a"]),
            "b": service(tags=["b", "b"]),
            "c": service(tags=["c"]),
            "none": service(tags=None),
            "empty": service(tags=[]),
        }
        await fill(store, "services", *documents.values())
        await fill(store, "routes", route(tags=["a", "b", "c"]))
        return {document["id"]: name for name, document in documents.items()}

    @pytest.mark.parametrize(
        ("filter_", "found"),
        [
            (TagFilter(("a",)), {"a", "ab"}),
            (TagFilter(("a", "b")), {"ab"}),
            (TagFilter(("a", "b", "c")), set()),
            (TagFilter(("a", "b"), all=False), {"a", "b", "ab"}),
            (TagFilter(("c", "nowhere"), all=False), {"c"}),
            (TagFilter(("A",)), set()),
        ],
    )
    async def test_filter_with_and_or(self, store, tagged, filter_, found) -> None:
        names = [tagged[id_] for id_ in await ids(store, "services", tags=filter_)]
        assert sorted(names) == sorted(found)

    async def test_filter_over_several_pages(self, store, tagged) -> None:
        pages = await walk(store, "services", 1, tags=TagFilter(("a", "b"), all=False))
        assert [[tagged[document["id"]] for document in page] for page in pages] == [
            [tagged[id_]] for id_ in sorted(tagged) if tagged[id_] in {"a", "b", "ab"}
        ]

    async def test_filter_together_with_where(self, store) -> None:
        target = service()
        await fill(store, "services", target)
        wanted = route(service=target["id"], tags=["x"])
        await fill(store, "routes", wanted, route(tags=["x"]), route(service=target["id"]))
        where = {"service": target["id"]}
        assert await ids(store, "routes", tags=TagFilter(("x",)), where=where) == [wanted["id"]]

    async def test_are_listed_with_their_entities(self, store, tagged) -> None:
        listed = [(tag, kind) async for tag, kind, _ in await store.tags()]
        assert listed == [
            ("a", "routes"),
            ("a", "services"),
            ("a", "services"),
            ("b", "routes"),
            ("b", "services"),
            ("b", "services"),
            ("c", "routes"),
            ("c", "services"),
        ]
        pairs = {(tagged[id_], tag) async for tag, kind, id_ in await store.tags() if id_ in tagged}
        assert pairs == {("ab", "a"), ("ab", "b"), ("a", "a"), ("b", "b"), ("c", "c")}

    async def test_follow_a_replace_and_a_delete(self, store: Store) -> None:
        document = service(tags=["old", "both"])
        await fill(store, "services", document)
        async with store.write() as transaction:
            await transaction.replace("services", document | {"tags": ["both", "new"]})
        assert await ids(store, "services", tags=TagFilter(("old",))) == []
        assert [tag async for tag, _, _ in await store.tags()] == ["both", "new"]
        async with store.write() as transaction:
            await transaction.delete("services", document["id"])
        assert [tag async for tag in await store.tags()] == []

    async def test_listing_more_than_a_portion_skips_and_repeats_nothing(
        self, store: Store
    ) -> None:
        tags = [f"tag-{n:04}" for n in range(700)]
        one, two = service(tags=tags), service(tags=tags)
        await fill(store, "services", one, two)
        listed = [(tag, id_) async for tag, _, id_ in await store.tags()]
        assert listed == sorted((tag, document["id"]) for tag in tags for document in (one, two))
