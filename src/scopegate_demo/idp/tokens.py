"""The claims of a grant's tokens, shaped like Keycloak's 26.4."""

from __future__ import annotations

import uuid
from typing import Any

from scopegate_demo.idp.ledger import Grant
from scopegate_demo.idp.realm import Client, Realm, User

DEFAULT_ROLES = ("offline_access", "uma_authorization", "default-roles-kong")

Claims = dict[str, Any]


def access_token_claims(
    grant: Grant, realm: Realm, issuer: str, issued_at: int, ttl_s: int
) -> Claims:
    """Keycloak's access token: `typ` Bearer, the client in `azp`, `aud` account, `scope` words."""
    claims = _common(grant, issuer, issued_at, ttl_s, typ="Bearer") | {"aud": "account"}
    roles = realm.roles_of(grant.user) if grant.user else grant.client.service_account_roles
    return claims | {
        "realm_access": {"roles": [*roles, *DEFAULT_ROLES]},
        "resource_access": {
            "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}
        },
        "scope": " ".join(grant.scope),
        **identity_claims(grant),
    }


def id_token_claims(
    grant: Grant, issuer: str, issued_at: int, ttl_s: int, access_token_hash: str
) -> Claims:
    """Keycloak's ID token: `typ` ID, the client in `aud` and `azp`."""
    claims = _common(grant, issuer, issued_at, ttl_s, typ="ID") | {
        "aud": grant.client.client_id,
        "at_hash": access_token_hash,
    }
    if grant.nonce is not None:
        claims["nonce"] = grant.nonce
    return claims | identity_claims(grant)


def refresh_token_claims(
    grant: Grant, issuer: str, issued_at: int, jti: str, expires_at: int
) -> Claims:
    """Keycloak's refresh token: `typ` Refresh, the provider itself in `aud`."""
    claims = _common(grant, issuer, issued_at, expires_at - issued_at, typ="Refresh")
    return claims | {"jti": jti, "aud": issuer, "scope": " ".join(grant.scope)}


def identity_claims(grant: Grant) -> Claims:
    """Who it is, as far as the scope tells."""
    if grant.user is None:
        return _service_account_claims(grant.client)
    return _user_claims(grant.user, grant.scope)


def subject(grant: Grant) -> str:
    """`sub` of the user, or of the client's service account."""
    if grant.user is not None:
        return grant.user.sub
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"demo-idp:client:{grant.client.client_id}"))


def _common(grant: Grant, issuer: str, issued_at: int, ttl_s: int, *, typ: str) -> Claims:
    claims: Claims = {"exp": issued_at + ttl_s, "iat": issued_at}
    if grant.auth_time is not None and typ != "Refresh":
        claims["auth_time"] = grant.auth_time
    claims |= {
        "jti": str(uuid.uuid4()),
        "iss": issuer,
        "sub": subject(grant),
        "typ": typ,
        "azp": grant.client.client_id,
    }
    if grant.session is not None:
        claims["sid"] = grant.session.sid
    if typ != "Refresh":
        claims["acr"] = "1"
    return claims


def _user_claims(user: User, scope: tuple[str, ...]) -> Claims:
    claims: Claims = {}
    if "email" in scope:
        claims |= {"email": user.email, "email_verified": True}
    if "profile" in scope:
        claims |= {
            "name": user.name,
            "groups": list(user.groups),
            # Keycloak keeps user names in lower case.
            "preferred_username": user.username.lower(),
            "given_name": user.first_name,
            "family_name": user.last_name,
        }
    return claims


def _service_account_claims(client: Client) -> Claims:
    return {
        "preferred_username": f"service-account-{client.client_id.lower()}",
        "client_id": client.client_id,
    }
