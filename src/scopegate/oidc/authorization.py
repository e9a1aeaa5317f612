"""The authorization request and the response to it.

State, nonce and PKCE verifier come from outside: `session/login_state.py` makes them, and the last
two again at the callback. Here the verifier becomes the challenge that is sent.

Source: RFC 6749 §4.1.1 and §4.1.2, OpenID Connect Core 1.0 §3.1.2, RFC 7636 §4, RFC 9207 §2,
RFC 9700 §4.7; contract openid-connect.md §4 and §17.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from scopegate.oidc.base64url import encode_base64url
from scopegate.oidc.endpoint_url import Parameter, with_parameters
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, OidcError, quoted
from scopegate.oidc.reasons import Reason

PARAMETER_CHARS_MAX = 8192

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# Never to be taken from a client's query or an operator's list, whether we send them or not:
# `request` and `request_uri` would replace all the others (RFC 9101 §6.3).
_RESERVED = frozenset(
    {
        "response_type",
        "response_mode",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
    }
)
_RESPONSE_PARAMETERS = ("state", "code", "iss", "error", "error_description", "error_uri")
_IDP_FAILURES = frozenset({"server_error", "temporarily_unavailable"})
_VSCHAR = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a login asks for. None: not sent.

    code_verifier   PKCE's secret; only its S256 challenge is sent
    """

    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str = field(repr=False)
    nonce: str | None = field(repr=False)
    code_verifier: str | None = field(repr=False)
    response_mode: str | None = None
    audience: tuple[str, ...] = ()
    max_age_s: int | None = None


def authorization_url(
    endpoint: str, request: AuthorizationRequest, extra: Iterable[Parameter] = ()
) -> str:
    """The URL to send the browser to.

    extra   further parameters (`login_hint`, `prompt` …), of one name the first; none of them can
            override ours or what stands in the endpoint's own query
    """
    parameters: list[Parameter] = [
        ("response_type", "code"),
        ("client_id", request.client_id),
        ("redirect_uri", request.redirect_uri),
        ("state", request.state),
    ]
    if request.scopes:
        parameters.append(("scope", " ".join(request.scopes)))
    if request.nonce is not None:
        parameters.append(("nonce", request.nonce))
    if request.code_verifier is not None:
        parameters.append(("code_challenge", code_challenge(request.code_verifier)))
        parameters.append(("code_challenge_method", "S256"))
    if request.response_mode is not None:
        parameters.append(("response_mode", request.response_mode))
    if request.audience:
        parameters.append(("audience", " ".join(request.audience)))
    if request.max_age_s is not None:
        parameters.append(("max_age", str(request.max_age_s)))
    return with_parameters(endpoint, parameters, extra, _RESERVED)


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2).

    Raises ValueError for a verifier that is not 43 to 128 unreserved characters (§4.1).
    """
    if not _VERIFIER.fullmatch(code_verifier):
        raise ValueError("a code verifier has 43 to 128 unreserved characters")
    return encode_base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """What came back through the browser. Nothing of it is believed yet."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    iss: str | None
    error: str | None
    error_description: str | None = field(repr=False)


def read_authorization_response(parameters: Iterable[Parameter]) -> AuthorizationResponse:
    """The response in a query or form; other parameters are of no concern.

    Raises IdpRefused: a parameter of the response twice (RFC 6749 §3.1), one that is too long, no
    state, not exactly one of code and error, a code of impossible characters (Appendix A.11).
    """
    found: dict[str, str] = {}
    for name, value in parameters:
        if name not in _RESPONSE_PARAMETERS:
            continue
        if name in found:
            raise IdpRefused(Reason.CALLBACK_PARAMETER_REPEATED, f"{name} is repeated")
        if len(value) > PARAMETER_CHARS_MAX:
            raise IdpRefused(Reason.CALLBACK_PARAMETER_TOO_LARGE, f"{name} is too long")
        found[name] = value
    state, code, error = found.get("state"), found.get("code"), found.get("error")
    if not state:
        raise IdpRefused(Reason.CALLBACK_INVALID, "the authorization response has no state")
    if (code is None) == (error is None):
        raise IdpRefused(
            Reason.CALLBACK_INVALID, "the authorization response has not one of code and error"
        )
    if code is not None and not _VSCHAR.fullmatch(code):
        raise IdpRefused(Reason.CALLBACK_INVALID, "the code is empty or has odd characters")
    return AuthorizationResponse(
        state=state,
        code=code,
        iss=found.get("iss"),
        error=error,
        error_description=found.get("error_description"),
    )


def accept_authorization_response(
    response: AuthorizationResponse, *, issuers: Collection[str], iss_promised: bool
) -> str:
    """The code of a response whose `state` the caller has found to be of a login of this browser.

    issuers        whose response it may be: `iss` is compared whenever it is there
    iss_promised   the issuer's metadata says that its responses carry `iss`: then they must
    Raises IdpRefused: another issuer (RFC 9207 §2.4), a login that was declined or failed.
    Raises IdpUnavailable: the identity provider says that it failed itself.
    """
    if response.iss is None:
        if iss_promised:
            raise IdpRefused(
                Reason.CALLBACK_ISS_MISSING, "the authorization response does not say its issuer"
            )
    elif response.iss not in issuers:
        raise IdpRefused(
            Reason.CALLBACK_ISS_MISMATCH,
            f"the authorization response is of issuer {quoted(response.iss)}, "
            f"{quoted(' or '.join(issuers))} was expected",
        )
    if response.code is None:
        raise _error_of(response)
    return response.code


def _error_of(response: AuthorizationResponse) -> OidcError:
    """RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6."""
    detail = f"the identity provider answered {quoted(response.error, 80)}"
    if response.error_description:
        detail += f" ({quoted(response.error_description)})"
    if response.error in _IDP_FAILURES:
        return IdpUnavailable(Reason.LOGIN_REFUSED, detail)
    if response.error == "access_denied":
        return IdpRefused(Reason.ACCESS_DENIED, detail)
    return IdpRefused(Reason.LOGIN_REFUSED, detail)
