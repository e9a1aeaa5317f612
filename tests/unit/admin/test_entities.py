"""POST, GET, PATCH, PUT and DELETE over every kind of entity."""

from __future__ import annotations

import pytest

from support.asgi_client import AsgiClient

from .conftest import ISSUER, Surroundings

UNKNOWN_ID = "11111111-1111-4111-8111-111111111111"
NEW_ID = "22222222-2222-4222-8222-222222222222"

BODIES = {
    "services": {"name": "a", "host": "a.example"},
    "routes": {"name": "a", "paths": ["/a"]},
    "consumers": {"username": "a"},
    "plugins": {"name": "openid-connect", "instance_name": "a", "config": ISSUER},
}
KINDS = list(BODIES)
NAMES = {"services": "name", "routes": "name", "consumers": "username", "plugins": "instance_name"}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_posted_is_read_by_id_and_by_name(api: AsgiClient, kind: str) -> None:
    made = await api.post(f"/{kind}", BODIES[kind])
    assert made.status == 201
    assert (await api.get(f"/{kind}/{made.json['id']}")).json == made.json
    assert (await api.get(f"/{kind}/{made.json['id'].upper()}")).json == made.json
    assert (await api.get(f"/{kind}/a")).json == made.json
    assert (await api.get(f"/{kind}")).json == {"data": [made.json], "next": None}
    assert made.json["created_at"] == made.json["updated_at"] == 1_700_000_000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_put_of_what_was_read_changes_only_updated_at(
    api: AsgiClient, around: Surroundings, kind: str
) -> None:
    made = (await api.post(f"/{kind}", BODIES[kind])).json
    around.now_s += 60
    for key in (made["id"], "a"):
        put = await api.put(f"/{kind}/{key}", made)
        assert put.status == 200
        assert put.json == {**made, "updated_at": 1_700_000_060}


@pytest.mark.parametrize("kind", KINDS)
async def test_put_inserts_under_the_id_of_the_path(api: AsgiClient, kind: str) -> None:
    put = await api.put(f"/{kind}/{NEW_ID}", BODIES[kind])
    assert put.status == 200
    assert put.json["id"] == NEW_ID
    assert (await api.get(f"/{kind}/{NEW_ID}")).json == put.json


@pytest.mark.parametrize("kind", KINDS)
async def test_put_inserts_under_the_name_of_the_path(api: AsgiClient, kind: str) -> None:
    body = {name: value for name, value in BODIES[kind].items() if name != NAMES[kind]}
    put = await api.put(f"/{kind}/fresh", body)
    assert put.status == 200
    assert put.json[NAMES[kind]] == "fresh"


async def test_put_takes_what_is_left_out_back_to_its_default(
    api: AsgiClient, around: Surroundings
) -> None:
    made = (
        await api.post("/services", {"name": "a", "host": "a", "retries": 9, "tags": ["t"]})
    ).json
    around.now_s += 5
    put = (await api.put(f"/services/{made['id']}", {"host": "b"})).json
    assert (put["retries"], put["tags"], put["name"], put["host"]) == (5, None, None, "b")
    assert (put["created_at"], put["updated_at"]) == (1_700_000_000, 1_700_000_005)


async def test_put_takes_a_created_at_that_is_sent(api: AsgiClient) -> None:
    put = await api.put(f"/services/{NEW_ID}", {"host": "b", "created_at": 1234})
    assert put.json["created_at"] == 1234


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (f"/services/{NEW_ID}", {"host": "a", "id": UNKNOWN_ID}, f"id: value must be {NEW_ID}"),
        ("/services/b", {"host": "a", "name": "c"}, "name: value must be b"),
    ],
)
async def test_put_refuses_a_body_that_contradicts_its_path(
    api: AsgiClient, path: str, body: dict[str, str], message: str
) -> None:
    refused = await api.put(path, body)
    assert refused.status == 400
    assert refused.json["message"] == f"schema violation ({message})"


@pytest.mark.parametrize("kind", KINDS)
async def test_patch_changes_what_was_sent_and_the_time(
    api: AsgiClient, around: Surroundings, kind: str
) -> None:
    made = (await api.post(f"/{kind}", BODIES[kind])).json
    around.now_s += 60
    changed = await api.patch(f"/{kind}/a", {"tags": ["x", "y", "x"]})
    assert changed.status == 200
    assert changed.json == {**made, "tags": ["x", "y"], "updated_at": 1_700_000_060}
    assert (await api.get(f"/{kind}/a")).json == changed.json
    cleared = await api.patch(f"/{kind}/a", {"tags": None})
    assert cleared.json["tags"] is None


async def test_patch_merges_a_plugins_config_and_replaces_lists(api: AsgiClient) -> None:
    config = {**ISSUER, "scopes": ["openid", "email"], "client_id": ["a"]}
    made = (await api.post("/plugins", {"name": "openid-connect", "config": config})).json
    patch = {"config": {"scopes": ["profile"], "leeway": 5}}
    changed = (await api.patch(f"/plugins/{made['id']}", patch)).json
    assert changed["config"] == {**made["config"], "scopes": ["profile"], "leeway": 5}


async def test_patch_never_loses_id_or_creation_time(api: AsgiClient) -> None:
    made = (await api.post("/services", {"host": "a"})).json
    changed = await api.patch(f"/services/{made['id']}", {"id": None, "created_at": None})
    assert changed.json == made


async def test_patch_checks_the_whole_document(api: AsgiClient) -> None:
    await api.post("/routes", BODIES["routes"])
    refused = await api.patch("/routes/a", {"paths": None})
    assert refused.status == 400
    assert refused.json["fields"] == {
        "@entity": [
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' "
            "when 'protocols' is 'https'"
        ]
    }
    await api.post("/consumers", BODIES["consumers"])
    refused = await api.patch("/consumers/a", {"username": None})
    assert refused.json["message"] == (
        "schema violation (when updating, at least one of these fields must be non-empty: "
        "'custom_id', 'username')"
    )


async def test_patch_of_what_is_not_there_says_so(api: AsgiClient) -> None:
    by_id = await api.patch(f"/services/{UNKNOWN_ID}", {"host": "a"})
    assert by_id.status == 404
    assert by_id.json == {
        "code": 6,
        "name": "not found",
        "message": f"could not find the entity with primary key '{{id=\"{UNKNOWN_ID}\"}}'",
        "fields": {"id": UNKNOWN_ID},
    }
    by_name = await api.patch("/services/x", {"host": "a"})
    assert by_name.json["message"] == "could not find the entity with '{name=\"x\"}'"


@pytest.mark.parametrize("kind", KINDS)
async def test_delete_is_204_whether_it_was_there_or_not(
    api: AsgiClient, around: Surroundings, kind: str
) -> None:
    await api.post(f"/{kind}", BODIES[kind])
    published = around.published
    gone = await api.delete(f"/{kind}/a")
    assert (gone.status, gone.body) == (204, b"")
    assert around.published == published + 1
    assert (await api.get(f"/{kind}/a")).status == 404
    for key in ("a", UNKNOWN_ID):
        again = await api.delete(f"/{kind}/{key}")
        assert again.status == 204
        assert "x-scopegate-config" not in again.headers
    assert around.published == published + 1


@pytest.mark.parametrize("kind", KINDS)
async def test_get_of_what_is_not_there_is_404(api: AsgiClient, kind: str) -> None:
    for key in ("nobody", UNKNOWN_ID):
        missing = await api.get(f"/{kind}/{key}")
        assert (missing.status, missing.json) == (404, {"message": "Not found"})


async def test_names_and_tags_beyond_ascii_and_odd_user_names_are_found(api: AsgiClient) -> None:
    await api.post("/services", {"name": "dienst-ü", "host": "a"})
    assert (await api.get("/services/dienst-%C3%BC")).status == 200
    made = await api.post("/consumers", {"username": "a/b c@d"})
    assert (await api.get("/consumers/a%2Fb%20c%40d")).json == made.json


async def test_a_path_segment_that_cannot_be_a_name_is_refused(api: AsgiClient) -> None:
    refused = await api.get("/services/a%20b")
    assert refused.status == 400
    assert refused.json == {
        "code": 10,
        "name": "invalid unique name",
        "message": "invalid value 'a b': the only accepted ascii characters are alphanumerics "
        "or ., -, _, and ~",
    }


async def test_what_the_store_refuses_has_kongs_words(api: AsgiClient) -> None:
    service = (await api.post("/services", BODIES["services"])).json
    await api.post("/services/a/routes", BODIES["routes"])

    taken = await api.post("/services", BODIES["services"])
    assert taken.status == 409
    assert taken.json == {
        "code": 5,
        "name": "unique constraint violation",
        "message": "UNIQUE violation detected on '{name=\"a\"}'",
        "fields": {"name": "a"},
    }
    twice = await api.post("/services", {"id": service["id"], "host": "b"})
    assert (twice.status, twice.json["code"]) == (400, 3)
    assert twice.json["message"] == f"primary key violation on key '{{id=\"{service['id']}\"}}'"

    dangling = await api.post("/routes", {"paths": ["/x"], "service": {"id": UNKNOWN_ID}})
    assert (dangling.status, dangling.json["code"]) == (400, 4)
    assert dangling.json["message"] == (
        f"the foreign key '{{id=\"{UNKNOWN_ID}\"}}' does not reference an existing "
        "'services' entity."
    )
    assert dangling.json["fields"] == {"service": {"id": UNKNOWN_ID}}

    held = await api.delete("/services/a")
    assert held.status == 400
    assert held.json == {
        "code": 4,
        "name": "foreign key violation",
        "message": "an existing 'routes' entity references this 'services' entity",
        "fields": {"@referenced_by": "routes"},
    }


async def test_a_plugin_is_unique_over_name_service_route_and_consumer(api: AsgiClient) -> None:
    service = (await api.post("/services", BODIES["services"])).json
    body = {"name": "openid-connect", "config": ISSUER}
    assert (await api.post("/plugins", body)).status == 201
    assert (await api.post("/services/a/plugins", body)).status == 201
    taken = await api.post("/services/a/plugins", body)
    assert taken.status == 409
    assert taken.json["message"] == (
        'UNIQUE violation detected on \'{consumer=null,name="openid-connect",route=null,'
        f'service={{id="{service["id"]}"}}}}\''
    )


async def test_foreign_keys_are_found_by_name(api: AsgiClient) -> None:
    service = (await api.post("/services", BODIES["services"])).json
    route = await api.post("/routes", {"paths": ["/x"], "service": {"name": "a"}})
    assert route.json["service"] == {"id": service["id"]}
    by_form = await api.post("/routes", form=[("paths", "/y"), ("service.name", "a")])
    assert by_form.json["service"] == {"id": service["id"]}

    unknown = await api.post("/routes", {"paths": ["/x"], "service": {"name": "b"}})
    text = (
        "the foreign key cannot be resolved with '{name=\"b\"}' for an existing 'services' entity"
    )
    assert unknown.status == 400
    assert unknown.json == {
        "code": 13,
        "name": "foreign keys unresolved",
        "message": f"foreign key unresolved (service.name: {text})",
        "fields": {"service": {"name": text}},
    }


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ("a", "service.id: missing primary key"),
        ({}, "service.id: missing primary key"),
        ({"id": "a"}, "service.id: expected a valid UUID"),
        ({"id": 5}, "service.id: expected a string"),
        ({"id": None}, "service.id: required field missing"),
    ],
)
async def test_a_foreign_key_in_another_form_is_refused(
    api: AsgiClient, service: object, message: str
) -> None:
    refused = await api.post("/routes", {"paths": ["/x"], "service": service})
    assert (refused.status, refused.json["message"]) == (400, f"schema violation ({message})")


async def test_a_plugin_must_share_a_protocol_with_its_route_or_service(api: AsgiClient) -> None:
    await api.post("/services", BODIES["services"])
    body = {"name": "openid-connect", "config": ISSUER, "protocols": ["grpc"]}
    assert (await api.post("/services/a/plugins", body)).status == 201  # no routes yet
    await api.delete("/services/a")
    await api.post("/services", BODIES["services"])
    await api.post("/services/a/routes", BODIES["routes"])

    refused = await api.post("/services/a/plugins", body)
    assert refused.json["message"] == (
        "schema violation (protocols: must match the protocols of at least one route pointing to "
        "this Plugin's service)"
    )
    refused = await api.post("/routes/a/plugins", body)
    assert refused.json["message"] == (
        "schema violation (protocols: must match the associated route's protocols)"
    )


async def test_a_route_does_not_lose_its_plugin_to_a_change_of_its_protocols(
    api: AsgiClient,
) -> None:
    await api.post("/routes", BODIES["routes"])
    body = {"name": "openid-connect", "config": ISSUER, "protocols": ["http"]}
    assert (await api.post("/routes/a/plugins", body)).status == 201
    assert (await api.patch("/routes/a", {"protocols": ["http"]})).status == 200
    for method, sent in (
        ("PATCH", {"protocols": ["https"]}),
        ("PUT", {**BODIES["routes"], "protocols": ["https"]}),
    ):
        refused = await api.request(method, "/routes/a", json_body=sent)
        assert (refused.status, refused.json["message"]) == (
            400,
            "schema violation (protocols: must share a protocol with the plugin 'openid-connect' "
            "of this route, which is for http)",
        )
    assert (await api.get("/routes/a")).json["protocols"] == ["http"]


async def test_deleting_a_parent_takes_its_plugins_along(api: AsgiClient) -> None:
    await api.post("/services", BODIES["services"])
    plugin = (await api.post("/services/a/plugins", BODIES["plugins"])).json
    assert (await api.delete("/services/a")).status == 204
    assert (await api.get(f"/plugins/{plugin['id']}")).status == 404
