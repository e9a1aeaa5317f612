"""Every reason of this package. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode

_LOG_IN_AGAIN = "Nothing, unless people complain of many logins: then raise "
_NEXT_REQUEST = "The next request tries again; if it goes on, the lines before name the cause."


class SessionReason(ReasonCode):
    """Why a session does not open, or cannot be refreshed."""

    SESSION_NOT_AUTHENTIC = (
        "session_not_authentic",
        401,
        "The session cookie was not sealed by this gateway for this plugin, or was changed.",
        "Usual after a change of `session_secret`, of the client, or of anything else that a "
        "login rests on: log in again. Where plugins share a cookie name on a host, give each its "
        "`session_cookie_name`, or the same issuer, client, scopes and secret.",
    )
    SESSION_BOUND_ELSEWHERE = (
        "session_bound_elsewhere",
        401,
        "What `session_bind` names is not what it was when the session cookie was written.",
        "The browser's address, scheme or user agent changed: log in again. If it happens often, "
        "take out of `session_bind` what changes. Otherwise somebody uses a copied cookie.",
    )
    SESSION_ABSOLUTE_TIMEOUT = (
        "session_absolute_timeout",
        401,
        "The session is older than `session_absolute_timeout`.",
        _LOG_IN_AGAIN + "`session_absolute_timeout`.",
    )
    SESSION_ROLLING_TIMEOUT = (
        "session_rolling_timeout",
        401,
        "The session was not renewed within `session_rolling_timeout`.",
        _LOG_IN_AGAIN + "`session_rolling_timeout`.",
    )
    SESSION_IDLING_TIMEOUT = (
        "session_idling_timeout",
        401,
        "The session was not used for `session_idling_timeout`.",
        _LOG_IN_AGAIN + "`session_idling_timeout`.",
    )
    REFRESH_TOOK_TOO_LONG = (
        "refresh_took_too_long",
        503,
        "A refresh of the session's tokens was not done in time.",
        "The identity provider's token endpoint is slow: look at its health, and at `timeout`.",
    )
    REFRESH_WAIT_EXCEEDED = (
        "refresh_wait_exceeded",
        503,
        "Another worker refreshes the tokens of this session and does not come to an end.",
        _NEXT_REQUEST,
    )
    REFRESH_FAILED = (
        "refresh_failed",
        503,
        "The refresh failed in another worker, for a reason that is not known here.",
        "Look for that worker's line `unexpected error while deciding` just before.",
    )
    REFRESH_OUTCOME_UNREADABLE = (
        "refresh_outcome_unreadable",
        503,
        "Another worker refreshed the tokens and left them sealed with a key that this one lacks.",
        "Passes by itself: it happens for seconds after a change of `session_secret` or an update.",
    )
