"""Every reason code of this package with what it means: logs, metrics, docs and tests rely on it.

A code is never renamed and never reused for something else.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A stable code; `explanation` is one line for people."""

    explanation: str

    def __new__(cls, code: str, explanation: str) -> Reason:
        reason = str.__new__(cls, code)
        reason._value_ = code
        reason.explanation = explanation
        return reason

    # The form of a token (RFC 7515, RFC 7519)
    TOKEN_TOO_LARGE = "token_too_large", "The token is longer than 64 KiB."
    NOT_A_JWT = "not_a_jwt", "The token is not three base64url parts that begin with a JSON header."
    TOKEN_ENCRYPTED = "token_encrypted", "The token is encrypted (JWE); only signed JWTs are read."
    HEADER_INVALID = "header_invalid", "A member of the token's header has the wrong type."
    HEADER_MEMBER_REPEATED = (
        "header_member_repeated",
        "The token's header names a member twice.",
    )
    CRIT_NOT_UNDERSTOOD = (
        "crit_not_understood",
        "The token's header has crit: it demands an extension that is not understood here.",
    )
    B64_REFUSED = "b64_refused", "The token's header has b64 (RFC 7797), which no JWT may use."
    EMBEDDED_KEY = "embedded_key", "The token brings its own key; a key never comes from a token."
    PAYLOAD_INVALID = "payload_invalid", "The token's payload is not a base64url JSON object."
    CLAIM_REPEATED = "claim_repeated", "The token's payload names a member twice."

    # Algorithm, key, signature (RFC 7518, RFC 8037, RFC 8725)
    ALG_MISSING = "alg_missing", "The token's header names no algorithm."
    ALG_NONE = "alg_none", "The token is not signed (alg none)."
    ALG_NOT_ALLOWED = "alg_not_allowed", "The token's algorithm is not a signing algorithm we take."
    HS_NOT_ENABLED = (
        "hs_not_enabled",
        "The token is signed with a shared secret (HS*), and enable_hs_signatures is off.",
    )
    SECRET_TOO_SHORT = (
        "secret_too_short",
        "The client secret is shorter than the hash of the HS* algorithm (RFC 7518 §3.2).",
    )
    SECRET_UNUSABLE = (
        "secret_unusable",
        "The client secret is empty or is itself a key or certificate; it cannot check HS* tokens.",
    )
    KEY_UNKNOWN = "key_unknown", "The issuer publishes no key with the token's key id."
    KEY_AMBIGUOUS = (
        "key_ambiguous",
        "Several keys of the issuer fit the token, and nothing tells which one signed it.",
    )
    KEY_UNSUITABLE = (
        "key_unsuitable",
        "The key with the token's key id is of another type or for another algorithm.",
    )
    KEY_TOO_WEAK = "key_too_weak", "The key that signed the token is an RSA key under 2048 bits."
    SIGNATURE_LENGTH_INVALID = (
        "signature_length_invalid",
        "The signature has not the length that its algorithm and key demand.",
    )
    SIGNATURE_INVALID = "signature_invalid", "The signature does not fit the token and the key."

    # What kind of token it is (RFC 8725 §3.11, RFC 9068)
    TYPE_UNKNOWN = "type_unknown", "The token's header says a type (typ) that is not taken here."
    ID_TOKEN_PRESENTED = "id_token_presented", "An ID token stands where an access token must be."
    ACCESS_TOKEN_PRESENTED = (
        "access_token_presented",
        "An access token stands where an ID token must be.",
    )
    REFRESH_TOKEN_PRESENTED = "refresh_token_presented", "The token is a refresh or offline token."
    LOGOUT_TOKEN_PRESENTED = (
        "logout_token_presented",
        "The token is a logout token or another security event.",
    )
    DPOP_PROOF_PRESENTED = "dpop_proof_presented", "The token is a DPoP proof."
    INTROSPECTION_ANSWER_PRESENTED = (
        "introspection_answer_presented",
        "The token is a signed introspection answer (RFC 9701).",
    )
    AUTHORIZATION_ANSWER_PRESENTED = (
        "authorization_answer_presented",
        "The token is a signed authorization response (JARM).",
    )

    # Claims (RFC 7519 §4, OpenID Connect Core §3.1.3.7)
    ISS_INVALID = "iss_invalid", "The claim iss is absent or no string."
    ISSUER_NOT_ALLOWED = "issuer_not_allowed", "The token comes from an issuer that is not allowed."
    SUB_INVALID = "sub_invalid", "The claim sub is no string, or absent or empty in an ID token."
    EXP_MISSING = "exp_missing", "The token never expires: it has no exp."
    EXP_INVALID = "exp_invalid", "The claim exp is no sensible number of seconds."
    TOKEN_EXPIRED = "token_expired", "The token has expired."
    NBF_INVALID = "nbf_invalid", "The claim nbf is no sensible number of seconds."
    TOKEN_NOT_YET_VALID = "token_not_yet_valid", "The token is not valid yet (nbf)."
    IAT_MISSING = "iat_missing", "An ID token must say when it was issued (iat)."
    IAT_INVALID = "iat_invalid", "The claim iat is no sensible number of seconds."
    TOKEN_FROM_THE_FUTURE = "token_from_the_future", "The token was issued in the future (iat)."
    AUD_INVALID = "aud_invalid", "The claim aud is no string and no list of strings."
    AUDIENCE_MISMATCH = "audience_mismatch", "The token is for somebody else (aud)."
    AZP_MISSING = "azp_missing", "An ID token for several audiences must name its client (azp)."
    AZP_MISMATCH = "azp_mismatch", "The ID token was issued to another client (azp)."
    NONCE_MISSING = "nonce_missing", "The ID token has no nonce, but one was sent."
    NONCE_MISMATCH = "nonce_mismatch", "The ID token belongs to another login (nonce)."
    AT_HASH_MISMATCH = (
        "at_hash_mismatch",
        "The access token is not the one that the ID token was issued with (at_hash).",
    )
    AUTH_TIME_MISSING = (
        "auth_time_missing",
        "The token does not say when the user logged in (auth_time), and max_age is set.",
    )
    AUTH_TIME_INVALID = (
        "auth_time_invalid",
        "The claim auth_time is no sensible number of seconds, or lies in the future.",
    )
    LOGIN_TOO_OLD = "login_too_old", "The user logged in longer ago than max_age allows."
    DOMAIN_NOT_ALLOWED = "domain_not_allowed", "The user's domain (hd) is absent or not allowed."
    SUBJECT_CHANGED = "subject_changed", "The identity provider now speaks of another user."
    ISSUER_CHANGED = "issuer_changed", "The refreshed ID token comes from another issuer."

    # The way back from a login (RFC 6749 §4.1.2, RFC 9207)
    CALLBACK_PARAMETER_REPEATED = (
        "callback_parameter_repeated",
        "The authorization response repeats a parameter.",
    )
    CALLBACK_PARAMETER_TOO_LARGE = (
        "callback_parameter_too_large",
        "A parameter of the authorization response is too long.",
    )
    CALLBACK_INVALID = (
        "callback_invalid",
        "The authorization response has no state, or neither or both of code and error.",
    )
    CALLBACK_ISS_MISSING = (
        "callback_iss_missing",
        "The authorization response lacks iss, which the identity provider promises (RFC 9207).",
    )
    CALLBACK_ISS_MISMATCH = (
        "callback_iss_mismatch",
        "The authorization response comes from another issuer (RFC 9207).",
    )
    ACCESS_DENIED = "access_denied", "The user or the identity provider declined the login."
    LOGIN_REFUSED = "login_refused", "The identity provider refused the login with an error."

    # Answers of the token endpoint (RFC 6749 §5)
    INVALID_GRANT = (
        "invalid_grant",
        "The code or refresh token is expired, used, revoked or another client's.",
    )
    GRANT_REFUSED = "grant_refused", "The token endpoint refused the grant with an error."
    CLIENT_REFUSED = (
        "client_refused",
        "The token endpoint does not accept this client, its secret, its grant or its scopes.",
    )
    TOKEN_ANSWER_INVALID = (
        "token_answer_invalid",
        "The token endpoint's answer is not what RFC 6749 §5 demands.",
    )
    TOKEN_ENDPOINT_UNAVAILABLE = (
        "token_endpoint_unavailable",
        "The token endpoint fails: 429, 5xx, a redirect or an answer that is not JSON.",
    )

    # Reaching the identity provider
    IDP_TIMEOUT = "idp_timeout", "The identity provider did not answer in time."
    IDP_UNREACHABLE = "idp_unreachable", "No connection to the identity provider."
    IDP_TLS_FAILED = "idp_tls_failed", "The identity provider's certificate is not trusted."
    IDP_ANSWER_INVALID = "idp_answer_invalid", "The identity provider's answer is no valid HTTP."
    IDP_ANSWER_TOO_LARGE = "idp_answer_too_large", "The identity provider's answer is too large."

    # Discovery and keys (OpenID Connect Discovery 1.0, RFC 8414, RFC 7517)
    DISCOVERY_FAILED = "discovery_failed", "The discovery document cannot be fetched."
    DISCOVERY_INVALID = "discovery_invalid", "The discovery document is not what it must be."
    DISCOVERY_ISSUER_MISMATCH = (
        "discovery_issuer_mismatch",
        "The discovery document names another issuer than the one it was fetched for.",
    )
    DISCOVERY_DOWNGRADE = (
        "discovery_downgrade",
        "The discovery document of an https issuer names an endpoint without TLS.",
    )
    JWKS_FAILED = "jwks_failed", "The issuer's keys cannot be fetched."
    JWKS_INVALID = "jwks_invalid", "The issuer's key set is not what it must be."

    # Configuration
    ISSUER_URL_INVALID = "issuer_url_invalid", "The configured issuer is no http(s) URL."
    ENDPOINT_MISSING = (
        "endpoint_missing",
        "An endpoint is needed that is neither configured nor in the discovery document.",
    )
    CLIENT_ID_MISSING = "client_id_missing", "A client id is needed and not configured."
    CLIENT_SECRET_MISSING = "client_secret_missing", "A client secret is needed, none configured."
    CLIENT_AUTH_NOT_SUPPORTED = (
        "client_auth_not_supported",
        "The way of client authentication is not client_secret_basic or client_secret_post.",
    )
