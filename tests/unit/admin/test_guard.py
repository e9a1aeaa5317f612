"""A web page must not drive the Admin API; command lines must not notice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .conftest import NODE, Surroundings

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:3000",
        "http://localhost:8001.evil.example",
        "http://[",
    ],
)
async def test_pages_of_other_sites_are_refused(
    around: Surroundings, method: str, origin: str
) -> None:
    refused = await around.client().request(
        method, "/services", headers=[("origin", origin)], form=[("host", "a")]
    )
    assert refused.status == 403
    assert "admin_gui_url" in refused.json["message"]
    assert (await around.client().get("/services")).json["data"] == []


async def test_the_admin_apis_own_pages_may_call_it(around: Surroundings) -> None:
    origin = [("origin", "http://localhost:8001")]
    made = await around.client().post("/services", {"host": "a"}, headers=origin)
    assert made.status == 201


async def test_the_consoles_pages_may_call_it(around: Surroundings) -> None:
    console = "https://console.example:8445"
    around.node = replace(NODE, admin_gui_origins=(console,))
    api = around.client()
    made = await api.post("/services", {"host": "a"}, headers=[("origin", console)])
    assert made.status == 201
    assert made.headers["access-control-allow-origin"] == console
    assert made.headers["vary"] == "Origin"
    preflight = await api.request(
        "OPTIONS",
        "/services",
        headers=[("origin", console), ("access-control-request-headers", "x-a")],
    )
    assert (preflight.status, preflight.headers["access-control-allow-headers"]) == (204, "x-a")
    refused = await api.get("/services", headers=[("origin", "https://evil.example")])
    assert refused.status == 403
    assert refused.headers["access-control-allow-origin"] == console


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8001",
        "localhost",
        "LOCALHOST.",
        "admin.localhost:8001",
        "127.0.0.1:8001",
        "[::1]:8001",
        "10.1.2.3",
        "Gateway-1:8001",
        "kong-admin.internal:80",
    ],
)
async def test_our_own_names_and_addresses_are_answered(around: Surroundings, host: str) -> None:
    around.node = replace(NODE, admin_hosts=("kong-admin.internal",))
    assert (await around.client(host).get("/services")).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:8001", "localhost.evil.example", "a b", "127.0.0.1.evil.example", ""]
)
async def test_a_rebound_name_is_refused_even_with_its_own_origin(
    around: Surroundings, host: str
) -> None:
    api = around.client(host)
    for headers in ([], [("origin", f"http://{host}")]):
        refused = await api.get("/services", headers=headers)
        assert refused.status == 403
        assert "admin_hosts" in refused.json["message"]
