"""Discovery and keys. Source: OpenID Connect Discovery 1.0 §3, RFC 8414 §2, RFC 7517 §5."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from scopegate_demo.idp.authorization_request import PROMPTS, RESPONSE_MODES
from scopegate_demo.idp.keys import public_jwk
from scopegate_demo.idp.provider import Provider

CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post"]


class DocumentEndpoints:
    """`discovery` and `jwks`."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def discovery(self, _: web.Request) -> web.Response:
        document = discovery_document(self._provider)
        return web.json_response(self._provider.behaviour.discovery.apply(document))

    async def jwks(self, _: web.Request) -> web.Response:
        keys, wrong = self._provider.keys, self._provider.behaviour.jwks
        published = keys.jwks()
        if wrong.repeated_kid:
            published.insert(0, public_jwk(keys.foreign) | {"kid": keys.active.kid})
        if wrong.without_kid:
            published = [
                {name: value for name, value in jwk.items() if name != "kid"} for jwk in published
            ]
        return web.json_response({"keys": [*wrong.extra, *published]})


def discovery_document(provider: Provider) -> dict[str, Any]:
    """What this provider can do, and where."""
    base = f"{provider.issuer}/protocol/openid-connect"
    return {
        "issuer": provider.issuer,
        "authorization_endpoint": f"{base}/auth",
        "token_endpoint": f"{base}/token",
        "introspection_endpoint": f"{base}/token/introspect",
        "userinfo_endpoint": f"{base}/userinfo",
        "end_session_endpoint": f"{base}/logout",
        "jwks_uri": f"{base}/certs",
        "revocation_endpoint": f"{base}/revoke",
        "grant_types_supported": [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "password",
        ],
        "acr_values_supported": ["1"],
        "response_types_supported": ["code"],
        "response_modes_supported": list(RESPONSE_MODES),
        "subject_types_supported": ["public"],
        "prompt_values_supported": list(PROMPTS),
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "introspection_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "revocation_endpoint_auth_methods_supported": CLIENT_AUTHENTICATION,
        "claims_supported": [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "acr",
            "name",
            "given_name",
            "family_name",
            "preferred_username",
            "email",
            "groups",
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "scopes_supported": ["openid", *(scope.name for scope in provider.realm.scopes)],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
    }
