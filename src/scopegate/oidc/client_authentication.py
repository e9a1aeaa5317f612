"""How a client shows the identity provider who it is. Source: RFC 6749 §2.3.1, contract §15."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote_plus

from scopegate.oidc.errors import NotConfigured, quoted
from scopegate.oidc.reasons import Reason


class AuthMethod(StrEnum):
    """Ways of client authentication that are built, in the order of our preference."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A client id and its secret."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def required(cls, id_: str | None, secret: str | None) -> ClientCredentials:
        """Raises NotConfigured naming what is missing."""
        if not id_:
            raise NotConfigured(Reason.CLIENT_ID_MISSING, "client_id is not configured")
        if not secret:
            raise NotConfigured(
                Reason.CLIENT_SECRET_MISSING, f"client {quoted(id_)} has no client_secret"
            )
        return cls(id_, secret)


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """What a request to an endpoint carries to authenticate the client."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    arguments: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def choose_auth_method(configured: Sequence[str | None], supported: Sequence[str]) -> AuthMethod:
    """The first configured way (endpoint's own, client's), else the first of ours that the issuer
    supports, else client_secret_basic.

    Raises NotConfigured for a configured way that is not built.
    """
    for name in configured:
        if name is not None:
            try:
                return AuthMethod(name)
            except ValueError:
                raise NotConfigured(
                    Reason.CLIENT_AUTH_NOT_SUPPORTED,
                    f"client authentication {quoted(name)} is not supported, "
                    f"only {' and '.join(AuthMethod)} are",
                ) from None
    return next((method for method in AuthMethod if method in supported), AuthMethod.BASIC)


def authenticate(client: ClientCredentials, method: AuthMethod) -> ClientAuthentication:
    """The headers and form arguments of one request."""
    if method is AuthMethod.POST:
        return ClientAuthentication(
            arguments=(("client_id", client.id), ("client_secret", client.secret))
        )
    # Id and secret are form-encoded first, so that a colon in the id stays unambiguous.
    pair = f"{quote_plus(client.id)}:{quote_plus(client.secret)}"
    return ClientAuthentication(
        headers=(("authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),)
    )
