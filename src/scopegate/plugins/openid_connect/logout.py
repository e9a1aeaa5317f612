"""Logout: which request is one, and where the browser goes. Source: contract openid-connect.md §13.

The session is dead before the browser is sent to the identity provider: whatever happens there, the
cookie and every copy of it open nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.logout import end_session_url
from scopegate.plugins.access import Header, LogLine, Redirect, Request, Respond
from scopegate.plugins.openid_connect.arguments import Arguments
from scopegate.plugins.openid_connect.clients import Client
from scopegate.plugins.openid_connect.issuer import Issuer
from scopegate.plugins.openid_connect.reasons import AsideReason, PassReason
from scopegate.session.session import Session

URL_LIMIT_CHARS = 4000
"""Of a redirect to the provider: Keycloak takes a first line of 4096 bytes by default."""


@dataclass(frozen=True, slots=True)
class Logout:
    """How one configuration tells a logout."""

    methods: frozenset[str]
    query_argument: str | None
    body_argument: str | None
    uri_suffix: str | None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Logout:
        return cls(
            methods=frozenset(config["logout_methods"] or ()),
            query_argument=config["logout_query_arg"],
            body_argument=config["logout_post_arg"],
            uri_suffix=config["logout_uri_suffix"],
        )

    def is_wanted(self, request: Request, arguments: Arguments) -> bool:
        """Whether this request is a logout. Raises BodyWanted."""
        if request.method not in self.methods:
            return False
        if self.uri_suffix and request.path.endswith(self.uri_suffix):
            return True
        if self.query_argument and arguments.query(self.query_argument):
            return True
        return bool(self.body_argument and arguments.body(self.body_argument))

    async def leave(
        self, client: Client, session: Session | None, issuer: Issuer, headers: list[Header]
    ) -> Redirect | Respond:
        """Where the browser goes once its session is over; `headers` remove its cookies."""
        log: tuple[LogLine, ...] = ()
        try:
            endpoint = (await issuer.known()).facts.endpoints.end_session
        except IdpUnavailable as problem:
            # The session here is over all the same; only the provider's own lives on.
            endpoint = None
            fields = {"reason": problem.reason, "detail": problem.detail}
            log = (LogLine("warning", "[openid-connect] logout without the issuer", fields),)
        location = client.logout_redirect_uri
        if endpoint is not None:
            hint = session.tokens.id if session else None
            location = _end_session_url(endpoint, client, hint)
            if hint is not None and len(location) > URL_LIMIT_CHARS:
                # The provider knows the client, and asks the person instead.
                fields = {
                    "reason": AsideReason.ID_TOKEN_HINT_TOO_LONG,
                    "detail": f"{len(hint)} characters",
                }
                log = (LogLine("info", "[openid-connect] logout without id_token_hint", fields),)
                location = _end_session_url(endpoint, client, None)
        subject = session.subject if session else None
        if location is not None:
            return Redirect(location, PassReason.LOGOUT, tuple(headers), subject, log)
        return Respond(
            200, "application/json", b"{}", PassReason.LOGOUT, tuple(headers), subject, log
        )


def _end_session_url(endpoint: str, client: Client, id_token_hint: str | None) -> str:
    return end_session_url(
        endpoint,
        client_id=client.id,
        id_token_hint=id_token_hint,
        post_logout_redirect_uri=client.logout_redirect_uri,
    )
