"""Headers that tell the upstream and the client who is there."""

from __future__ import annotations

from scopegate.entities.fields import Field
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    claim_headers,
    header_names,
    later,
    texts,
    token_header,
)


def _group(title: str, direction: str, access_token_default: str | None) -> Group:
    def name(what: str) -> str:
        return f"{direction}_{what}"

    fields: dict[str, Field] = {
        name("headers"): claim_headers("Headers with the paths of the claims they carry."),
        name("headers_claims"): texts("Claims that become headers (deprecated)."),
        name("headers_names"): header_names("The names of those headers (deprecated)."),
        name("access_token_header"): token_header(
            "Carries the access token; `:bearer` puts `Bearer` before it; null: none.",
            access_token_default,
        ),
        name("access_token_jwk_header"): token_header(
            "Carries the key that verified the access token."
        ),
        name("id_token_header"): token_header("Carries the ID token."),
        name("id_token_jwk_header"): token_header("Carries the key that verified the ID token."),
        name("refresh_token_header"): token_header("Carries the refresh token."),
        name("user_info_header"): later(token_header("Carries the user info.")),
        name("user_info_jwt_header"): later(token_header("Carries the signed user info.")),
        name("introspection_header"): later(token_header("Carries the introspection answer.")),
        name("introspection_jwt_header"): later(
            token_header("Carries the signed introspection answer.")
        ),
        name("session_id_header"): token_header("Carries the session's id."),
    }
    return Group(title, fields)


UPSTREAM = _group("Headers for the upstream", "upstream", "authorization:bearer")
DOWNSTREAM = _group("Headers for the client", "downstream", None)
