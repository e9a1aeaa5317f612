"""Every reason of this package. What codes promise: `scopegate.reason_code`."""

from __future__ import annotations

from scopegate.reason_code import ReasonCode

_ASK_ITS_MAKER = (
    "No setting here helps. Ask whoever runs the client or the identity provider how it makes "
    "its tokens."
)
_LINE_HAS_IT = "The line has the claim. " + _ASK_ITS_MAKER
_SEND_THE_RIGHT_ONE = "Have the client send the access token that it got from the token endpoint."
_FOREIGN_LOGIN = (
    "Once: a stale or copied page, log in again. Often: somebody injects answers; look at the "
    "client addresses in the log."
)
_PROVIDER_LOG = "The line quotes its words; the identity provider's own log says more."
_REACH = (
    "The line names the host. Call it from this machine; look at DNS, firewall and the fields "
    "`http_proxy`, `https_proxy` and `no_proxy`."
)
_DOCUMENT = "The line names the URL and what is wrong; open it and compare `issuer` of the plugin."


class Reason(ReasonCode):
    """Why a token, a login or an answer of the identity provider is refused."""

    # The form of a token (RFC 7515, RFC 7519)
    TOKEN_TOO_LARGE = (
        "token_too_large",
        401,
        "The token is longer than 64 KiB.",
        "Have the identity provider put less into it; groups are the usual culprit.",
    )
    NOT_A_JWT = (
        "not_a_jwt",
        401,
        "The token is not three base64url parts that begin with a JSON header.",
        "An opaque token or something else: have the identity provider issue JWTs for this API; "
        "`introspection` is not built yet.",
    )
    TOKEN_ENCRYPTED = (
        "token_encrypted",
        401,
        "The token is encrypted (JWE); only signed JWTs are read.",
        "Switch encryption of access and ID tokens off for this client at the identity provider.",
    )
    HEADER_INVALID = (
        "header_invalid",
        401,
        "A member of the token's header has the wrong type.",
        _ASK_ITS_MAKER,
    )
    HEADER_MEMBER_REPEATED = (
        "header_member_repeated",
        401,
        "The token's header names a member twice.",
        _ASK_ITS_MAKER,
    )
    CRIT_NOT_UNDERSTOOD = (
        "crit_not_understood",
        401,
        "The token's header has crit: it demands an extension that is not understood here.",
        _ASK_ITS_MAKER,
    )
    B64_REFUSED = (
        "b64_refused",
        401,
        "The token's header has b64 (RFC 7797), which no JWT may use.",
        _ASK_ITS_MAKER,
    )
    EMBEDDED_KEY = (
        "embedded_key",
        401,
        "The token brings its own key; a key never comes from a token.",
        "Nearly always a forgery or a DPoP proof in the place of a token: look at the client "
        "address in the log.",
    )
    PAYLOAD_INVALID = (
        "payload_invalid",
        401,
        "The token's payload is not a base64url JSON object.",
        "The token was cut or changed on its way, or is no JWT: compare it with what the client "
        "was given.",
    )
    CLAIM_REPEATED = (
        "claim_repeated",
        401,
        "The token's payload names a member twice.",
        _ASK_ITS_MAKER,
    )

    # Algorithm, key and signature of a token (RFC 7518, RFC 8037, RFC 8725)
    ALG_MISSING = (
        "alg_missing",
        401,
        "The token's header names no algorithm.",
        _ASK_ITS_MAKER,
    )
    ALG_NONE = (
        "alg_none",
        401,
        "The token is not signed (alg none).",
        "Nearly always a forgery: look at the client address in the log.",
    )
    ALG_NOT_ALLOWED = (
        "alg_not_allowed",
        401,
        "The token's algorithm is not a signing algorithm we take.",
        "The line names it. Have the identity provider sign with RS256, PS256, ES256 or EdDSA.",
    )
    HS_NOT_ENABLED = (
        "hs_not_enabled",
        401,
        "The token is signed with a shared secret (HS*), and `enable_hs_signatures` is off.",
        "Have the identity provider sign with a key of its own (RS256 …); only if it cannot, set "
        "`enable_hs_signatures`.",
    )
    SECRET_TOO_SHORT = (
        "secret_too_short",
        401,
        "The client secret is shorter than the hash of the HS* algorithm (RFC 7518 §3.2).",
        "Make a new secret at the identity provider, as long as the hash (32 bytes for HS256), "
        "and set `client_secret`.",
    )
    SECRET_UNUSABLE = (
        "secret_unusable",
        500,
        "The client secret is empty or is itself a key or certificate; it cannot check HS* tokens.",
        "Set `client_secret` to a random secret, or switch `enable_hs_signatures` off.",
    )
    KEY_UNKNOWN = (
        "key_unknown",
        (401, 503),
        "The issuer publishes no key with the token's key id. 503: some of its keys could not be "
        "fetched, so that nobody can say.",
        "The line names the key id. A token of another realm or a former key: get a new one. After "
        "a rotation of keys the new ones are fetched at once; where several unknown key ids came "
        "shortly before, within `rediscovery_lifetime`. Compare the issuer's `jwks_uri`. With 503 "
        "see the findings.",
    )
    KEY_AMBIGUOUS = (
        "key_ambiguous",
        401,
        "Several keys of the issuer fit the token, and nothing tells which one signed it.",
        "Have the identity provider give each key a key id (kid) of its own.",
    )
    KEY_UNSUITABLE = (
        "key_unsuitable",
        401,
        "The key with the token's key id is of another type or for another algorithm.",
        "Compare alg and kid in the token's header with that key in the issuer's key set; if no "
        "rotation is under way, it is a forgery.",
    )
    KEY_TOO_WEAK = (
        "key_too_weak",
        401,
        "The key that signed the token is an RSA key under 2048 bits.",
        "Have the identity provider sign with a longer key; such a one can be broken.",
    )
    SIGNATURE_LENGTH_INVALID = (
        "signature_length_invalid",
        401,
        "The signature has not the length that its algorithm and key demand.",
        "The token was cut or changed, or signed by another key: get a new one.",
    )
    SIGNATURE_INVALID = (
        "signature_invalid",
        401,
        "The signature does not fit the token and the key.",
        "The token was changed or forged, or comes from another realm whose key has the same id: "
        "get a new one. If new ones fail too, `issuer` of the plugin is not who signs.",
    )

    # Kind of a token (RFC 8725 §3.11, RFC 9068)
    TYPE_UNKNOWN = (
        "type_unknown",
        401,
        "The token's header says a type (typ) that is not taken here.",
        "The line names the type. " + _SEND_THE_RIGHT_ONE,
    )
    ID_TOKEN_PRESENTED = (
        "id_token_presented",
        401,
        "An ID token stands where an access token must be.",
        _SEND_THE_RIGHT_ONE,
    )
    ACCESS_TOKEN_PRESENTED = (
        "access_token_presented",
        401,
        "An access token stands where an ID token must be.",
        "The token endpoint put it there: look at the client's mappers at the identity provider.",
    )
    REFRESH_TOKEN_PRESENTED = (
        "refresh_token_presented",
        401,
        "The token is a refresh or offline token.",
        _SEND_THE_RIGHT_ONE,
    )
    LOGOUT_TOKEN_PRESENTED = (
        "logout_token_presented",
        401,
        "The token is a logout token or another security event.",
        _SEND_THE_RIGHT_ONE,
    )
    DPOP_PROOF_PRESENTED = (
        "dpop_proof_presented",
        401,
        "The token is a DPoP proof.",
        _SEND_THE_RIGHT_ONE + " DPoP is not built yet.",
    )
    INTROSPECTION_ANSWER_PRESENTED = (
        "introspection_answer_presented",
        401,
        "The token is a signed introspection answer (RFC 9701).",
        _SEND_THE_RIGHT_ONE,
    )
    AUTHORIZATION_ANSWER_PRESENTED = (
        "authorization_answer_presented",
        401,
        "The token is a signed authorization response (JARM).",
        _SEND_THE_RIGHT_ONE,
    )

    # Claims of a token (RFC 7519 §4, OpenID Connect Core §3.1.3.7)
    ISS_INVALID = (
        "iss_invalid",
        401,
        "The claim iss is absent or no string.",
        _LINE_HAS_IT,
    )
    ISSUER_NOT_ALLOWED = (
        "issuer_not_allowed",
        401,
        "The token comes from an issuer that is not allowed.",
        "The line has the token's issuer and the expected one. Another realm: the client must log "
        "in there. The same provider under another name: list the token's in `issuers_allowed`.",
    )
    SUB_INVALID = (
        "sub_invalid",
        401,
        "The claim sub is no string, or absent or empty in an ID token.",
        _LINE_HAS_IT,
    )
    EXP_MISSING = (
        "exp_missing",
        401,
        "The token never expires: it has no exp.",
        _ASK_ITS_MAKER,
    )
    EXP_INVALID = (
        "exp_invalid",
        401,
        "The claim exp is no sensible number of seconds.",
        _LINE_HAS_IT,
    )
    TOKEN_EXPIRED = (
        "token_expired",
        401,
        "The token has expired.",
        "The line says since when. The client must get a new token. If fresh ones "
        "are refused, a clock is wrong: compare this machine's with the identity provider's; "
        "`leeway` forgives a few seconds.",
    )
    NBF_INVALID = (
        "nbf_invalid",
        401,
        "The claim nbf is no sensible number of seconds.",
        _LINE_HAS_IT,
    )
    TOKEN_NOT_YET_VALID = (
        "token_not_yet_valid",
        401,
        "The token is not valid yet (nbf).",
        "The line says by how much. Compare this machine's clock with the identity provider's; "
        "`leeway` forgives a few seconds.",
    )
    IAT_MISSING = (
        "iat_missing",
        401,
        "An ID token must say when it was issued (iat).",
        _ASK_ITS_MAKER,
    )
    IAT_INVALID = (
        "iat_invalid",
        401,
        "The claim iat is no sensible number of seconds.",
        _LINE_HAS_IT,
    )
    TOKEN_FROM_THE_FUTURE = (
        "token_from_the_future",
        401,
        "The token was issued in the future (iat).",
        "The line says by how much. Compare this machine's clock with the identity provider's; "
        "`leeway` forgives a few seconds.",
    )
    AUD_INVALID = (
        "aud_invalid",
        401,
        "The claim aud is no string and no list of strings.",
        _LINE_HAS_IT,
    )
    AUDIENCE_MISMATCH = (
        "audience_mismatch",
        401,
        "The token is for somebody else (aud).",
        "The line has the token's audience and the expected one. Have the identity provider put "
        "that into the client's tokens (Keycloak: an audience mapper), or correct `audience` "
        "(`client_id` for ID tokens).",
    )
    AZP_MISSING = (
        "azp_missing",
        401,
        "An ID token for several audiences must name its client (azp).",
        _LINE_HAS_IT,
    )
    AZP_MISMATCH = (
        "azp_mismatch",
        401,
        "The ID token was issued to another client (azp).",
        "The line has both. Compare `client_id` with the client at the identity provider.",
    )
    NONCE_MISSING = (
        "nonce_missing",
        401,
        "The ID token has no nonce, but one was sent.",
        "The identity provider must return it; only if it cannot, set `verify_nonce=false`.",
    )
    NONCE_MISMATCH = (
        "nonce_mismatch",
        401,
        "The ID token belongs to another login (nonce).",
        _FOREIGN_LOGIN,
    )
    AT_HASH_MISMATCH = (
        "at_hash_mismatch",
        401,
        "The access token is not the one that the ID token was issued with (at_hash).",
        _ASK_ITS_MAKER,
    )
    AUTH_TIME_MISSING = (
        "auth_time_missing",
        401,
        "The token does not say when the user logged in (auth_time), and `max_age` is set.",
        "Have the identity provider put auth_time into the token, or unset `max_age`.",
    )
    AUTH_TIME_INVALID = (
        "auth_time_invalid",
        401,
        "The claim auth_time is no sensible number of seconds, or lies in the future.",
        "If it lies in the future, compare the clocks; `leeway` forgives a few seconds.",
    )
    LOGIN_TOO_OLD = (
        "login_too_old",
        401,
        "The user logged in longer ago than `max_age` allows.",
        "The user must log in again; if that comes too often, raise `max_age`.",
    )
    DOMAIN_NOT_ALLOWED = (
        "domain_not_allowed",
        401,
        "The user's domain (hd) is absent or not allowed.",
        "The line has it. If the user may pass, add the domain to `domains`.",
    )
    SUBJECT_CHANGED = (
        "subject_changed",
        401,
        "The identity provider now speaks of another user, or of nobody that could be compared.",
        "The session is over; the user logs in again. If it repeats, ask the identity provider "
        "why a refresh brings tokens of somebody else, or names nobody where it did before.",
    )
    ISSUER_CHANGED = (
        "issuer_changed",
        401,
        "A refreshed token comes from another issuer.",
        "The session is over; the user logs in again. If it repeats, the identity provider "
        "answers under several names: give it one.",
    )

    # The way back from a login (RFC 6749 §4.1.2, RFC 9207)
    CALLBACK_PARAMETER_REPEATED = (
        "callback_parameter_repeated",
        401,
        "The authorization response repeats a parameter.",
        _FOREIGN_LOGIN,
    )
    CALLBACK_PARAMETER_TOO_LARGE = (
        "callback_parameter_too_large",
        401,
        "A parameter of the authorization response is too long.",
        "The line names it. " + _FOREIGN_LOGIN,
    )
    CALLBACK_INVALID = (
        "callback_invalid",
        401,
        "The authorization response has no state, or neither or both of code and error.",
        _FOREIGN_LOGIN,
    )
    CALLBACK_ISS_MISSING = (
        "callback_iss_missing",
        401,
        "The authorization response lacks iss, which the identity provider promises (RFC 9207).",
        "Something between browser and gateway drops the argument, or the provider breaks its "
        "promise: look at the URL of the callback in the browser.",
    )
    CALLBACK_ISS_MISMATCH = (
        "callback_iss_mismatch",
        401,
        "The authorization response comes from another issuer (RFC 9207).",
        "The line has both. If the provider goes by two names, list them in `issuers_allowed`; "
        "otherwise it is an attack.",
    )
    ACCESS_DENIED = (
        "access_denied",
        401,
        "The user or the identity provider declined the login.",
        "The line quotes why. Nothing to do if the user pressed cancel; else look whether the "
        "user may use this client at the identity provider.",
    )
    LOGIN_REFUSED = (
        "login_refused",
        (401, 503),
        "The identity provider refused the login with an error. 503: it says that the fault is "
        "its own.",
        _PROVIDER_LOG + " Often it does not know one of `scopes`.",
    )

    # Answers of the token endpoint (RFC 6749 §5)
    INVALID_GRANT = (
        "invalid_grant",
        401,
        "The code or refresh token is expired, used, revoked or another client's.",
        "Once: a login that took too long, or was ended at the provider; log in again. If every "
        "login fails, compare `redirect_uri` and `client_id` with the client at the provider.",
    )
    GRANT_REFUSED = (
        "grant_refused",
        401,
        "The token endpoint refused the grant with an error.",
        _PROVIDER_LOG,
    )
    CLIENT_REFUSED = (
        "client_refused",
        500,
        "The token endpoint does not accept this client, its secret, its grant or its scopes.",
        "The line quotes the error. Compare `client_id`, `client_secret` and "
        "`token_endpoint_auth_method` with the client at the identity provider: the secret may "
        "have been changed there.",
    )
    TOKEN_ANSWER_INVALID = (
        "token_answer_invalid",
        503,
        "The token endpoint's answer is not what RFC 6749 §5 demands.",
        "The line says what is wrong. Look whether `token_endpoint` is the right URL.",
    )
    TOKEN_ENDPOINT_UNAVAILABLE = (
        "token_endpoint_unavailable",
        503,
        "The token endpoint fails: 429, 5xx, a redirect or an answer that is not JSON.",
        "The line has its status. Look at the identity provider's health and log, and at whatever "
        "stands before it.",
    )

    # Reaching the identity provider
    IDP_TIMEOUT = (
        "idp_timeout",
        503,
        "The identity provider did not answer in time.",
        "Look at its health and at the network between; `timeout` of the plugin is the limit, in "
        "milliseconds.",
    )
    IDP_UNREACHABLE = (
        "idp_unreachable",
        503,
        "No connection to the identity provider.",
        _REACH,
    )
    IDP_TLS_FAILED = (
        "idp_tls_failed",
        503,
        "The identity provider's certificate is not trusted.",
        "The line says why. Renew it there, or name the company's authority in the setting "
        "`lua_ssl_trusted_certificate`; do not switch `ssl_verify` off.",
    )
    IDP_ANSWER_INVALID = (
        "idp_answer_invalid",
        503,
        "The identity provider's answer is no valid HTTP.",
        "The line names the host. Look at what stands between: a proxy, a port that speaks "
        "something else.",
    )
    IDP_ANSWER_TOO_LARGE = (
        "idp_answer_too_large",
        503,
        "The identity provider's answer is too large.",
        "The line names the host and the limit. No sane answer is that large: look at the "
        "configured URL.",
    )

    # Discovery and keys (OpenID Connect Discovery 1.0, RFC 8414, RFC 7517)
    DISCOVERY_FAILED = (
        "discovery_failed",
        503,
        "The discovery document cannot be fetched.",
        _DOCUMENT,
    )
    DISCOVERY_INVALID = (
        "discovery_invalid",
        503,
        "The discovery document is not what it must be.",
        _DOCUMENT,
    )
    DISCOVERY_ISSUER_MISMATCH = (
        "discovery_issuer_mismatch",
        503,
        "The discovery document names another issuer than the one it was fetched for.",
        "The line has both. Configure the issuer that the document names, or list that one in "
        "`issuers_allowed`.",
    )
    DISCOVERY_DOWNGRADE = (
        "discovery_downgrade",
        503,
        "The discovery document of an https issuer names an endpoint without TLS.",
        "Tell the identity provider that it stands behind TLS (Keycloak: `hostname`, "
        "`proxy-headers`).",
    )
    DISCOVERY_INCOMPLETE = (
        "discovery_incomplete",
        503,
        "A part of what the issuer publishes, most often a key set, cannot be fetched; the rest is "
        "used.",
        "The line names the URLs and what is wrong with them.",
    )
    JWKS_FAILED = (
        "jwks_failed",
        503,
        "The issuer's keys cannot be fetched.",
        "The line names the URL and its status; it comes from the discovery document, "
        "`jwks_endpoint` or `extra_jwks_uris`.",
    )
    JWKS_INVALID = (
        "jwks_invalid",
        503,
        "The issuer's key set is not what it must be.",
        "The line names the URL and what is wrong; look whether it is a key set at all.",
    )

    # Configuration that lacks something
    ISSUER_URL_INVALID = (
        "issuer_url_invalid",
        503,
        "The configured issuer is no http(s) URL.",
        "Set `issuer` to the issuer's URL, or `using_pseudo_issuer` if it is only a name.",
    )
    ENDPOINT_MISSING = (
        "endpoint_missing",
        500,
        "An endpoint is needed that is neither configured nor in the discovery document.",
        "Set the field that the line names.",
    )
    CLIENT_ID_MISSING = (
        "client_id_missing",
        500,
        "A client id is needed and not configured.",
        "Set `client_id`, or take `authorization_code` and `refresh_token` out of `auth_methods`.",
    )
    CLIENT_SECRET_MISSING = (
        "client_secret_missing",
        500,
        "A client secret is needed, none configured.",
        "Set `client_secret`; the line names the client.",
    )
    CLIENT_AUTH_NOT_SUPPORTED = (
        "client_auth_not_supported",
        500,
        "The way of client authentication is not client_secret_basic or client_secret_post.",
        "Set `client_auth` or `token_endpoint_auth_method` to one of them, and the client at the "
        "identity provider alike.",
    )


GROUPS = {
    "The form of a token": Reason.TOKEN_TOO_LARGE,
    "Algorithm, key and signature of a token": Reason.ALG_MISSING,
    "The kind of a token": Reason.TYPE_UNKNOWN,
    "What a token claims": Reason.ISS_INVALID,
    "The way back from a login": Reason.CALLBACK_PARAMETER_REPEATED,
    "Answers of the token endpoint": Reason.INVALID_GRANT,
    "Reaching the identity provider": Reason.IDP_TIMEOUT,
    "The identity provider's metadata and keys": Reason.DISCOVERY_FAILED,
    "A plugin's configuration that lacks something": Reason.ISSUER_URL_INVALID,
}
"""Title of a group of reasons → the first of them."""
