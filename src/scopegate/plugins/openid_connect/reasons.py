"""Every reason of this plugin, by what comes of it. What codes promise: `scopegate.reason_code`.

What is wrong with a token or with the identity provider is said by `oidc.reasons`, with a session
by `session.reasons`.
"""

from __future__ import annotations

from scopegate.reason_code import ReasonCode

_FOUND = (
    "The line lists what the token has (`[ ]`: no such claim, or an opaque token) and under "
    "`required` what would do. "
)
_COMPARE_CLAIM = "If the claim is another one, correct "


class AccessReason(ReasonCode):
    """Why a request is refused."""

    # Who it is: 401
    NO_CREDENTIAL = (
        "no_credential",
        401,
        "The request brings no credential: no session cookie of this plugin, no token.",
        "The client must send one. If it does: is it where `auth_methods` and "
        "`bearer_token_param_type` look, and does something on the way drop the Authorization "
        "header? Browsers are sent to the "
        "login only for pages, not for calls of scripts.",
    )
    BODY_TOO_LARGE = (
        "body_too_large",
        401,
        "No credential was found, and the body is too large to be looked into for one.",
        "Have the client send its token in the Authorization header.",
    )
    CALLBACK_STATE_INVALID = (
        "callback_state_invalid",
        401,
        "The answer of the identity provider belongs to no login that was begun here.",
        "Once: a stale or copied page, log in again. If every login ends so, the plugin at the "
        "`redirect_uri` is not the one that began it: the two must agree in issuer, client, "
        "scopes and `authorization_cookie_name`.",
    )
    LOGIN_ATTEMPTS_EXHAUSTED = (
        "login_attempts_exhausted",
        401,
        "The browser came back from the login several times without the login cookie.",
        "Cookies are blocked, or never come back: compare the host and scheme of `redirect_uri` "
        "with those that the browser shows, and look at `authorization_cookie_domain`, `_path`, "
        "`_secure` and `_same_site` (`form_post` needs `None`, and that needs https).",
    )
    ID_TOKEN_MISSING = (
        "id_token_missing",
        401,
        "The token endpoint sent no ID token although the scope openid was asked for.",
        "The provider speaks OAuth 2.0 only, or the client lacks openid: put that right there, or "
        "take `openid` out of `scopes`.",
    )
    SESSION_ENDED = (
        "session_ended",
        401,
        "The session was ended: by a logout, a newer login, a refusal or a renewal.",
        "Nothing; a copy of an old cookie was used. Many from one address are worth a look.",
    )
    SESSION_METHOD_NOT_ENABLED = (
        "session_method_not_enabled",
        401,
        "The session was begun by a method that this plugin does not take.",
        "Another plugin shares the cookie's name: give each its own `session_cookie_name`, or add "
        "the method to `auth_methods` (and take it out of `disable_session`).",
    )
    SESSION_TOKEN_EXPIRED = (
        "session_token_expired",
        401,
        "The session's access token has expired, and there is no way to refresh it.",
        "If sessions shall last longer than the token, have the identity provider issue refresh "
        "tokens (`offline_access` in `scopes` for some), and leave `refresh_tokens` on.",
    )
    JWT_SESSION_MISMATCH = (
        "jwt_session_mismatch",
        401,
        "The token is good only beside the cookie that its claim names, and that is not there.",
        "The client must send the cookie `jwt_session_cookie` with the value of the claim "
        "`jwt_session_claim`. Otherwise somebody uses a token apart from its browser.",
    )

    # What it may: 403
    SCOPES_MISSING = (
        "scopes_missing",
        403,
        "None of `scopes_required` is in the token.",
        _FOUND + "Have the identity provider give the user or "
        "client the scope, and the client ask for it (`scopes`). "
        + _COMPARE_CLAIM
        + "`scopes_claim`.",
    )
    AUDIENCE_MISSING = (
        "audience_missing",
        403,
        "None of `audience_required` is in the token.",
        _FOUND + "Have the identity provider put the audience into "
        "the client's tokens. " + _COMPARE_CLAIM + "`audience_claim`.",
    )
    GROUPS_MISSING = (
        "groups_missing",
        403,
        "None of `groups_required` is in the token.",
        _FOUND + "Put the user into the group, and look whether the "
        "identity provider writes groups into access tokens. " + _COMPARE_CLAIM + "`groups_claim`.",
    )
    ROLES_MISSING = (
        "roles_missing",
        403,
        "None of `roles_required` is in the token.",
        _FOUND
        + "Give the user the role. "
        + _COMPARE_CLAIM
        + "`roles_claim` (Keycloak: `realm_access`, `roles`).",
    )
    CLAIM_FORBIDDEN = (
        "claim_forbidden",
        403,
        "The token has a claim of `claims_forbidden`.",
        "The line names it. The user may not pass, or `claims_forbidden` says too much.",
    )
    CLAIMS_UNKNOWN = (
        "claims_unknown",
        403,
        "The token is opaque, so that nobody can say whether it has a forbidden claim.",
        "Have the identity provider issue JWTs, or empty `claims_forbidden`.",
    )
    CONSUMER_NOT_FOUND = (
        "consumer_not_found",
        403,
        "The token names no consumer, and one is needed.",
        "The line names the claim. Create the consumer, correct `consumer_claims` or "
        "`consumer_by`, or set `consumer_optional`.",
    )
    CONSUMER_AMBIGUOUS = (
        "consumer_ambiguous",
        403,
        "Several consumers differ only in the case of the username.",
        "Delete or rename all but one of them, or switch `by_username_ignore_case` off.",
    )

    # What cannot be read in one way only: 400
    CREDENTIAL_REPEATED = (
        "credential_repeated",
        400,
        "The request brings more than one token: which of them counts would be a guess.",
        "The client must send one, in one place. Where the application itself has a field "
        "`access_token`, narrow `bearer_token_param_type`.",
    )
    FORM_ENCODED = (
        "form_encoded",
        400,
        "A form with a Content-Encoding cannot be looked into for a token, and the upstream may "
        "read one there.",
        "The client must send the form as it is. Where forms are the application's, take `body` "
        "out of `bearer_token_param_type` (and of `refresh_token_param_type`, if that is used).",
    )
    COOKIE_REPEATED = (
        "cookie_repeated",
        400,
        "A cookie of the gateway came twice: which of them counts would be a guess.",
        "The answer removes it, so that the next request works. If not: the cookie's domain or "
        "path was changed, or another application sets a cookie of this name.",
    )
    RETURN_TARGET_TOO_LONG = (
        "return_target_too_long",
        400,
        "The path that was asked for is too long to come back to after a login.",
        "No setting helps; paths of about a thousand characters fit.",
    )

    # What the gateway lacks: 500 and 503
    ANONYMOUS_MISSING = (
        "anonymous_missing",
        500,
        "The consumer that `anonymous` names does not exist.",
        "Create it, or correct `anonymous`; the line has the name.",
    )
    SESSION_TOO_LARGE = (
        "session_too_large",
        500,
        "The session does not fit into the cookies that a browser takes.",
        "The tokens are too long: have the identity provider put less into them (groups are the "
        "usual culprit).",
    )
    ISSUER_UNKNOWN = (
        "issuer_unknown",
        503,
        "The issuer's metadata and keys are not known yet.",
        "Usual for a second after a change. If it goes on, the findings say why the issuer does "
        "not answer.",
    )
    SHARED_STATE_UNAVAILABLE = (
        "shared_state_unavailable",
        503,
        "The store of ended sessions and used logins (`state.db`) does not answer.",
        "Look at the disk of the setting `prefix`: full, read-only, failing?",
    )


class PassReason(ReasonCode):
    """Why a request passes, is redirected or answered."""

    ANONYMOUS = "anonymous", (), "Nobody was authenticated; on as the consumer of `anonymous`.", ""
    PREFLIGHT = "preflight", (), "A CORS preflight, with `run_on_preflight=false`.", ""
    LOGIN_STARTED = "login_started", 302, "Off to the identity provider.", ""
    LOGIN_REPEATED = (
        "login_repeated",
        302,
        "A login came back a second time; back to the page, where the session opens.",
        "",
    )
    LOGIN_REDIRECT = "login_redirect", 302, "Logged in; on to where `login_action` says.", ""
    LOGIN_RESPONSE = "login_response", 200, "Logged in; the answer has the tokens.", ""
    LOGOUT = "logout", (200, 302), "The session is over.", ""


class AsideReason(ReasonCode):
    """What went less well than it should on the way to a yes."""

    HEADER_VALUE_UNSAFE = (
        "header_value_unsafe",
        (),
        "A claim has a control character or a blank at one of its ends, so that its header was "
        "left out; a group, of several, also for a comma in its name.",
        "The line names the header. Look at the user's claim at the identity provider.",
    )
    ID_TOKEN_HINT_TOO_LONG = (
        "id_token_hint_too_long",
        (),
        "The ID token is too long for the logout's URL; the provider asks the user instead.",
        "Have the identity provider put less into ID tokens.",
    )


class ConfigFinding(ReasonCode):
    """What a configuration does less than it says."""

    AUTH_METHODS_NOT_BUILT = (
        "auth_methods_not_built",
        (),
        "`auth_methods` names methods that are not built yet; they let nobody in.",
        "Take them out of `auth_methods`.",
    )
    VERIFY_SIGNATURE_OFF = (
        "verify_signature_off",
        (),
        "Signatures of tokens from the token endpoint are not verified.",
        "Set `verify_signature=true`.",
    )
    VERIFY_CLAIMS_OFF = (
        "verify_claims_off",
        (),
        "Expired tokens and tokens for others pass.",
        "Set `verify_claims=true`; false is for debugging.",
    )
    SSL_VERIFY_OFF = (
        "ssl_verify_off",
        (),
        "Anybody on the way can pose as the identity provider.",
        "Set `ssl_verify=true`; an authority of your own goes into the setting "
        "`lua_ssl_trusted_certificate`.",
    )
    SESSION_SECRET_SHORT = (
        "session_secret_short",
        (),
        "`session_secret` can be guessed; whoever does makes sessions of his own.",
        "Set 32 random characters, or unset it: then the gateway uses a secret that it made.",
    )
    LOGIN_REDIRECT_WITHOUT_SESSION = (
        "login_redirect_without_session",
        (),
        "With `login_action=redirect` the browser would come to a page that does not know it: the "
        "request goes on to the upstream instead.",
        "Set `login_redirect_uri`, or let logins begin sessions.",
    )


GROUPS = {
    "Who it is": AccessReason.NO_CREDENTIAL,
    "What it may": AccessReason.SCOPES_MISSING,
    "What cannot be read in one way only": AccessReason.CREDENTIAL_REPEATED,
    "What the gateway lacks": AccessReason.ANONYMOUS_MISSING,
}
"""Title of a group of reasons → the first of them."""
