"""Reading an authorization request. Source: OpenID Connect Core §3.1.2, RFC 6749 §4.1, RFC 7636."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from scopegate_demo.idp.realm import Client, Realm
from scopegate_demo.idp.redirects import redirect_allowed

RESPONSE_MODES = ("query", "form_post")
PROMPTS = ("none", "login", "select_account")

_CODE_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that may be answered at its `redirect_uri`. `max_age_s` None: any age will do."""

    client: Client
    redirect_uri: str
    response_mode: str
    state: str | None = field(default=None, repr=False)
    nonce: str | None = field(default=None, repr=False)
    scope: tuple[str, ...] = ()
    code_challenge: str | None = None
    prompt: tuple[str, ...] = ()
    max_age_s: int | None = None
    login_hint: str = ""


class NotAnswerable(Exception):
    """There is no address that the answer could safely go to: a page for the person."""


class AuthorizationRefused(Exception):
    """An error for the client, by way of the browser. Source: RFC 6749 §4.1.2.1."""

    def __init__(self, answer_to: AuthorizationRequest, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.answer_to = answer_to
        self.error = error
        self.description = description


def read_authorization_request(
    parameters: Iterable[tuple[str, str]], realm: Realm
) -> AuthorizationRequest:
    """Raises NotAnswerable, AuthorizationRefused."""
    values: dict[str, str] = {}
    repeated = []
    for name, value in parameters:
        if name in values:
            repeated.append(name)
        values[name] = value
    client = realm.client(values.get("client_id", ""))
    if client is None or "client_id" in repeated:
        raise NotAnswerable("The application is not known here.")
    redirect_uri = values.get("redirect_uri", "")
    if "redirect_uri" in repeated or not redirect_allowed(redirect_uri, client.redirect_uris):
        raise NotAnswerable(
            "The application asked to be answered at an address that is not its own."
        )

    mode = values.get("response_mode", "query")
    answerable = AuthorizationRequest(
        client,
        redirect_uri,
        mode if mode in RESPONSE_MODES else "query",
        state=None if "state" in repeated else values.get("state"),
    )
    _refuse_what_is_wrong(values, repeated, mode, answerable)
    return AuthorizationRequest(
        client,
        redirect_uri,
        mode,
        state=answerable.state,
        nonce=values.get("nonce"),
        scope=_scope(values, answerable, realm),
        code_challenge=_code_challenge(values, answerable),
        prompt=_prompt(values, answerable),
        max_age_s=_max_age_s(values, answerable),
        login_hint=values.get("login_hint", ""),
    )


def _refuse_what_is_wrong(
    values: dict[str, str], repeated: list[str], mode: str, request: AuthorizationRequest
) -> None:
    if repeated:
        raise AuthorizationRefused(request, "invalid_request", f"{repeated[0]} is repeated")
    if mode not in RESPONSE_MODES:
        raise AuthorizationRefused(request, "invalid_request", "unsupported response_mode")
    if "request" in values:
        raise AuthorizationRefused(request, "request_not_supported", "no request objects")
    if "request_uri" in values:
        raise AuthorizationRefused(request, "request_uri_not_supported", "no request objects")
    if "response_type" not in values:
        raise AuthorizationRefused(request, "invalid_request", "response_type is missing")
    if values["response_type"] != "code":
        raise AuthorizationRefused(request, "unsupported_response_type", "only code is supported")


def _scope(values: dict[str, str], request: AuthorizationRequest, realm: Realm) -> tuple[str, ...]:
    scope = tuple(values.get("scope", "").split())
    for word in scope:
        if not realm.knows_scope(word):
            raise AuthorizationRefused(request, "invalid_scope", "scope has an unknown word")
    return scope


def _code_challenge(values: dict[str, str], request: AuthorizationRequest) -> str | None:
    challenge = values.get("code_challenge")
    if challenge is None:
        if "code_challenge_method" in values:
            raise AuthorizationRefused(request, "invalid_request", "code_challenge is missing")
        return None
    if values.get("code_challenge_method", "plain") != "S256":
        raise AuthorizationRefused(
            request, "invalid_request", "code_challenge_method has to be S256"
        )
    if not _CODE_CHALLENGE.fullmatch(challenge):
        raise AuthorizationRefused(request, "invalid_request", "code_challenge is malformed")
    return challenge


def _prompt(values: dict[str, str], request: AuthorizationRequest) -> tuple[str, ...]:
    prompt = tuple(values.get("prompt", "").split())
    if "none" in prompt and len(prompt) > 1:
        raise AuthorizationRefused(request, "invalid_request", "prompt: none stands alone")
    if "consent" in prompt:
        raise AuthorizationRefused(request, "consent_required", "there is no consent page here")
    if any(word not in PROMPTS for word in prompt):
        raise AuthorizationRefused(request, "invalid_request", "prompt has an unknown word")
    return prompt


def _max_age_s(values: dict[str, str], request: AuthorizationRequest) -> int | None:
    max_age = values.get("max_age")
    if max_age is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", max_age):
        raise AuthorizationRefused(request, "invalid_request", "max_age has to be seconds")
    return int(max_age)
