"""From a reason to a refusal: status, message, challenge, where to send the browser instead.

Source: contract openid-connect.md §9, RFC 6750 §3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scopegate.plugins.access import Header, Refusal
from scopegate.plugins.openid_connect.clients import Client
from scopegate.reason_code import ReasonCode

UNEXPECTED_MESSAGE = "An unexpected error occurred"


@dataclass(frozen=True, slots=True)
class Refusals:
    """How one configuration says no."""

    realm: str
    unauthorized_message: str
    forbidden_message: str
    display_errors: bool
    expose_error_code: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Refusals:
        return cls(
            realm=urlsplit(config["issuer"]).hostname or "scopegate",
            unauthorized_message=config["unauthorized_error_message"],
            forbidden_message=config["forbidden_error_message"],
            display_errors=config["display_errors"],
            expose_error_code=config["expose_error_code"],
        )

    def unauthenticated(
        self,
        client: Client,
        reason: ReasonCode,
        detail: str,
        *,
        error: str | None = None,
        status: int = 401,
        headers: Iterable[Header] = (),
        redirect: bool = True,
        sign_in: str | None = None,
    ) -> Refusal:
        """401. `error`: RFC 6750's code when a credential was presented; `sign_in`: see Refusal."""
        return Refusal(
            status=status,
            reason=reason,
            detail=detail,
            message=self.unauthorized_message,
            challenge=self._challenge(error),
            location=client.unauthorized_redirect_uri if redirect else None,
            response_headers=tuple(headers),
            show_detail=self.display_errors,
            sign_in=sign_in,
        )

    def malformed(
        self, client: Client, reason: ReasonCode, detail: str, headers: Iterable[Header] = ()
    ) -> Refusal:
        """400 `invalid_request`: two credentials of one kind and the like (RFC 6750 §3.1)."""
        return self.unauthenticated(
            client,
            reason,
            detail,
            error="invalid_request",
            status=400,
            headers=headers,
            redirect=False,
        )

    def forbidden(
        self,
        client: Client,
        reason: ReasonCode,
        detail: str,
        *,
        scope: str | None = None,
        required: tuple[str, ...] = (),
        headers: Iterable[Header] = (),
        subject: str | None = None,
    ) -> Refusal:
        """403 `insufficient_scope`; `scope` is told to the client, `required` to the log."""
        return Refusal(
            status=403,
            reason=reason,
            detail=detail,
            message=self.forbidden_message,
            challenge=self._challenge("insufficient_scope", scope),
            required=required,
            location=client.forbidden_redirect_uri,
            response_headers=tuple(headers),
            show_detail=self.display_errors,
            subject=subject,
        )

    def unavailable(
        self, client: Client, reason: ReasonCode, detail: str, retry_after_s: int = 5
    ) -> Refusal:
        """503: something that we rely on does not answer. Never a login, never a 401."""
        return Refusal(
            status=503,
            reason=reason,
            detail=detail,
            message=UNEXPECTED_MESSAGE,
            location=client.unexpected_redirect_uri,
            show_detail=self.display_errors,
            retry_after_s=retry_after_s,
        )

    def unexpected(self, client: Client, reason: ReasonCode, detail: str) -> Refusal:
        """500: our own fault, or the configuration's."""
        return Refusal(
            status=500,
            reason=reason,
            detail=detail,
            message=UNEXPECTED_MESSAGE,
            location=client.unexpected_redirect_uri,
            show_detail=self.display_errors,
        )

    def _challenge(self, error: str | None, scope: str | None = None) -> str:
        parts = [f'realm="{self.realm}"']
        if error and self.expose_error_code:
            parts.append(f'error="{error}"')
            if scope:
                parts.append(f'scope="{_quotable(scope)}"')
        return "Bearer " + ", ".join(parts)


def _quotable(scope: str) -> str:
    """A scope inside a quoted string: RFC 6750 §3 allows %x21, %x23-5B, %x5D-7E and blanks."""
    return "".join(c for c in scope if c == " " or ("!" <= c <= "~" and c not in '"\\'))
