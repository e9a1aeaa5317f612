"""What the browser's tests share."""

from support.keycloak import keycloak

__all__ = ["keycloak"]
