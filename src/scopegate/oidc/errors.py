"""What can go wrong, each with a stable reason code. Details never hold a token or a secret."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode


class OidcError(Exception):
    """A refusal with a reason.

    reason   most often one of `oidc.reasons`; whoever calls may have more
    detail   one sentence for the log; may quote claim values (iss, aud, kid), never a credential
    """

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class TokenRefused(OidcError):
    """The token is not good: 401 `invalid_token`."""


class NotJwt(TokenRefused):
    """Not a JWT that we could read at all: opaque to us, another way to check it may know it.

    A JWT that was read and found bad is never this: it must not get a second chance.
    """


class UnknownKey(TokenRefused):
    """No key of the issuer fits: worth a rediscovery before it becomes a refusal.

    key_id         the token's `kid`; None: it has none
    keys_missing   some of the issuer's keys could not be fetched, so that nobody can say whether
                   the token is good
    """

    def __init__(
        self,
        reason: ReasonCode,
        detail: str,
        *,
        key_id: str | None = None,
        keys_missing: bool = False,
    ) -> None:
        super().__init__(reason, detail)
        self.key_id = key_id
        self.keys_missing = keys_missing

    def verdict(self) -> OidcError:
        """What it becomes when rediscovery brought nothing: 401, or 503 with keys missing."""
        return IdpUnavailable(self.reason, self.detail) if self.keys_missing else self


class IdpUnavailable(OidcError):
    """The identity provider did not answer, or not with what it must: 503, never a login."""


class IdpRefused(OidcError):
    """The identity provider answered no (`invalid_grant`, `access_denied` …): 401."""


class NotConfigured(OidcError):
    """The configuration lacks something that is needed now, or it is wrong: 500."""


def quoted(value: object, limit_chars: int = 200) -> str:
    """A claim value for a log line: bounded, on one line, without control characters.

    Strings stand as they are, other values as Python writes them.
    """
    text = value if isinstance(value, str) else repr(value)
    start = text[:limit_chars]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in start)
    return f"{shown}…" if len(text) > limit_chars else shown
