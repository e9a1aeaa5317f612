"""The configuration of openid-connect against the contract, and what of it works now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scopegate.entities.fields import Field
from scopegate.entities.filling import Makings, default_of
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.violations import SchemaViolation
from scopegate.plugins.openid_connect.config import CONFIG, FIELDS, unbuilt_methods
from scopegate.plugins.openid_connect.config_fields.client_fields import AUTH_METHODS
from scopegate.plugins.openid_connect.reference import PAGE, reference_page
from scopegate.plugins.registry import OPENID_CONNECT, PLUGIN_TYPES
from support.contract import OPENID_CONNECT_FIELDS

CONTRACT: dict[str, dict[str, Any]] = json.loads(OPENID_CONNECT_FIELDS.read_text())
SCHEMA = entity_schemas(PLUGIN_TYPES)["plugins"]
MAKINGS = Makings(1000, lambda: "00000000-0000-4000-8000-000000000001", lambda: "r" * 32)
ISSUER = "https://idp.example/realms/kong"


def configured(**config: Any) -> dict[str, Any]:
    """The stored config. Raises SchemaViolation."""
    sent = {"name": "openid-connect", "config": {"issuer": ISSUER, **config}}
    document = SCHEMA.draft_new(sent, MAKINGS)
    SCHEMA.check(document)
    stored: dict[str, Any] = document["config"]
    return stored


def shown(**config: Any) -> dict[str, Any]:
    """The config as GET shows it."""
    document = {"name": "openid-connect", "config": configured(**config)}
    answered: dict[str, Any] = SCHEMA.show(document)["config"]
    return answered


def fault(**config: Any) -> str:
    """The one thing that is wrong, without `config.`."""
    with pytest.raises(SchemaViolation) as caught:
        configured(**config)
    message = caught.value.message
    assert message.startswith("schema violation (config."), message
    return message[len("schema violation (config.") : -1]


def test_every_field_of_the_contract_is_known_and_no_other() -> None:
    assert set(FIELDS) == set(CONTRACT)
    assert len(FIELDS) == 234


@pytest.mark.parametrize("name", CONTRACT)
def test_a_field_is_what_the_contract_says(name: str) -> None:
    _assert_same(name, FIELDS[name], CONTRACT[name])


def _assert_same(name: str, field: Field, told: dict[str, Any]) -> None:
    assert field.type == {"object": "record"}.get(told["type"], told["type"]), name
    default = told.get("default")
    if isinstance(default, list):  # the contract's lists are sorted, Kong's are not
        assert sorted(field.default) == sorted(default), name
    else:
        assert field.default == default, name
    assert sorted(field.one_of) == sorted(told.get("enum", [])), name
    assert field.encrypted == told.get("encrypted", False), name
    assert field.referenceable == told.get("referenceable", False), name
    if "minimum" in told:
        assert field.between == (told["minimum"], told["maximum"]), name
    if "items" in told:
        assert field.elements is not None
        _assert_same(f"{name}[]", field.elements, told["items"])
    properties = told.get("properties", {})
    assert set(field.fields) == set(properties), name
    for part, told_part in properties.items():
        _assert_same(f"{name}.{part}", field.fields[part], told_part)
    assert all(field.fields[part].required for part in told.get("required", ())), name


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("auth_methods", list(AUTH_METHODS)),
        ("bearer_token_param_type", ["header", "query", "body"]),
        ("refresh_token_param_type", ["header", "query", "body"]),
        ("consumer_by", ["username", "custom_id"]),
        ("logout_methods", ["POST", "DELETE"]),
    ],
)
def test_lists_have_kongs_order(name: str, default: list[str]) -> None:
    assert configured()[name] == default


def test_auth_methods_stand_in_the_contracts_order() -> None:
    assert AUTH_METHODS == (
        "password",
        "client_credentials",
        "authorization_code",
        "bearer",
        "introspection",
        "userinfo",
        "kong_oauth2",
        "refresh_token",
        "session",
    )


def test_every_field_has_a_meaning() -> None:
    assert [name for name, field in FIELDS.items() if not field.description] == []


def test_only_the_issuer_must_be_given() -> None:
    config = configured()
    assert set(config) == set(FIELDS)
    assert config["redis"]["host"] == "127.0.0.1"
    assert config["redis"]["prefix"] is None
    assert "prefix" not in config["cluster_cache_redis"]
    assert config["principals"]["enabled"] is False
    assert config["token_exchange"] is None


def test_a_salt_is_made_unless_it_is_sent_even_as_null() -> None:
    assert configured()["cache_tokens_salt"] == "r" * 32
    assert configured(cache_tokens_salt="s")["cache_tokens_salt"] == "s"
    assert configured(cache_tokens_salt=None)["cache_tokens_salt"] is None


def test_null_is_no_answer_to_a_question_with_a_default() -> None:
    for name in ("verify_signature", "ssl_verify", "session_rolling_timeout", "auth_methods"):
        assert fault(**{name: None}) == f"{name}: required field missing"
    for name in ("upstream_access_token_header", "login_tokens"):
        assert configured(**{name: None})[name] is None


# What does not work yet ------------------------------------------------------------------------


def _other_value(field: Field) -> Any:
    """A value of the right type that is not the default."""
    match field.type:
        case "boolean":
            return not field.default
        case "integer" | "number":
            return (field.default or 0) + 1
        case "array":
            assert field.elements is not None
            other = [_other_value(field.elements)]
            return [] if other == field.default else other
        case "record":
            name, part = next(iter(field.fields.items()))
            return {name: _other_value(part)}
    return next((option for option in field.one_of if option != field.default), "other")


UNBUILT = [name for name, field in FIELDS.items() if not field.supported]


@pytest.mark.parametrize("name", UNBUILT)
def test_an_unbuilt_field_takes_only_its_default(name: str) -> None:
    assert configured(**{name: default_of(FIELDS[name])})[name] == default_of(FIELDS[name])
    assert fault(**{name: _other_value(FIELDS[name])}).startswith(f"{name}")
    assert "not supported yet" in fault(**{name: _other_value(FIELDS[name])})


BUILT = """
    issuer client_id client_secret client_auth client_arg token_endpoint_auth_method
    auth_methods bearer_token_param_type bearer_token_header_name bearer_token_cookie_name
    refresh_token_param_name refresh_token_param_type hide_credentials run_on_preflight
    anonymous redirect_uri scopes audience response_type response_mode
    authorization_query_args_names authorization_query_args_values
    authorization_query_args_client require_proof_key_for_code_exchange preserve_query_args
    max_age authorization_cookie_name authorization_cookie_path authorization_cookie_domain
    authorization_cookie_http_only authorization_cookie_secure authorization_cookie_same_site
    authorization_rolling_timeout login_methods login_action login_tokens login_redirect_mode
    login_redirect_uri unauthorized_redirect_uri unauthorized_error_message
    unauthorized_destroy_session forbidden_redirect_uri forbidden_error_message
    forbidden_destroy_session unexpected_redirect_uri display_errors expose_error_code
    logout_methods logout_query_arg logout_post_arg logout_uri_suffix logout_redirect_uri
    verify_signature verify_claims verify_nonce ignore_signature leeway domains
    jwt_session_cookie jwt_session_claim reverify refresh_tokens scopes_required scopes_claim
    audience_required audience_claim groups_required groups_claim roles_required roles_claim
    claims_forbidden authenticated_groups_claim consumer_claims consumer_by consumer_optional
    by_username_ignore_case credential_claim upstream_headers upstream_headers_claims
    upstream_headers_names upstream_access_token_header upstream_access_token_jwk_header
    upstream_id_token_header upstream_id_token_jwk_header upstream_refresh_token_header
    upstream_session_id_header downstream_headers downstream_headers_claims
    downstream_headers_names downstream_access_token_header downstream_access_token_jwk_header
    downstream_id_token_header downstream_id_token_jwk_header downstream_refresh_token_header
    downstream_session_id_header disable_session session_secret session_storage
    session_bind session_cookie_name session_cookie_path
    session_cookie_domain session_cookie_http_only session_cookie_secure
    session_cookie_same_site session_idling_timeout session_rolling_timeout
    session_absolute_timeout session_request_headers session_response_headers issuers_allowed
    jwks_endpoint extra_jwks_uris authorization_endpoint token_endpoint end_session_endpoint
    using_pseudo_issuer rediscovery_lifetime discovery_headers_names discovery_headers_values
    cache_ttl timeout ssl_verify keepalive http_proxy http_proxy_authorization https_proxy
    https_proxy_authorization no_proxy token_post_args_names token_post_args_values
    token_headers_names token_headers_values enable_hs_signatures cache_tokens_salt
    http_version require_pushed_authorization_requests require_signed_request_object
"""


def test_what_is_built_and_what_is_not_is_pinned() -> None:
    assert sorted(set(FIELDS) - set(UNBUILT)) == sorted(BUILT.split())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"client_auth": ["client_secret_post", "private_key_jwt"]},
            "client_auth.2: 'private_key_jwt' is not supported yet (supported: "
            "client_secret_basic, client_secret_post)",
        ),
        (
            {"client_auth": ["none"]},
            "client_auth.1: 'none' is not supported yet (supported: client_secret_basic, "
            "client_secret_post)",
        ),
        (
            {"token_endpoint_auth_method": "tls_client_auth"},
            "token_endpoint_auth_method: 'tls_client_auth' is not supported yet (supported: "
            "client_secret_basic, client_secret_post)",
        ),
        (
            {"response_mode": "fragment"},
            "response_mode: 'fragment' is not supported yet (supported: query, form_post)",
        ),
        (
            {"response_type": ["code", "id_token"]},
            'response_type: \'["code", "id_token"]\' is not supported yet (supported: ["code"])',
        ),
        (
            {"login_tokens": ["introspection"]},
            "login_tokens.1: 'introspection' is not supported yet (supported: id_token, "
            "access_token, refresh_token, tokens)",
        ),
        (
            {"session_storage": "redis"},
            "session_storage: 'redis' is not supported yet (supported: cookie)",
        ),
        ({"http_version": 1}, "http_version: '1' is not supported yet (supported: 1.1)"),
        (
            {"require_pushed_authorization_requests": True},
            "require_pushed_authorization_requests: 'true' is not supported yet (supported: false)",
        ),
        (
            {"auth_methods": ["password", "introspection"]},
            "auth_methods: none of these methods lets anybody in: not supported yet (supported: "
            "authorization_code, bearer, refresh_token, session)",
        ),
        (
            {"auth_methods": []},
            "auth_methods: must name a method (supported: authorization_code, bearer, "
            "refresh_token, session)",
        ),
        (
            {"logout_revoke": True},
            "logout_revoke: not supported yet; leave it at its default (false)",
        ),
        (
            {"redis": {"host": "r"}},
            'redis.host: not supported yet; leave it at its default ("127.0.0.1")',
        ),
        (
            {"principals": {"enabled": True}},
            "principals.enabled: not supported yet; leave it at its default (false)",
        ),
        (
            {"client_secret": ["{vault://env/secret}"], "client_id": ["a"]},
            "client_secret.1: vault references are not supported yet",
        ),
        (
            {"session_secret": "{vault://env/s}"},
            "session_secret: vault references are not supported yet",
        ),
    ],
)
def test_what_does_not_work_yet_names_what_does(config: dict[str, Any], message: str) -> None:
    assert fault(**config) == message


def test_par_and_jar_may_be_switched_off() -> None:
    for name in ("require_pushed_authorization_requests", "require_signed_request_object"):
        assert configured(**{name: False})[name] is False


def test_methods_that_let_nobody_in_are_told() -> None:
    assert unbuilt_methods(configured()) == (
        "password",
        "client_credentials",
        "introspection",
        "userinfo",
        "kong_oauth2",
    )
    assert unbuilt_methods(configured(auth_methods=["bearer", "session"])) == ()
    assert unbuilt_methods(configured(auth_methods=["bearer", "userinfo"])) == ("userinfo",)


# What must hold between fields, and within them --------------------------------------------------


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("authorization_query_args_names", "authorization_query_args_values"),
        ("discovery_headers_names", "discovery_headers_values"),
        ("token_headers_names", "token_headers_values"),
        ("token_post_args_names", "token_post_args_values"),
        ("upstream_headers_names", "upstream_headers_claims"),
        ("downstream_headers_names", "downstream_headers_claims"),
    ],
)
def test_names_and_values_go_in_step(names: str, values: str) -> None:
    config = configured(**{names: ["a", "b"], values: ["1", "2"]})
    assert (config[names], config[values]) == (["a", "b"], ["1", "2"])
    for wrong in ({names: ["a"]}, {values: ["1"]}, {names: ["a"], values: ["1", "2"]}):
        count = len(wrong.get(names, ()))
        assert fault(**wrong) == f"{values}: must have as many entries as {names} ({count})"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"bearer_token_param_type": ["header", "cookie"]},
            "bearer_token_cookie_name: required when bearer_token_param_type contains 'cookie'",
        ),
        (
            {"client_id": ["a"], "client_secret": ["s", "t"]},
            "client_secret: must not have more entries than client_id (1)",
        ),
        (
            {"session_cookie_name": "authorization"},
            "authorization_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"authorization_cookie_name": "session2"},
            "authorization_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"bearer_token_cookie_name": "session3"},
            "bearer_token_cookie_name: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"bearer_token_cookie_name": "authorization"},
            "bearer_token_cookie_name: must differ from authorization_cookie_name",
        ),
        (
            {"jwt_session_cookie": "session"},
            "jwt_session_cookie: must differ from session_cookie_name, "
            "also with a digit from 2 to 9 behind it",
        ),
        (
            {"session_cookie_same_site": "None", "session_cookie_secure": False},
            "session_cookie_secure: must not be false when session_cookie_same_site is 'None': "
            "browsers drop such a cookie",
        ),
        (
            {"authorization_cookie_same_site": "None", "authorization_cookie_secure": False},
            "authorization_cookie_secure: must not be false when authorization_cookie_same_site "
            "is 'None': browsers drop such a cookie",
        ),
        (
            {
                "authorization_query_args_names": ["prompt", "state"],
                "authorization_query_args_values": ["login", "x"],
            },
            "authorization_query_args_names: 'state' is set by the gateway itself",
        ),
        (
            {"authorization_query_args_client": ["redirect_uri"]},
            "authorization_query_args_client: 'redirect_uri' is set by the gateway itself",
        ),
        (
            {"token_post_args_names": ["grant_type"], "token_post_args_values": ["x"]},
            "token_post_args_names: 'grant_type' is set by the gateway itself",
        ),
        (
            {"session_cookie_name": "__Secure-s", "session_cookie_secure": False},
            "session_cookie_secure: must not be false when session_cookie_name is '__Secure-s': "
            "browsers drop such a cookie",
        ),
        (
            {"session_cookie_name": "__host-s", "session_cookie_path": "/a"},
            "session_cookie_path: must be '/' when session_cookie_name is '__host-s': "
            "browsers drop such a cookie",
        ),
        (
            {
                "authorization_cookie_name": "__Host-a",
                "authorization_cookie_domain": "a.example",
            },
            "authorization_cookie_domain: must be unset when authorization_cookie_name is "
            "'__Host-a': browsers drop such a cookie",
        ),
        ({"issuer": "idp.example"}, "issuer: missing host in url"),
        ({"issuer": "https://idp.example/#a"}, "issuer: must not have a fragment"),
        ({"redirect_uri": ["https://a.example/#x"]}, "redirect_uri.1: must not have a fragment"),
        ({"http_proxy": "socks5://a.example"}, "http_proxy: should be an http or https URL"),
        ({"leeway": 10**400}, "leeway: expected a number"),
        ({"leeway": -1}, "leeway: value should be between 0 and 2147483646"),
        ({"timeout": 0}, "timeout: value should be between 1 and 2147483646"),
        ({"scopes_claim": []}, "scopes_claim: length must be at least 1"),
        ({"consumer_claims": [[]]}, "consumer_claims.1: length must be at least 1"),
        ({"scopes_required": [""]}, "scopes_required.1: length must be at least 1"),
        (
            {"session_cookie_name": "a b"},
            "session_cookie_name: should be a cookie name: letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            {"session_cookie_path": "/;x"},
            "session_cookie_path: should be a path that starts with / and has no ';' and no blanks",
        ),
        ({"session_cookie_domain": "a;b"}, "session_cookie_domain: should be a domain name"),
        (
            {"upstream_access_token_header": "authorization:basic"},
            "upstream_access_token_header: should be a header name, or a header name followed by "
            "':bearer'",
        ),
        (
            {"upstream_id_token_header": ":path"},
            "upstream_id_token_header: should be a header name, or a header name followed by "
            "':bearer'",
        ),
        (
            {"upstream_headers": [{"header": "Transfer-Encoding", "path": ["a"]}]},
            "upstream_headers.1.header: 'Transfer-Encoding' belongs to the message or the gateway "
            "itself and cannot be set",
        ),
        (
            {"upstream_access_token_header": "X_Kong_Request-Id"},
            "upstream_access_token_header: 'X_Kong_Request-Id' belongs to the message or the "
            "gateway itself and cannot be set",
        ),
        (
            {"downstream_headers_names": ["x-envoy-a"], "downstream_headers_claims": ["a"]},
            "downstream_headers_names.1: 'x-envoy-a' belongs to the message or the gateway itself "
            "and cannot be set",
        ),
        (
            {"upstream_headers": [{"header": "X-A"}]},
            "upstream_headers.1.path: required field missing",
        ),
        (
            {"token_headers_names": ["x-a"], "token_headers_values": ["1\r\nx-b: 2"]},
            "token_headers_values.1: must not contain control characters",
        ),
        ({"login_action": "x"}, "login_action: expected one of: upstream, response, redirect"),
        ({"garbage": 1}, "garbage: unknown field"),
        ({"client_id": "a"}, "client_id: expected an array"),
    ],
)
def test_a_wrong_value_is_refused(config: dict[str, Any], message: str) -> None:
    assert fault(**config) == message


def test_an_error_never_quotes_a_secret() -> None:
    secret = "s3cret\n"
    for config in (
        {"client_id": ["a"], "client_secret": [secret]},
        {"session_secret": secret},
        {"redis": {"password": "s3cret"}},
        {"session_redis_password": "s3cret", "redis": {"password": "other"}},
        {"http_proxy_authorization": secret},
        {"issuer": "https://user:s3cret@idp.example"},
    ):
        with pytest.raises(SchemaViolation) as caught:
            configured(**config)
        assert "s3cret" not in caught.value.message
        assert "s3cret" not in repr(caught.value.errors)


# Former names ------------------------------------------------------------------------------------


def test_consumer_claim_is_one_path_of_consumer_claims_and_both_are_shown() -> None:
    assert configured(consumer_claim=["email"])["consumer_claims"] == [["email"]]
    assert "consumer_claim" not in configured(consumer_claim=["email"])
    config = shown(consumer_claims=[["a", "b"]])
    assert (config["consumer_claim"], config["consumer_claims"]) == (["a", "b"], [["a", "b"]])
    config = shown(consumer_claims=[["a"], ["b"]])
    assert (config["consumer_claim"], config["consumer_claims"]) == (None, [["a"], ["b"]])
    assert shown()["consumer_claim"] is None


def test_consumer_claim_and_consumer_claims_must_agree() -> None:
    both = configured(consumer_claim=["a"], consumer_claims=[["a"]])
    assert both["consumer_claims"] == [["a"]]
    for paths in ([["b"]], [["a"], ["b"]]):
        assert fault(consumer_claim=["a"], consumer_claims=paths) == (
            "consumer_claim: both deprecated and new field are used but their values mismatch: "
            "consumer_claim and consumer_claims"
        )


def test_null_in_a_former_name_gives_way() -> None:
    config = configured(consumer_claim=None, consumer_claims=[["a"]])
    assert config["consumer_claims"] == [["a"]]


def test_patching_consumer_claim_replaces_or_clears_the_paths() -> None:
    stored = SCHEMA.draft_new(
        {"name": "openid-connect", "config": {"issuer": ISSUER, "consumer_claims": [["a"]]}},
        MAKINGS,
    )
    changed = SCHEMA.draft_changed(stored, {"config": {"consumer_claim": ["b"]}}, 2000)
    assert changed["config"]["consumer_claims"] == [["b"]]
    cleared = SCHEMA.draft_changed(stored, {"config": {"consumer_claim": None}}, 2000)
    assert cleared["config"]["consumer_claims"] is None


@pytest.mark.parametrize(
    ("former", "value", "name", "stored"),
    [
        ("session_cookie_lifetime", 60, "session_rolling_timeout", 60),
        ("session_cookie_idletime", 30, "session_idling_timeout", 30),
        ("session_cookie_samesite", "Strict", "session_cookie_same_site", "Strict"),
        ("session_cookie_samesite", "off", "session_cookie_same_site", "Default"),
        ("session_cookie_httponly", False, "session_cookie_http_only", False),
        ("authorization_cookie_lifetime", 60, "authorization_rolling_timeout", 60),
        ("authorization_cookie_samesite", "Lax", "authorization_cookie_same_site", "Lax"),
        ("authorization_cookie_httponly", False, "authorization_cookie_http_only", False),
        ("session_memcache_port", 11211, "session_memcached_port", 11211),
    ],
)
def test_names_from_before_kong_3_2_are_mapped(
    former: str, value: Any, name: str, stored: Any
) -> None:
    assert configured(**{former: value})[name] == stored
    assert former not in shown(**{former: value})


def test_former_names_are_checked_as_the_new_ones_are() -> None:
    assert fault(session_cookie_lifetime=-1) == (
        "session_cookie_lifetime: value should be between 0 and 2147483646"
    )
    assert fault(session_cookie_lifetime="x") == "session_cookie_lifetime: expected a number"
    assert fault(session_redis_host="r").startswith("redis.host: not supported yet")


def test_session_redis_names_are_shown_beside_the_record() -> None:
    config = shown(session_redis_port=6379)
    assert (config["session_redis_port"], config["redis"]["port"]) == (6379, 6379)
    assert config["session_redis_password"] is None


@pytest.mark.parametrize(
    ("former", "value"),
    [
        ("session_cookie_renew", 600),
        ("session_cookie_maxsize", 4000),
        ("session_strategy", "regenerate"),
        ("session_compressor", "zlib"),
    ],
)
def test_names_that_do_nothing_any_more_are_refused_with_a_pointer(former: str, value: Any) -> None:
    assert fault(**{former: value}).startswith(f"{former}: was removed in Kong 3.2")
    assert former not in configured(**{former: None})


# What decK reads ---------------------------------------------------------------------------------


def test_defaults_in_the_schema_are_what_is_stored() -> None:
    """decK fills a config from the schema and compares it with the one that is read back."""
    config = next(
        entry["config"] for entry in OPENID_CONNECT.type.describe()["fields"] if "config" in entry
    )
    filled = _fill_as_deck_does(config, {"issuer": ISSUER})
    read = {name: value for name, value in shown().items() if name in filled}
    read["cache_tokens_salt"] = None  # auto: decK sends null
    assert filled == read
    extra = set(shown()) - set(filled)
    assert extra <= {name for entry in config["shorthand_fields"] for name in entry}


def _fill_as_deck_does(schema: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    filled = dict(given)
    for entry in schema["fields"]:
        ((name, field),) = entry.items()
        if name in given:
            continue
        if field["type"] == "record" and field.get("required"):
            filled[name] = _fill_as_deck_does(field, {})
        else:
            filled[name] = field.get("default")
    return filled


def test_the_plugin_runs_at_kongs_priority() -> None:
    assert (OPENID_CONNECT.name, OPENID_CONNECT.type.priority) == ("openid-connect", 1050)
    assert OPENID_CONNECT.type.scopes == {"service", "route"}
    assert OPENID_CONNECT.type.config is CONFIG


# The reference page ------------------------------------------------------------------------------


def test_the_committed_reference_page_is_what_the_schema_says() -> None:
    page = Path(__file__).parents[3] / PAGE
    assert page.read_text(encoding="utf-8") == reference_page(), "run scripts/generate-reference"


def test_the_reference_page_has_a_row_for_each_of_the_235_fields() -> None:
    rows = [line for line in reference_page().splitlines() if line.count(" | ") >= 4]
    named = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert named == {*FIELDS, "consumer_claim"}
    assert len(named) == 235


@pytest.mark.parametrize("name", ["session1", "session10", "session22", "Session", "sessio"])
def test_a_cookie_that_only_looks_like_the_session_is_another(name: str) -> None:
    assert configured(authorization_cookie_name=name)["authorization_cookie_name"] == name
