"""Discovery and keys, well and ill."""

import aiohttp

from scopegate_demo.idp import DemoIdp, Edit, JwksEdit


async def discovery(http: aiohttp.ClientSession, idp: DemoIdp) -> dict:
    async with http.get(idp.discovery_url) as answer:
        assert answer.status == 200
        return await answer.json()


async def jwks(http: aiohttp.ClientSession, idp: DemoIdp) -> list[dict]:
    async with http.get((await discovery(http, idp))["jwks_uri"]) as answer:
        return (await answer.json())["keys"]


async def test_discovery_names_the_issuer_under_which_it_was_found(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    document = await discovery(http, idp)
    assert document["issuer"] == idp.issuer == f"{idp.origin}/realms/kong"
    assert idp.discovery_url == f"{idp.issuer}/.well-known/openid-configuration"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True


async def test_every_endpoint_of_discovery_exists(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    document = await discovery(http, idp)
    endpoints = [name for name in document if name.endswith(("_endpoint", "_uri"))]
    assert len(endpoints) == 7
    for name in endpoints:
        async with http.get(document[name]) as answer:
            assert answer.status != 404, name


async def test_an_issuer_of_another_name_is_served_under_its_path() -> None:
    issuer = "https://id.example/auth/realms/kong"
    async with DemoIdp(issuer=f"{issuer}/") as idp, aiohttp.ClientSession() as http:
        url = f"{idp.origin}/auth/realms/kong/.well-known/openid-configuration"
        async with http.get(url) as answer:
            document = await answer.json()
    assert document["issuer"] == idp.issuer == issuer
    assert document["token_endpoint"].startswith(issuer)


async def test_discovery_can_lie_and_keep_silent(idp: DemoIdp, http: aiohttp.ClientSession) -> None:
    idp.behaviour.discovery = Edit(
        set={"issuer": "http://elsewhere.example"}, without=["code_challenge_methods_supported"]
    )
    document = await discovery(http, idp)
    assert document["issuer"] == "http://elsewhere.example"
    assert "code_challenge_methods_supported" not in document
    assert idp.issuer != "http://elsewhere.example"


async def test_a_rotated_key_is_published_with_or_without_the_former(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    (first,) = await jwks(http, idp)
    idp.rotate_keys(overlap=True)
    second, kept = await jwks(http, idp)
    assert kept == first
    assert second["kid"] == idp.keys.active.kid != first["kid"]
    idp.rotate_keys(overlap=False)
    (third,) = await jwks(http, idp)
    assert third["kid"] not in (first["kid"], second["kid"])


async def test_a_kid_can_come_twice_with_different_keys(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    idp.behaviour.jwks = JwksEdit(repeated_kid=True)
    foreign, own = await jwks(http, idp)
    assert foreign["kid"] == own["kid"]
    assert foreign["n"] != own["n"]


async def test_keys_can_lack_a_kid_or_be_joined_by_others(
    idp: DemoIdp, http: aiohttp.ClientSession
) -> None:
    odd = {"kty": "unheard of"}
    idp.behaviour.jwks = JwksEdit(without_kid=True, extra=[odd])
    extra, own = await jwks(http, idp)
    assert extra == odd
    assert "kid" not in own
