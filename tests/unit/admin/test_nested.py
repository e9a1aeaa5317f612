"""Paths over foreign keys, both ways."""

from __future__ import annotations

import pytest

from support.asgi_client import AsgiClient

from .conftest import ISSUER, Surroundings

UNKNOWN_ID = "11111111-1111-4111-8111-111111111111"
NEW_ID = "22222222-2222-4222-8222-222222222222"
PLUGIN = {"name": "openid-connect", "config": ISSUER}


@pytest.fixture(autouse=True)
async def family(api: AsgiClient) -> None:
    for name in ("a", "b"):
        await api.post("/services", {"name": name, "host": f"{name}.example"})
        await api.post(f"/services/{name}/routes", {"name": f"{name}-route", "paths": ["/x"]})
    await api.post("/routes", {"name": "alone", "paths": ["/y"]})


async def test_lists_below_a_parent_hold_its_children_only(api: AsgiClient) -> None:
    page = (await api.get("/services/a/routes")).json
    assert [route["name"] for route in page["data"]] == ["a-route"]
    assert (await api.get("/services/nobody/routes")).status == 404


async def test_a_child_is_found_below_its_own_parent_only(api: AsgiClient) -> None:
    assert (await api.get("/services/a/routes/a-route")).json["name"] == "a-route"
    for path in ("/services/b/routes/a-route", "/services/a/routes/alone", "/services/a/routes/z"):
        for method in ("GET", "PATCH", "DELETE"):
            assert (await api.request(method, path)).status == 404, (method, path)
    assert (await api.get("/routes/a-route")).status == 200


async def test_children_change_and_go_below_their_parent(
    api: AsgiClient, around: Surroundings
) -> None:
    changed = await api.patch("/services/a/routes/a-route", {"paths": ["/z"]})
    assert changed.json["paths"] == ["/z"]
    assert changed.headers["x-scopegate-config"] == "live"
    assert (await api.delete("/services/a/routes/a-route")).status == 204
    assert (await api.delete("/services/a/routes/a-route")).status == 404


async def test_patch_below_a_parent_may_move_the_child(api: AsgiClient) -> None:
    other = (await api.get("/services/b")).json
    moved = await api.patch("/services/a/routes/a-route", {"service": {"id": other["id"]}})
    assert moved.json["service"] == {"id": other["id"]}


async def test_put_below_a_parent_makes_or_moves_the_child(api: AsgiClient) -> None:
    parent = (await api.get("/services/a")).json
    made = await api.put(f"/services/a/routes/{NEW_ID}", {"paths": ["/n"]})
    assert (made.status, made.json["id"]) == (200, NEW_ID)
    assert made.json["service"] == {"id": parent["id"]}
    moved = await api.put("/services/a/routes/alone", {"paths": ["/y"]})
    assert moved.json["service"] == {"id": parent["id"]}


async def test_the_parent_is_read_and_changed_through_the_child(api: AsgiClient) -> None:
    parent = (await api.get("/services/a")).json
    assert (await api.get("/routes/a-route/service")).json == parent
    changed = await api.patch("/routes/a-route/service", {"retries": 1})
    assert (changed.json["id"], changed.json["retries"]) == (parent["id"], 1)
    put = await api.put("/routes/a-route/service", {"host": "new.example"})
    assert (put.json["id"], put.json["host"], put.json["name"]) == (
        parent["id"],
        "new.example",
        None,
    )
    assert (await api.get("/routes/alone/service")).status == 404
    assert (await api.patch("/routes/alone/service", {"retries": 1})).status == 404


async def test_put_of_a_parent_that_is_not_there_makes_it(api: AsgiClient) -> None:
    made = await api.put("/routes/alone/service", {"host": "new.example"})
    assert made.status == 200
    assert (await api.get("/routes/alone")).json["service"] == {"id": made.json["id"]}


async def test_the_parent_cannot_be_deleted_through_the_child(api: AsgiClient) -> None:
    refused = await api.delete("/routes/a-route/service")
    assert (refused.status, refused.json) == (405, {"message": "Method not allowed"})
    assert (await api.delete("/routes/alone/service")).status == 404


@pytest.mark.parametrize(
    ("parents", "field"), [("services/a", "service"), ("routes/a-route", "route")]
)
async def test_plugins_hang_on_services_and_routes(
    api: AsgiClient, parents: str, field: str
) -> None:
    parent = (await api.get(f"/{parents}")).json
    made = await api.post(f"/{parents}/plugins", PLUGIN)
    assert made.status == 201
    assert made.json[field] == {"id": parent["id"]}
    id_ = made.json["id"]
    assert (await api.get(f"/{parents}/plugins")).json["data"] == [made.json]
    assert (await api.get(f"/{parents}/plugins/{id_}")).json == made.json
    assert (await api.get(f"/plugins/{id_}/{field}")).json == parent
    form = [("config.leeway", "3")]
    changed = await api.patch(f"/{parents}/plugins/{id_}", form=form)
    assert changed.json["config"]["leeway"] == 3
    assert (await api.delete(f"/{parents}/plugins/{id_}")).status == 204


async def test_openid_connect_hangs_on_no_consumer(api: AsgiClient) -> None:
    await api.post("/consumers", {"username": "bob"})
    refused = await api.post("/consumers/bob/plugins", PLUGIN)
    assert refused.status == 400
    assert refused.json["message"] == "schema violation (consumer: value must be null)"
    assert (await api.get("/consumers/bob/plugins")).json == {"data": [], "next": None}
