"""What Kong has and Scopegate has not built yet: 404 with a message, never an empty list.

Source: contract admin-api.md §1, §2, §5, §7.
"""

from __future__ import annotations

from collections.abc import Sequence

UNBUILT_ENTITIES = frozenset(
    {
        "acls",
        "basicauth_credentials",
        "ca_certificates",
        "certificates",
        "cloned_plugins",
        "consumer_group_plugins",
        "consumer_groups",
        "custom_plugins",
        "degraphql_routes",
        "filter_chains",
        "hmacauth_credentials",
        "jwt_secrets",
        "key_sets",
        "keyauth_credentials",
        "keys",
        "licenses",
        "mtls_auth_credentials",
        "oauth2_credentials",
        "partials",
        "rbac_roles",
        "rbac_users",
        "snis",
        "tags",
        "targets",
        "upstreams",
        "vaults",
        "workspaces",
    }
)
"""Names of entities in `/schemas/…`."""

_FIRST_SEGMENTS = frozenset(
    {
        "acls",
        "admins",
        "audit",
        "basic-auths",
        "ca_certificates",
        "cache",
        "certificates",
        "cloned-plugins",
        "clustering",
        "consumer_groups",
        "custom-plugins",
        "debug",
        "degraphql_routes",
        "developers",
        "event-hooks",
        "filter-chains",
        "groups",
        "hmac-auths",
        "jwts",
        "key-auths",
        "key-sets",
        "keys",
        "license",
        "licenses",
        "metrics",
        "mtls-auths",
        "oauth2",
        "oauth2_tokens",
        "oic_jwks",
        "openid-connect",
        "partials",
        "rbac",
        "snis",
        "targets",
        "timers",
        "upstreams",
        "vaults",
        "workspaces",
    }
)

_BELOW = frozenset(
    {
        "acls",
        "basic-auth",
        "client_certificate",
        "consumer_group",
        "consumer_groups",
        "degraphql",
        "filter-chains",
        "filters",
        "hmac-auth",
        "jwt",
        "key-auth",
        "links",
        "mtls-auth",
        "oauth2",
    }
)
_SCHEMAS_OF = {"filters", "partials", "vaults"}
_BUILT = {"services", "routes", "consumers", "plugins"}


def unbuilt_message(segments: Sequence[str]) -> str | None:
    """Why there is no such path, when Kong has it; None when nobody has."""
    match segments:
        case [first, *_] if first in _FIRST_SEGMENTS:
            return _message(f"/{first}")
        case ["schemas", of, _, *_] if of in _SCHEMAS_OF:
            return _message(f"/schemas/{of}")
        case [first, _, below, *_] if first in _BUILT and below in _BELOW:
            return _message(f"/{first}/…/{below}")
        case ["status", "dns"]:
            return _message("/status/dns")
    return None


def _message(path: str) -> str:
    return f"Not found: {path} is not built yet"
