"""What can go wrong, each with a stable reason code. Details never hold a token or a secret."""

from __future__ import annotations


class OidcError(Exception):
    """A refusal with a reason.

    reason   a stable code, snake_case: logs, metrics and tests rely on it
    detail   one sentence for the log; may quote claim values (iss, aud, kid), never a credential
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TokenRefused(OidcError):
    """The token is not good: 401 `invalid_token`."""


class UnknownKey(TokenRefused):
    """No key of the issuer has this key id: worth a rediscovery before it becomes a refusal."""


class IdpUnavailable(OidcError):
    """The identity provider did not answer, or not with what it must: 503, never a login."""


class IdpRefused(OidcError):
    """The identity provider answered no (`invalid_grant`, `access_denied` …): 401."""


class NotConfigured(OidcError):
    """The configuration lacks something that is needed now: 500."""
