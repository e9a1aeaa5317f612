"""Bodies and arguments, methods, headers: what a request may look like."""

from __future__ import annotations

import pytest

from scopegate.admin import body as body_module
from scopegate.admin.body import BODY_LIMIT_BYTES
from support.asgi_client import AsgiClient

from .conftest import ISSUER, Surroundings

FORM = ("content-type", "application/x-www-form-urlencoded")
JSON = ("content-type", "application/json")


async def test_a_form_gets_the_types_of_the_fields(api: AsgiClient) -> None:
    made = await api.post(
        "/services",
        form=[
            ("host", "a"),
            ("retries", "7"),
            ("enabled", "false"),
            ("path", ""),
            ("tags[]", "x"),
            ("tags[]", "y"),
        ],
    )
    assert made.status == 201
    assert made.json["retries"] == 7
    assert made.json["enabled"] is False
    assert made.json["path"] is None
    assert made.json["tags"] == ["x", "y"]


async def test_a_form_never_splits_at_commas(api: AsgiClient) -> None:
    made = await api.post("/routes", form=[("paths", "/a,/b"), ("methods", "GET")])
    assert made.json["paths"] == ["/a,/b"]
    assert made.json["methods"] == ["GET"]


async def test_what_a_form_cannot_convert_is_refused_by_name(api: AsgiClient) -> None:
    refused = await api.post(
        "/services", form=[("host", "a"), ("retries", "many"), ("enabled", "yes")]
    )
    assert refused.json["message"] == (
        "2 schema violations (enabled: expected a boolean; retries: expected an integer)"
    )


@pytest.mark.parametrize(
    "pairs",
    [
        [("headers.x-a", "1"), ("headers.x-a", "2")],
        [("headers[x-a]", "1"), ("headers[x-a]", "2")],
        [("headers[x-a][]", "1"), ("headers[x-a][]", "2")],
        [("headers.x-a[1]", "1"), ("headers.x-a[2]", "2")],
        [("headers.x-a[2]", "2"), ("headers.x-a[1]", "1")],
        [("headers%5Bx-a%5D", "1"), ("headers%5Bx-a%5D", "2")],
    ],
)
async def test_names_of_arguments_say_where_they_belong(
    api: AsgiClient, pairs: list[tuple[str, str]]
) -> None:
    made = await api.post("/routes", form=pairs)
    assert made.status == 201
    assert made.json["headers"] == {"x-a": ["1", "2"]}


async def test_records_in_lists_come_by_form(api: AsgiClient) -> None:
    made = await api.post(
        "/plugins",
        form=[
            ("name", "openid-connect"),
            ("config.issuer", ISSUER["issuer"]),
            ("config.upstream_headers[1].header", "X-Mail"),
            ("config.upstream_headers[1].path[1]", "email"),
            ("config[upstream_headers][2][header]", "X-Role"),
            ("config[upstream_headers][2][path]", "role"),
        ],
    )
    assert made.status == 201
    assert made.json["config"]["upstream_headers"] == [
        {"header": "X-Mail", "path": ["email"]},
        {"header": "X-Role", "path": ["role"]},
    ]


async def test_a_plugins_form_patch_needs_no_name(api: AsgiClient) -> None:
    body = {"name": "openid-connect", "instance_name": "i", "config": ISSUER}
    await api.post("/plugins", body)
    changed = await api.patch("/plugins/i", form=[("config.scopes", "a"), ("enabled", "false")])
    assert changed.status == 200
    assert changed.json["config"]["scopes"] == ["a"]
    assert changed.json["enabled"] is False


async def test_multipart_is_a_form_too(api: AsgiClient) -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="host"\r\n\r\na\r\n'
        b'--b\r\nContent-Disposition: form-data; name="retries"\r\n\r\n3\r\n'
        b'--b\r\nContent-Disposition: form-data; name="name"; filename="f"\r\n\r\nn\r\n--b--\r\n'
    )
    headers = [("content-type", "multipart/form-data; boundary=b")]
    made = await api.post("/services", body=body, headers=headers)
    assert made.status == 201
    assert (made.json["host"], made.json["retries"], made.json["name"]) == ("a", 3, "n")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=b", b"no parts at all"),
        ("multipart/form-data", b"--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\na\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
        ),
    ],
)
async def test_a_broken_multipart_body_is_the_clients_fault(
    api: AsgiClient, content_type: str, body: bytes
) -> None:
    refused = await api.post("/services", body=body, headers=[("content-type", content_type)])
    assert refused.status == 400
    assert refused.json["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b'{"retries": NaN}',
        b'{"retries": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b'{"retries": ' + b"9" * 5000 + b"}",
    ],
)
async def test_json_that_is_no_object_is_refused(api: AsgiClient, body: bytes) -> None:
    refused = await api.post("/services", body=body, headers=[JSON])
    assert (refused.status, refused.json) == (400, {"message": "Cannot parse JSON body"})


async def test_a_surrogate_pair_is_a_character(api: AsgiClient) -> None:
    body = b'{"username": "\\ud83d\\ude00"}'
    made = await api.post("/consumers", body=body, headers=[JSON])
    assert made.json["username"] == "\N{GRINNING FACE}"


async def test_json_is_never_inferred(api: AsgiClient) -> None:
    refused = await api.post("/routes", {"paths": "/x", "regex_priority": "1"})
    assert refused.json["fields"] == {
        "paths": "expected an array",
        "regex_priority": "expected an integer",
    }


@pytest.mark.parametrize("types", [["text/plain"], []])
async def test_a_body_of_another_type_is_415_without_a_body(
    api: AsgiClient, types: list[str]
) -> None:
    headers = [("content-type", type_) for type_ in types]
    refused = await api.post("/services", body=b"host=a", headers=headers)
    assert (refused.status, refused.body) == (415, b"")


async def test_no_body_and_no_type_is_allowed(api: AsgiClient) -> None:
    refused = await api.post("/services")
    assert refused.json["message"] == "schema violation (host: required field missing)"


async def test_two_content_types_are_refused(api: AsgiClient) -> None:
    refused = await api.post("/services", body=b"host=a", headers=[FORM, JSON])
    assert (refused.status, refused.json) == (
        400,
        {"message": "Multiple Content-Type headers not allowed"},
    )


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_limit_is_413(api: AsgiClient, announced: bool) -> None:
    headers = [JSON] if announced else [JSON, ("content-length", "0")]
    refused = await api.post("/services", body=b" " * (BODY_LIMIT_BYTES + 1), headers=headers)
    assert refused.status == 413
    assert refused.headers["connection"] == "close"
    assert str(BODY_LIMIT_BYTES) in refused.json["message"]


async def test_a_body_that_does_not_arrive_is_408(
    api: AsgiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_module, "BODY_LIMIT_S", 0.01)
    refused = await api.post("/services", body=b"{", headers=[JSON], stalls=True)
    assert (refused.status, refused.headers["connection"]) == (408, "close")
    assert refused.json == {"message": "the body did not arrive within 0.01 seconds"}


async def test_a_thousand_arguments_are_allowed_and_no_more(api: AsgiClient) -> None:
    pairs = [("host", "a"), *[("tags", f"t{number}") for number in range(999)]]
    assert (await api.post("/services", form=pairs)).status == 201
    refused = await api.post("/services", form=[*pairs, ("name", "x")])
    assert (refused.status, refused.json) == (400, {"message": "Too many arguments"})
    query = "&".join(["a=1"] * 1001)
    assert (await api.get(f"/services?{query}")).json == {"message": "Too many arguments"}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("tags", "a"), ("tags.b", "c")], "argument 'tags' has both a value and parts"),
        ([("a" + ".b" * 40, "c")], "an argument's name has too many steps"),
        ([("a" + "[b]" * 400, "c")], "an argument's name is longer than 1024 characters"),
    ],
)
async def test_arguments_that_fit_nowhere_are_refused(
    api: AsgiClient, pairs: list[tuple[str, str]], message: str
) -> None:
    refused = await api.post("/services", form=pairs)
    assert (refused.status, refused.json) == (400, {"message": message})


async def test_arguments_that_are_no_utf8_are_refused(api: AsgiClient) -> None:
    for body in (b"name=%ff", b"name=\xff"):
        refused = await api.post("/services", body=body, headers=[FORM])
        assert (refused.status, refused.json) == (400, {"message": "arguments must be UTF-8"})


@pytest.mark.parametrize("segment", ["%ff", "caf%E9", "%ED%A0%80"])
async def test_a_path_that_is_no_utf8_is_refused(api: AsgiClient, segment: str) -> None:
    for method in ("GET", "PUT"):
        refused = await api.request(method, f"/consumers/{segment}", json_body={})
        assert (refused.status, refused.json) == (400, {"message": "the path must be UTF-8"})


async def test_a_list_with_holes_is_no_list(api: AsgiClient) -> None:
    refused = await api.post("/routes", form=[("paths[1]", "/a"), ("paths[3]", "/b")])
    assert refused.json["message"] == "schema violation (paths: expected an array)"


async def test_a_body_on_get_is_ignored(api: AsgiClient) -> None:
    assert (await api.get("/services", body=b"{", headers=[JSON])).status == 200


async def test_every_answer_carries_kongs_headers(api: AsgiClient) -> None:
    for answer in (await api.get("/services"), await api.get("/nope"), await api.post("/services")):
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["server"] == "scopegate/0.1.0"
        assert answer.headers["x-kong-admin-latency"].isdigit()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["cache-control"] == "no-store"


async def test_head_is_get_without_its_body(api: AsgiClient) -> None:
    get, head = await api.get("/services"), await api.request("HEAD", "/services")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"] == str(len(get.body))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/services", "GET, HEAD, OPTIONS, POST"),
        ("/services/a", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/schemas/plugins/validate", "OPTIONS, POST"),
    ],
)
async def test_options_says_what_is_allowed(api: AsgiClient, path: str, allowed: str) -> None:
    answer = await api.request("OPTIONS", path)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == allowed
    assert answer.headers["access-control-allow-methods"] == allowed
    assert answer.headers["access-control-allow-headers"] == "Content-Type"


async def test_a_method_that_a_path_does_not_know_is_405(api: AsgiClient) -> None:
    for method, path in (("POST", "/"), ("DELETE", "/services"), ("POST", "/services/a")):
        refused = await api.request(method, path)
        assert (refused.status, refused.json) == (405, {"message": "Method not allowed"})
        assert method not in refused.headers["allow"].split(", ")


async def test_a_target_that_is_no_path_is_answered_like_any_other(api: AsgiClient) -> None:
    answer = await api.request("OPTIONS", "*")
    assert (answer.status, answer.json) == (404, {"message": "Not found"})
    assert answer.headers["server"] == "scopegate/0.1.0"


async def test_a_trailing_slash_is_tolerated(api: AsgiClient) -> None:
    assert (await api.post("/services/", {"name": "a", "host": "a"})).status == 201
    assert (await api.get("/services/a/")).status == 200
    assert (await api.get("/services//a")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/upstreams",
        "/upstreams/x/targets",
        "/certificates",
        "/key-auths",
        "/consumers/x/key-auth",
        "/services/x/client_certificate",
        "/consumer_groups",
        "/openid-connect/issuers",
        "/workspaces/default",
        "/schemas/vaults/env",
        "/status/dns",
    ],
)
async def test_what_is_not_built_yet_says_so(api: AsgiClient, path: str) -> None:
    refused = await api.get(path)
    assert refused.status == 404
    assert refused.json["message"].endswith("is not built yet")


async def test_what_nobody_has_is_plainly_not_found(api: AsgiClient) -> None:
    for path in ("/nope", "/services/a/nope", "/services/a/routes/b/plugins"):
        assert (await api.get(path)).json == {"message": "Not found"}


@pytest.mark.parametrize("state", ["live", "pending", "rejected"])
async def test_a_write_says_what_became_of_it(
    api: AsgiClient, around: Surroundings, state: str
) -> None:
    around.state = state
    made = await api.post("/services", {"name": "a", "host": "a"})
    assert (made.status, made.headers["x-scopegate-config"]) == (201, state)
    assert around.published == 1
    assert "x-scopegate-config" not in (await api.get("/services/a")).headers


async def test_what_the_proxy_says_is_one_header_of_plain_text(
    api: AsgiClient, around: Surroundings
) -> None:
    around.state, around.detail = "rejected", "no: \\p{Ü}\r\nSet-Cookie: a=b (in route x)"
    made = await api.post("/services", {"name": "a", "host": "a"})
    said = made.headers["x-scopegate-config-detail"]
    assert said == r"no: \p{\xdc}  Set-Cookie: a=b (in route x)"
    around.detail = None
    again = await api.patch("/services/a", {"host": "b"})
    assert "x-scopegate-config-detail" not in again.headers


async def test_what_was_refused_is_not_published(api: AsgiClient, around: Surroundings) -> None:
    await api.post("/services", {})
    await api.patch("/services/x", {"host": "a"})
    assert around.published == 0


async def test_a_committed_write_is_answered_although_publishing_failed(
    api: AsgiClient, around: Surroundings
) -> None:
    around.publish_error = RuntimeError("s3cret")
    made = await api.post("/services", {"name": "a", "host": "a"})
    assert (made.status, made.headers["x-scopegate-config"]) == (201, "pending")
    assert (await api.get("/services/a")).status == 200


async def test_a_database_that_does_not_answer_is_503(
    api: AsgiClient, around: Surroundings
) -> None:
    await around.store.close()
    for method in ("GET", "POST"):
        refused = await api.request(method, "/services", json_body={"host": "a"})
        assert (refused.status, refused.json) == (503, {"message": "the database does not answer"})
    assert (await api.get("/status")).json["database"] == {"reachable": False}


async def test_an_unexpected_error_tells_nobody_what_it_said(
    api: AsgiClient,
    around: Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> object:
        raise RuntimeError("the password is s3cret")

    monkeypatch.setattr(around.store, "write", fail)
    refused = await api.post("/services", {"host": "a"})
    assert (refused.status, refused.json) == (500, {"message": "An unexpected error occurred"})
    logged = "".join(capsys.readouterr())
    assert "RuntimeError" in logged and "test_requests.py" in logged
    assert "s3cret" not in logged


async def test_a_failed_write_leaves_nothing_behind(api: AsgiClient) -> None:
    await api.post("/routes", {"name": "alone", "paths": ["/x"]})
    refused = await api.put("/routes/alone/service", {"host": "not a host"})
    assert refused.status == 400
    assert (await api.get("/routes/alone")).json["service"] is None
    assert (await api.get("/services")).json["data"] == []
