"""The clients of one configuration: which one a request uses, and what belongs to it.

Arrays with the same index belong together. Source: contract openid-connect.md §15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scopegate.plugins.access import Request
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.plugins.openid_connect.bearer import Place, header_name


@dataclass(frozen=True, slots=True)
class Client:
    """One OAuth client. `index` counts from 0; secrets never fall back to another client's."""

    index: int
    id: str | None
    secret: str | None = field(repr=False)
    authentication: str | None
    redirect_uri: str | None
    login_redirect_uri: str | None
    logout_redirect_uri: str | None
    unauthorized_redirect_uri: str | None
    forbidden_redirect_uri: str | None
    unexpected_redirect_uri: str | None


@dataclass(frozen=True, slots=True)
class Clients:
    """All clients, the first of which is the default."""

    all: tuple[Client, ...]
    argument: str

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Clients:
        ids = config["client_id"] or [None]

        def uri(name: str, index: int) -> str | None:
            values = config[name] or ()
            return _at(values, index) or _at(values, 0)

        clients = tuple(
            Client(
                index=index,
                id=id_,
                secret=_at(config["client_secret"] or (), index),
                authentication=_at(config["client_auth"] or (), index),
                redirect_uri=uri("redirect_uri", index),
                login_redirect_uri=uri("login_redirect_uri", index),
                logout_redirect_uri=uri("logout_redirect_uri", index),
                unauthorized_redirect_uri=uri("unauthorized_redirect_uri", index),
                forbidden_redirect_uri=uri("forbidden_redirect_uri", index),
                unexpected_redirect_uri=uri("unexpected_redirect_uri", index),
            )
            for index, id_ in enumerate(ids)
        )
        return cls(clients, config["client_arg"])

    def places(self) -> list[Place]:
        """Where a request may say which client it means; nowhere when there is no choice."""
        if len(self.all) == 1:
            return []
        name = header_name(self.argument)
        return [
            ("header", name),
            ("header", f"x-{name}"),
            ("query", self.argument),
            ("body", self.argument),
        ]

    def by_id(self, client_id: str) -> Client:
        """The client of this id; the first when there is none any more."""
        return next((client for client in self.all if client.id == client_id), self.all[0])

    def choose(self, request: Request, arguments: Arguments) -> Client:
        """The client that the request asks for: header, then query, then body, else the first.

        The value is a client id of the list or an index from 1. Raises BodyWanted.
        """
        if len(self.all) == 1:
            return self.all[0]
        name = header_name(self.argument)
        wanted = request.header(name) or request.header(f"x-{name}")
        if wanted is None:
            values = arguments.query(self.argument) or arguments.body(self.argument)
            wanted = values[0] if values else None
        for client in self.all:
            if wanted is not None and wanted in (client.id, str(client.index + 1)):
                return client
        return self.all[0]


def _at(values: Sequence[str], index: int) -> str | None:
    return values[index] if index < len(values) else None
