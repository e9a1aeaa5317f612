"""What the gateway tells of itself."""

from __future__ import annotations

import pytest

from scopegate.entities.finding import Finding
from support.asgi_client import AsgiClient

from .conftest import ISSUER, Surroundings

PLUGIN = {"name": "openid-connect", "config": ISSUER}


async def test_the_root_tells_kongs_clients_what_they_look_for(api: AsgiClient) -> None:
    root = (await api.get("/")).json
    assert root["version"] == "3.11.0.0"
    assert root["scopegate_version"] == "0.1.0"
    assert root["hostname"] == "gateway-1"
    assert root["pids"] == {"master": 7}
    assert root["plugins"] == {
        "available_on_server": {"openid-connect": {"version": "3.15.0", "priority": 1050}},
        "enabled_in_cluster": [],
    }
    configuration = root["configuration"]
    assert configuration["database"] == "postgres"
    assert configuration["router_flavor"] == "traditional_compatible"
    assert configuration["rbac"] == "off"
    assert configuration["portal"] is False
    assert configuration["wasm"] is False
    assert configuration["proxy_listeners"][0]["ssl"] is False
    assert configuration["log_level"] == "info"


async def test_the_root_names_the_plugins_in_use(api: AsgiClient) -> None:
    await api.post("/plugins", PLUGIN)
    assert (await api.get("/")).json["plugins"]["enabled_in_cluster"] == ["openid-connect"]


async def test_status_tells_of_database_and_proxy(api: AsgiClient, around: Surroundings) -> None:
    status = (await api.get("/status")).json
    assert status["database"] == {"reachable": True}
    assert status["server"] == {
        "connections_active": 1,
        "connections_accepted": 2,
        "connections_handled": 3,
        "total_requests": 4,
    }
    around.counted = None
    assert "server" not in (await api.get("/status")).json


@pytest.mark.parametrize("kind", ["services", "routes", "consumers", "plugins"])
async def test_schemas_come_in_kongs_shape(api: AsgiClient, kind: str) -> None:
    schema = (await api.get(f"/schemas/{kind}")).json
    names = [name for field in schema["fields"] for name in field]
    assert len(names) == len(schema["fields"])
    assert {"id", "created_at", "updated_at", "tags"} <= set(names)
    assert isinstance(schema["entity_checks"], list)


async def test_a_plugins_schema_has_protocols_and_config(api: AsgiClient) -> None:
    schema = (await api.get("/schemas/plugins/openid-connect")).json
    fields = {name: field for entry in schema["fields"] for name, field in entry.items()}
    assert fields["protocols"]["default"] == ["grpc", "grpcs", "http", "https"]
    assert fields["consumer"]["eq"] is None
    config = fields["config"]
    assert config["type"] == "record"
    assert len(config["fields"]) == 234
    shorthands = {name: s for entry in config["shorthand_fields"] for name, s in entry.items()}
    assert shorthands["consumer_claim"]["deprecation"]["replaced_with"] == [
        {"path": ["consumer_claims"]}
    ]
    deprecated = (await api.get("/plugins/schema/openid-connect")).json
    assert deprecated["fields"] == config["fields"]


async def test_schemas_of_what_is_not_there_are_404(api: AsgiClient) -> None:
    assert (await api.get("/schemas/nope")).json == {"message": "No entity named 'nope'"}
    unbuilt = await api.get("/schemas/upstreams")
    assert (unbuilt.status, unbuilt.json) == (
        404,
        {"message": "No entity named 'upstreams' (it is not built yet)"},
    )
    for path in ("/schemas/plugins/nope", "/plugins/schema/nope"):
        assert (await api.get(path)).json == {"message": "No plugin named 'nope'"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("services", {"host": "a"}),
        ("routes", {"paths": ["/a"], "service": {"id": "11111111-1111-4111-8111-111111111111"}}),
        ("consumers", {"username": "a"}),
        ("plugins", PLUGIN),
    ],
)
async def test_validate_says_yes_and_writes_nothing(
    api: AsgiClient, around: Surroundings, kind: str, body: dict[str, object]
) -> None:
    answer = await api.post(f"/schemas/{kind}/validate", body)
    assert (answer.status, answer.json) == (200, {"message": "schema validation successful"})
    assert (await api.get(f"/{kind}")).json["data"] == []
    assert around.published == 0


async def test_validate_says_no_as_a_write_would(api: AsgiClient) -> None:
    body = {"name": "openid-connect", "config": {**ISSUER, "garbage": 1}}
    validated = await api.post("/schemas/plugins/validate", body)
    written = await api.post("/plugins", body)
    assert validated.status == written.status == 400
    assert validated.json == written.json
    assert written.json["message"] == "schema violation (config.garbage: unknown field)"
    by_form = await api.post("/schemas/services/validate", form=[("retries", "x")])
    assert by_form.json["message"] == (
        "2 schema violations (host: required field missing; retries: expected an integer)"
    )
    assert (await api.post("/schemas/nope/validate", {})).status == 404


async def test_plugins_enabled_lists_what_is_built(api: AsgiClient) -> None:
    assert (await api.get("/plugins/enabled")).json == {"enabled_plugins": ["openid-connect"]}


async def test_config_is_refused_beside_a_database(api: AsgiClient) -> None:
    for method in ("GET", "POST"):
        assert (await api.request(method, "/config")).status == 400


async def test_endpoints_are_listed_segment_by_segment(api: AsgiClient) -> None:
    paths = (await api.get("/endpoints")).json["data"]
    assert paths.index("/plugins/{plugins}") < paths.index("/plugins/{plugins}/route")
    assert "/services/{services}/routes/{routes}" in paths
    assert "/services/{services}/client_certificate" not in paths
    assert len(paths) == len(set(paths))


async def test_findings_are_shown_as_they_are_now(api: AsgiClient, around: Surroundings) -> None:
    assert (await api.get("/scopegate/findings")).json == {"data": []}
    around.found.append(Finding("warning", "insecure", "look at it", kind="plugins", id="p"))
    assert (await api.get("/scopegate/findings")).json == {
        "data": [
            {
                "level": "warning",
                "code": "insecure",
                "message": "look at it",
                "kind": "plugins",
                "id": "p",
            }
        ]
    }
