"""Who the request is: tokens and claims of whatever credential was accepted, and claim lookup.

Source: contract openid-connect.md §5 ("Where it is looked up").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scopegate.oidc.claim_lookup import find_claim
from scopegate.session.session import Session

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Identity:
    """The accepted credential.

    method          which of the plugin's auth methods accepted it
    access_claims   None when the access token is opaque
    expires_at_s    when the access token ends, None when nobody knows
    session         the live session that it came from or was saved to
    """

    method: str
    client_id: str
    access_token: str | None = field(repr=False)
    access_claims: Claims | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    id_claims: Claims | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at_s: float | None = None
    session: Session | None = field(default=None, repr=False)

    @property
    def subject(self) -> str | None:
        """`sub` of the ID token, else of the access token; only a string counts."""
        for claims in (self.id_claims, self.access_claims):
            sub = claims.get("sub") if claims else None
            if isinstance(sub, str) and sub:
                return sub
        return None

    def for_mapping(self) -> Sequence[Claims]:
        """Where consumers and groups are looked up: ID token, then access token."""
        return [claims for claims in (self.id_claims, self.access_claims) if claims]

    def for_headers(self) -> Sequence[Claims]:
        """Where headers and the credential are looked up: access token, then ID token."""
        return [claims for claims in (self.access_claims, self.id_claims) if claims]


def look_up(sources: Iterable[Claims], path: Sequence[str]) -> Any:
    """The first source's value at `path`, or None."""
    for claims in sources:
        value = find_claim(claims, path)
        if value is not None:
            return value
    return None


def text_of(value: Any) -> str | None:
    """A claim that names somebody, as text: strings and whole numbers; nothing else names."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None
