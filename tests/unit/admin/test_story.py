"""The three HTTPie calls of the story, as HTTPie sends them."""

from __future__ import annotations

from support.asgi_client import AsgiClient

FORM = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
JSON = [("content-type", "application/json")]


async def test_the_storys_three_calls_make_service_route_and_plugin(api: AsgiClient) -> None:
    service = await api.post(
        "/services",
        body=b'{"name": "openidconnect", "url": "http://httpbin.org/anything"}',
        headers=JSON,
    )
    assert service.status == 201
    assert {name: service.json[name] for name in ("protocol", "host", "port", "path")} == {
        "protocol": "http",
        "host": "httpbin.org",
        "port": 80,
        "path": "/anything",
    }

    route = await api.post(
        "/services/openidconnect/routes",
        body=b"name=openidconnectRoute&paths=%2Foidc",
        headers=FORM,
    )
    assert route.status == 201
    assert route.json["paths"] == ["/oidc"]
    assert route.json["service"] == {"id": service.json["id"]}

    plugin = await api.post(
        "/routes/openidconnectRoute/plugins",
        body=b"name=openid-connect&config.issuer=http%3A%2F%2Fkeycloak%3A8080%2Frealms%2Fkong"
        b"%2F.well-known%2Fopenid-configuration&config.client_id=blog_post"
        b"&config.client_secret=s3cret&config.ssl_verify=false&config.consumer_claim=email"
        b"&config.verify_signature=false&config.redirect_uri=http%3A%2F%2Flocalhost%3A8000%2Foidc"
        b"&config.consumer_optional=true&config.scopes_required=kong_api_access",
        headers=FORM,
    )
    assert plugin.status == 201
    config = plugin.json["config"]
    assert config["client_id"] == ["blog_post"]
    assert config["client_secret"] == ["s3cret"]
    assert config["ssl_verify"] is False
    assert config["verify_signature"] is False
    assert config["consumer_claims"] == [["email"]]
    assert config["consumer_claim"] == ["email"]
    assert config["redirect_uri"] == ["http://localhost:8000/oidc"]
    assert config["consumer_optional"] is True
    assert config["scopes_required"] == ["kong_api_access"]
    assert plugin.json["route"] == {"id": route.json["id"]}
    assert plugin.json["protocols"] == ["grpc", "grpcs", "http", "https"]
