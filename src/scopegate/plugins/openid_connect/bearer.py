"""Where a bearer token may stand in a request, and finding the one that does.

Source: RFC 6750 §2, contract openid-connect.md §2. A request with tokens in two places is refused
(RFC 6750 §2: not more than one method): whoever checked one of them must not pass on the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scopegate.plugins.access import Request
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.session.cookies import CookieRepeated, read_cookie

_ARGUMENT = "access_token"

Place = tuple[str, str]
"""`header`, `query`, `body` or `cookie`, and the name there."""


class CredentialRepeated(Exception):
    """More than one credential: which one counts is not ours to guess. The text is for the log."""

    @classmethod
    def of(cls, kind: str, places: Iterable[str]) -> CredentialRepeated:
        """`kind`: `access` or `refresh`; where the tokens stand, a place for each."""
        return cls(f"more than one {kind} token in one request: {', '.join(places)}")

    @classmethod
    def check(cls, kind: str, found: Sequence[Credential], twins: Sequence[Credential]) -> None:
        """Raises CredentialRepeated for more than one, and for one beside a twin.

        A twin alone is no credential: nobody looks for it, and it is taken out.
        """
        if found and len(found) + len(twins) > 1:
            places = [f"{each.place} {each.name}" for each in found]
            spelled = [f"{each.place} {each.name} in another spelling" for each in twins]
            raise cls.of(kind, [*places, *spelled])


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential and where it stood, so that it can be taken out.

    place   `header`, `query`, `body` or `cookie`; `name` is the header's, argument's or cookie's
    """

    value: str
    place: str
    name: str

    def __repr__(self) -> str:
        return f"Credential(place={self.place!r}, name={self.name!r})"


@dataclass(frozen=True, slots=True)
class BearerPlaces:
    """The places of `bearer_token_param_type`, and the names there."""

    header: bool
    query: bool
    body: bool
    cookie: str | None
    header_names: tuple[str, ...]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BearerPlaces:
        kinds = config["bearer_token_param_type"] or ()
        own = config["bearer_token_header_name"]
        return cls(
            header="header" in kinds,
            query="query" in kinds,
            body="body" in kinds,
            cookie=config["bearer_token_cookie_name"] if "cookie" in kinds else None,
            header_names=(header_name(own),)
            if own
            else ("authorization", "access-token", "x-access-token"),
        )

    def find(self, request: Request, arguments: Arguments) -> Credential | None:
        """The token, or None. Raises CredentialRepeated, BodyWanted.

        A form is looked into even when a token was found elsewhere, JSON only when none was
        (ADR 0026).
        """
        found = self._in_headers(request) if self.header else []
        twins: list[Credential] = []
        if self.query:
            found += credentials(arguments.query(_ARGUMENT), "query", _ARGUMENT)
            twins += credentials(arguments.query_twins(_ARGUMENT), "query", _ARGUMENT)
        if self.cookie:
            try:
                value = read_cookie(request.header("cookie"), self.cookie)
            except CookieRepeated:
                raise CredentialRepeated.of("access", [f"cookie {self.cookie} twice"]) from None
            found += credentials([value] if value else [], "cookie", self.cookie)
        if self.body and (arguments.has_form or not found):
            found += credentials(arguments.body(_ARGUMENT), "body", _ARGUMENT)
            twins += credentials(arguments.form_twins(_ARGUMENT), "body", _ARGUMENT)
        CredentialRepeated.check("access", found, twins)
        return found[0] if found else None

    def places(self) -> list[Place]:
        """Where a request may hold a bearer token."""
        return [
            *(("header", name) for name in self.header_names if self.header),
            *([("query", _ARGUMENT)] if self.query else []),
            *([("cookie", self.cookie)] if self.cookie else []),
            *([("body", _ARGUMENT)] if self.body else []),
        ]

    def _in_headers(self, request: Request) -> list[Credential]:
        found = []
        for name in self.header_names:
            value = request.header(name)
            if value is None:
                continue
            if name == "authorization":
                scheme, _, token = value.strip().partition(" ")
                if scheme.lower() != "bearer":
                    continue
            else:
                token = value.strip()
                if token[:7].lower() == "bearer ":
                    token = token[7:]
            token = token.strip()
            # Envoy joins a repeated header with a comma, and no token holds one (RFC 6750 §2.1).
            if "," in token:
                raise CredentialRepeated.of("access", [f"header {name} twice"])
            if token:
                found.append(Credential(token, "header", name))
        return found


def credentials(values: Iterable[str], place: str, name: str) -> list[Credential]:
    """Of the values that stand in a place those that say something."""
    return [Credential(value, place, name) for value in values if value]


def header_name(name: str) -> str:
    """A configured name as a header: lower case, `_` becomes `-` (contract §2)."""
    return name.lower().replace("_", "-")
