"""Pages, sizes, offsets, tags, and lists of tags."""

from __future__ import annotations

import base64
from urllib.parse import quote, unquote

import pytest

from support.asgi_client import AsgiClient


async def _make(api: AsgiClient, count: int) -> list[str]:
    for number in range(count):
        tags = ["even" if number % 2 == 0 else "odd", "all"]
        await api.post("/services", {"name": f"s{number}", "host": "h", "tags": tags})
    return [f"s{number}" for number in range(count)]


async def test_pages_follow_one_another_and_the_last_has_no_offset(api: AsgiClient) -> None:
    names = await _make(api, 5)
    seen: list[str] = []
    target = "/services?size=2"
    sizes = []
    while target:
        page = (await api.get(target)).json
        seen += [service["name"] for service in page["data"]]
        sizes.append(len(page["data"]))
        assert ("offset" in page) == (page["next"] is not None)
        target = page["next"]
    assert (seen, sizes) == (names, [2, 2, 1])


async def test_a_last_page_that_is_full_has_no_offset(api: AsgiClient) -> None:
    await _make(api, 4)
    page = (await api.get("/services?size=2")).json
    last = (await api.get(f"/services?size=2&offset={quote(page['offset'])}")).json
    assert len(last["data"]) == 2
    assert last == {"data": last["data"], "next": None}


async def test_an_offset_outlives_a_change_of_size_and_is_unpadded_base64(api: AsgiClient) -> None:
    await _make(api, 5)
    page = (await api.get("/services?size=1")).json
    offset = page["offset"]
    padded = offset + "=" * (-len(offset) % 4)
    assert base64.b64decode(padded).decode() == f'["{page["data"][0]["id"]}"]'
    assert "=" not in offset
    rest = (await api.get(f"/services?size=1000&offset={offset}")).json
    assert [service["name"] for service in rest["data"]] == ["s1", "s2", "s3", "s4"]


async def test_next_keeps_size_and_tags_and_nested_next_only_the_offset(api: AsgiClient) -> None:
    await _make(api, 4)
    page = (await api.get("/services?size=1&tags=all")).json
    assert page["next"] == f"/services?offset={page['offset']}&tags=all&size=1"
    service = page["data"][0]
    for path in ("/a", "/b"):
        await api.post("/services/s0/routes", {"paths": [path]})
    nested = (await api.get("/services/s0/routes?size=1")).json
    assert nested["next"] == f"/services/{service['id']}/routes?offset={nested['offset']}"
    assert len((await api.get(nested["next"])).json["data"]) == 1


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("x", "size must be a number"),
        ("0", "size must be an integer between 1 and 1000"),
        ("1001", "size must be an integer between 1 and 1000"),
        ("1.5", "size must be an integer between 1 and 1000"),
        ("nan", "size must be an integer between 1 and 1000"),
    ],
)
async def test_a_wrong_size_is_refused(api: AsgiClient, size: str, message: str) -> None:
    refused = await api.get(f"/services?size={size}")
    assert refused.status == 400
    assert refused.json == {"code": 9, "name": "invalid size", "message": message}


@pytest.mark.parametrize(
    ("offset", "why"),
    [
        ("%21", "bad base64 encoding"),
        ("%C3%A4", "bad base64 encoding"),
        ("W10", "bad json encoding"),
        ("AAA", "bad json encoding"),
        ("WzFd", "bad json encoding"),  # [1]
        ("WyJcdWQ4MDAiXQ", "bad json encoding"),  # half of a surrogate pair
        ("W1tb" * 9000, "bad json encoding"),  # [[[…
    ],
)
async def test_a_wrong_offset_is_refused(api: AsgiClient, offset: str, why: str) -> None:
    await api.post("/services", {"name": "a", "host": "h"})
    for path in ("/services", "/services/a/routes", "/tags", "/tags/t"):
        refused = await api.get(f"{path}?offset={offset}")
        assert refused.status == 400
        assert refused.json == {
            "code": 7,
            "name": "invalid offset",
            "message": f"'{unquote(offset)}' is not a valid offset: {why}",
        }


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("even", ["s0", "s2"]),
        ("even,all", ["s0", "s2"]),
        ("even,odd", []),
        ("even/odd", ["s0", "s1", "s2"]),
    ],
)
async def test_tags_filter_lists(api: AsgiClient, tags: str, found: list[str]) -> None:
    await _make(api, 3)
    page = (await api.get(f"/services?tags={tags}")).json
    assert [service["name"] for service in page["data"]] == found


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ("", "cannot be null"),
        ("a,b/c", "invalid filter syntax"),
        ("a,b,c,d,e,f", "cannot query more than 5 tags"),
        ("%00", "invalid filter syntax"),
    ],
)
async def test_a_wrong_tag_filter_is_refused(api: AsgiClient, tags: str, fault: str) -> None:
    refused = await api.get(f"/services?tags={tags}")
    assert refused.status == 400
    assert refused.json == {
        "code": 11,
        "name": "invalid options",
        "message": f"invalid option (tags: {fault})",
        "options": {"tags": fault},
    }


async def test_nested_lists_ignore_tags(api: AsgiClient) -> None:
    await api.post("/services", {"name": "a", "host": "h"})
    await api.post("/services/a/routes", {"paths": ["/x"]})
    assert len((await api.get("/services/a/routes?tags=none")).json["data"]) == 1


async def test_consumers_are_found_by_custom_id(api: AsgiClient) -> None:
    made = (await api.post("/consumers", {"custom_id": "c-1"})).json
    await api.post("/consumers", {"custom_id": "c-2"})
    assert (await api.get("/consumers?custom_id=c-1")).json == {"data": [made], "next": None}
    assert (await api.get("/consumers?custom_id=c-9")).json == {"data": [], "next": None}
    refused = await api.get("/consumers?custom_id=")
    assert (refused.status, refused.json) == (
        400,
        {"message": "custom_id must be an unempty string"},
    )


async def test_tags_list_their_uses_page_by_page(api: AsgiClient) -> None:
    await _make(api, 2)
    await api.post("/consumers", {"username": "c", "tags": ["odd"]})
    seen = []
    target = "/tags?size=2"
    while target:
        page = (await api.get(target)).json
        seen += [(use["tag"], use["entity_name"]) for use in page["data"]]
        target = page["next"]
    assert seen == [
        ("all", "services"),
        ("all", "services"),
        ("even", "services"),
        ("odd", "consumers"),
        ("odd", "services"),
    ]
    odd = (await api.get("/tags/odd")).json
    assert [use["entity_name"] for use in odd["data"]] == ["consumers", "services"]
    assert (await api.get("/tags/none")).json == {"data": [], "next": None}
