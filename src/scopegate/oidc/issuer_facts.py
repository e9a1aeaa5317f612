"""What is known of an issuer: the facts that decisions rest on.

They travel as JSON-shaped data, in one fixed order, so that equal facts are equal byte for byte.
Source: OpenID Connect Discovery 1.0 §3, RFC 8414 §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from scopegate.oidc.errors import IdpUnavailable, NotConfigured
from scopegate.oidc.reasons import Reason

Jwk = Mapping[str, str]
"""A public signing key: `kty` and its material; `kid`, `use`, `alg` where the issuer says them."""


class Origin(StrEnum):
    """Where facts come from."""

    DOCUMENT = "document"
    """The issuer's discovery document."""
    CONFIGURATION = "configuration"
    """Configuration alone: no discovery is wanted (`using_pseudo_issuer`)."""
    UNREACHABLE = "unreachable"
    """Configuration alone: there is no usable document, but a key set is configured."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """URLs at which an identity provider answers; None where nobody said one."""

    authorization: str | None = None
    token: str | None = None
    userinfo: str | None = None
    end_session: str | None = None
    revocation: str | None = None
    introspection: str | None = None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the endpoints, without `_endpoint`."""
        return tuple(endpoint.name for endpoint in fields(cls))


@dataclass(frozen=True, slots=True)
class KeySource:
    """One key set.

    is_main   the issuer's own: its `jwks_uri`, or the set that is configured instead
    keys      None while the set could not be fetched even once
    """

    uri: str
    is_main: bool
    keys: tuple[Jwk, ...] | None


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """An issuer as its discovery document and its keys describe it.

    issuer                       the `iss` of its tokens, exactly
    code_challenge_methods       PKCE methods; empty when the document is silent
    token_endpoint_auth_methods  ways of client authentication; empty when it is silent
    response_modes               empty when it is silent
    id_token_signing_algs        empty when it is silent
    promises_iss_in_response     authorization responses carry `iss` (RFC 9207 §3)
    Lists are sorted: identity providers change their order from one answer to the next.
    """

    issuer: str
    origin: Origin
    endpoints: Endpoints = field(default_factory=Endpoints)
    key_sources: tuple[KeySource, ...] = ()
    code_challenge_methods: tuple[str, ...] = ()
    token_endpoint_auth_methods: tuple[str, ...] = ()
    response_modes: tuple[str, ...] = ()
    id_token_signing_algs: tuple[str, ...] = ()
    promises_iss_in_response: bool = False

    def require_endpoint(self, name: str) -> str:
        """The URL of an endpoint that is needed now (a field name of Endpoints).

        Raises IdpUnavailable when the discovery document would have told it but was never seen,
        else NotConfigured.
        """
        url: str | None = getattr(self.endpoints, name)
        if url is not None:
            return url
        if self.origin is Origin.UNREACHABLE:
            raise IdpUnavailable(
                Reason.DISCOVERY_FAILED,
                f"{name}_endpoint is not configured, and the discovery document is unreachable",
            )
        raise NotConfigured(
            Reason.ENDPOINT_MISSING,
            f"{name}_endpoint is neither configured nor in the discovery document",
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-shaped data that `from_json` reads back."""
        return {
            "issuer": self.issuer,
            "origin": self.origin.value,
            "endpoints": {name: getattr(self.endpoints, name) for name in Endpoints.names()},
            "key_sources": [
                {
                    "uri": source.uri,
                    "is_main": source.is_main,
                    "keys": None if source.keys is None else [dict(key) for key in source.keys],
                }
                for source in self.key_sources
            ],
            "code_challenge_methods": list(self.code_challenge_methods),
            "token_endpoint_auth_methods": list(self.token_endpoint_auth_methods),
            "response_modes": list(self.response_modes),
            "id_token_signing_algs": list(self.id_token_signing_algs),
            "promises_iss_in_response": self.promises_iss_in_response,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> IssuerFacts:
        """The facts that `to_json` wrote. Raises KeyError, TypeError or ValueError otherwise."""
        return cls(
            issuer=document["issuer"],
            origin=Origin(document["origin"]),
            endpoints=Endpoints(**document["endpoints"]),
            key_sources=tuple(
                KeySource(
                    uri=source["uri"],
                    is_main=source["is_main"],
                    keys=None if source["keys"] is None else tuple(source["keys"]),
                )
                for source in document["key_sources"]
            ),
            code_challenge_methods=tuple(document["code_challenge_methods"]),
            token_endpoint_auth_methods=tuple(document["token_endpoint_auth_methods"]),
            response_modes=tuple(document["response_modes"]),
            id_token_signing_algs=tuple(document["id_token_signing_algs"]),
            promises_iss_in_response=document["promises_iss_in_response"],
        )
