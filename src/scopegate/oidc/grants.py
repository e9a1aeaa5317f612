"""Asking the token endpoint: for tokens in exchange for a code, for new ones with a refresh token.

Source: RFC 6749 §4.1.3, §5 and §6, OpenID Connect Core 1.0 §3.1.3 and §12, RFC 7636 §4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from scopegate.oidc.client_authentication import AuthMethod, ClientCredentials, authenticate
from scopegate.oidc.endpoint_url import Parameter
from scopegate.oidc.errors import IdpRefused, IdpUnavailable, NotConfigured, OidcError, quoted
from scopegate.oidc.http import HttpAnswer, HttpClient, HttpSettings
from scopegate.oidc.json_object import JsonRefused, parse_json_object
from scopegate.oidc.jws import TOKEN_CHARS_MAX
from scopegate.oidc.reasons import Reason

ANSWER_BYTES_MAX = 1024 * 1024
_EXPIRES_IN_MAX_S = 2**31

# What extra arguments must not touch: the grant, the credentials, PKCE (contract §19).
_RESERVED = frozenset(
    {
        "grant_type",
        "code",
        "redirect_uri",
        "code_verifier",
        "refresh_token",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
    }
)
_SECRET_ARGUMENTS = frozenset({"code", "code_verifier", "refresh_token"})
# RFC 6749 §5.2: no other grant of this client will fare better, so it is for the operator.
_ERRORS_OF_THE_CLIENT = frozenset(
    {"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
)
_IDP_FAILURES = frozenset({"server_error", "temporarily_unavailable", "slow_down"})


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """Where and as whom to ask.

    headers, arguments   extra ones; they cannot replace ours
    """

    url: str
    client: ClientCredentials
    auth_method: AuthMethod
    http: HttpSettings
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    arguments: tuple[Parameter, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A good answer of the token endpoint.

    expires_at_s   when the access token ends, counted from before the request; None: not said
    scope          the granted scope; None: as asked for (RFC 6749 §5.1)
    answer         the whole answer, as it came
    """

    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at_s: float | None
    scope: str | None
    answer: Mapping[str, Any] = field(repr=False)


async def redeem_code(
    http: HttpClient,
    endpoint: TokenEndpoint,
    *,
    code: str,
    redirect_uri: str,
    code_verifier: str | None,
    now_s: float,
) -> TokenSet:
    """Tokens for an authorization code; `redirect_uri` is the one of the authorization request.

    Raises IdpRefused: the code is not good (`invalid_grant` …).
    Raises NotConfigured: the client is not accepted.
    Raises IdpUnavailable: no answer, or not one that RFC 6749 §5 allows.
    """
    arguments = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect_uri),
    ]
    if code_verifier is not None:
        arguments.append(("code_verifier", code_verifier))
    return await _ask(http, endpoint, arguments, now_s)


async def refresh(
    http: HttpClient, endpoint: TokenEndpoint, *, refresh_token: str, now_s: float
) -> TokenSet:
    """New tokens for a refresh token; raises as `redeem_code` does.

    An answer without a refresh token leaves the former one in use (RFC 6749 §6), and it is in the
    result. An ID token need not come along (OpenID Connect Core §12.2); if it does, its subject
    must be checked (`oidc.tokens.check_same_issuer`, `check_same_subject`).
    """
    arguments = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)]
    return await _ask(http, endpoint, arguments, now_s)


async def _ask(
    http: HttpClient, endpoint: TokenEndpoint, arguments: list[Parameter], now_s: float
) -> TokenSet:
    proof = authenticate(endpoint.client, endpoint.auth_method)
    extra = [(name, value) for name, value in endpoint.arguments if name not in _RESERVED]
    headers = {name.lower(): value for name, value in endpoint.headers}
    headers.update(proof.headers)
    headers["accept"] = "application/json"
    headers["content-type"] = "application/x-www-form-urlencoded"
    answer = await http.request(
        "POST",
        endpoint.url,
        settings=endpoint.http,
        headers=headers,
        body=urlencode([*arguments, *proof.arguments, *extra]).encode("ascii"),
    )
    sent = dict(arguments)
    secrets = [endpoint.client.secret, *(sent[name] for name in _SECRET_ARGUMENTS & sent.keys())]
    document = _document(answer, secrets)
    return _token_set(document, sent.get("refresh_token"), now_s)


def _document(answer: HttpAnswer, secrets: Iterable[str]) -> Mapping[str, Any]:
    """The JSON object of a 200. Raises what the answer means otherwise."""
    status = answer.status
    if status in (408, 429) or not (status == 200 or 400 <= status < 500):
        raise IdpUnavailable(
            Reason.TOKEN_ENDPOINT_UNAVAILABLE, f"the token endpoint answered status {status}"
        )
    if len(answer.body) > ANSWER_BYTES_MAX:
        raise _invalid("is larger than 1 MiB")
    try:
        document = parse_json_object(answer.body)
    except JsonRefused:
        # A page of a proxy, a login page, an error page: nothing that speaks of the grant.
        raise IdpUnavailable(
            Reason.TOKEN_ENDPOINT_UNAVAILABLE,
            f"the token endpoint answered status {status} without a JSON object",
        ) from None
    # Some providers answer errors with status 200.
    if status != 200 or ("error" in document and "access_token" not in document):
        raise _error_of(document, status, secrets)
    return document


def _error_of(document: Mapping[str, Any], status: int, secrets: Iterable[str]) -> OidcError:
    error = document.get("error")
    if not isinstance(error, str) or not error:
        return IdpUnavailable(
            Reason.TOKEN_ENDPOINT_UNAVAILABLE,
            f"the token endpoint answered status {status} without saying an error",
        )
    detail = f"the token endpoint answered {quoted(error, 80)}"
    description = document.get("error_description")
    if isinstance(description, str) and description:
        detail += f" ({quoted(description)})"
    if any(secret in text for secret in secrets for text in (error, str(description))):
        # Some providers quote what they were sent.
        detail = "the token endpoint answered an error that quotes a secret"
    if error in _IDP_FAILURES:
        return IdpUnavailable(Reason.TOKEN_ENDPOINT_UNAVAILABLE, detail)
    if error in _ERRORS_OF_THE_CLIENT:
        return NotConfigured(Reason.CLIENT_REFUSED, detail)
    if error == "invalid_grant":
        return IdpRefused(Reason.INVALID_GRANT, detail)
    return IdpRefused(Reason.GRANT_REFUSED, detail)


def _token_set(document: Mapping[str, Any], refresh_token: str | None, now_s: float) -> TokenSet:
    access_token = _token(document, "access_token")
    if access_token is None:
        raise _invalid("has no access_token")
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise _invalid(f"has token_type {quoted(token_type, 40)}, Bearer was expected")
    scope = document.get("scope")
    if scope is not None and not isinstance(scope, str):
        raise _invalid("has a scope that is no string")
    expires_in_s = _expires_in_s(document)
    return TokenSet(
        access_token=access_token,
        id_token=_token(document, "id_token"),
        refresh_token=_token(document, "refresh_token") or refresh_token,
        expires_at_s=None if expires_in_s is None else now_s + expires_in_s,
        scope=scope,
        answer=document,
    )


def _token(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise _invalid(f"has an {name} that is no string")
    if len(value) > TOKEN_CHARS_MAX:
        raise _invalid(f"has an {name} of more than {TOKEN_CHARS_MAX} characters")
    if not value.isascii() or not value.isprintable():
        raise _invalid(f"has an {name} with odd characters")
    return value


def _expires_in_s(document: Mapping[str, Any]) -> float | None:
    """RFC 6749 §5.1 wants a number; some providers write digits in a string. Not below 0."""
    value = document.get("expires_in")
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid("has an expires_in that is no number")
    return float(min(max(value, 0), _EXPIRES_IN_MAX_S))


def _invalid(what: str) -> IdpUnavailable:
    return IdpUnavailable(Reason.TOKEN_ANSWER_INVALID, f"the token endpoint's answer {what}")
