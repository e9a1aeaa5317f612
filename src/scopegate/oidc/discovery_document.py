"""Discovery documents: where an issuer's lies, and reading one.

Source: OpenID Connect Discovery 1.0 §3 and §4, RFC 8414 §2, §3 and §5, RFC 9207 §3.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from scopegate.oidc.errors import IdpUnavailable, NotConfigured, quoted
from scopegate.oidc.issuer_facts import Endpoints, IssuerFacts, Origin
from scopegate.oidc.json_object import JsonRefused, parse_json_object
from scopegate.oidc.jwks import DOCUMENT_BYTES_MAX
from scopegate.oidc.reasons import Reason

_OPENID = "/.well-known/openid-configuration"
_OAUTH = "/.well-known/oauth-authorization-server"
_LIST_MAX = 1000
_NOT_IN_URLS = frozenset(" #\\")


def discovery_url(issuer: str) -> str:
    """Where the discovery document of a configured issuer lies.

    The issuer itself gets `/.well-known/openid-configuration` appended; a URL of a document is
    taken as it is, be the well-known part at its end or, as RFC 8414 §3.1 has it, behind the host.
    A query stays (some providers choose a policy with it).
    Raises NotConfigured: no http or https URL, or one with a user name or fragment.
    """
    parts = urlsplit(_checked(issuer))
    if _issuer_path(parts.path) is not None:
        return issuer
    path = parts.path.rstrip("/") + _OPENID
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def issuer_of(issuer: str) -> str:
    """The issuer that a configured issuer or document URL stands for, as far as a URL can tell.

    Raises NotConfigured like `discovery_url`.
    """
    parts = urlsplit(_checked(issuer))
    path = _issuer_path(parts.path)
    if path is None:
        return issuer
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _issuer_path(path: str) -> str | None:
    """The issuer's path when this is a document's, else None."""
    path = path.rstrip("/")
    for well_known in (_OPENID, _OAUTH):
        if path.endswith(well_known):
            return path.removesuffix(well_known)
        if path.startswith(well_known + "/"):
            return path.removeprefix(well_known)
    return None


def _checked(issuer: str) -> str:
    if not is_http_url(issuer):
        raise NotConfigured(
            Reason.ISSUER_URL_INVALID,
            "issuer must be an http or https URL without user name, fragment and blanks",
        )
    return issuer


def is_http_url(text: str) -> bool:
    """An absolute http or https URL of printable ASCII without user name, fragment and blanks."""
    if not text.isascii() or not text.isprintable() or not _NOT_IN_URLS.isdisjoint(text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and port != 0
    )


@dataclass(frozen=True, slots=True)
class DiscoveryDocument:
    """What a document says. `facts` are without keys."""

    facts: IssuerFacts
    jwks_uri: str | None


def read_document(
    body: bytes, configured_issuer: str, issuers_allowed: Collection[str]
) -> DiscoveryDocument:
    """The document that was fetched for a configured issuer.

    Its `issuer` must be the one it was fetched for (OpenID Connect Discovery §4.3, RFC 8414 §3.3),
    else one party could speak for another. Two things are let pass: a different slash at the end
    (§4.1 drops it when it builds the URL, so the URL cannot tell), and an issuer that the operator
    lists in `issuers_allowed` (fetched under an internal name, or providers whose document
    addresses differ from their issuer). So the document of Entra's `common` tenant, whose issuer is
    the pattern `https://login.microsoftonline.com/{tenantid}/v2.0` and no issuer at all, is
    refused: configure the tenant's own issuer.
    Raises IdpUnavailable, naming the member that is wrong.
    """
    if len(body) > DOCUMENT_BYTES_MAX:
        raise _invalid("is larger than 1 MiB")
    try:
        document = parse_json_object(body)
    except JsonRefused as error:
        raise _invalid(f"is bad: {error}") from error
    issuer = _text(document, "issuer")
    if issuer is None:
        raise _invalid("has no issuer")
    expected = issuer_of(configured_issuer)
    if issuer.rstrip("/") != expected.rstrip("/") and issuer not in issuers_allowed:
        raise IdpUnavailable(
            Reason.DISCOVERY_ISSUER_MISMATCH,
            f"the document fetched for issuer {quoted(expected)} names issuer {quoted(issuer)}; "
            "configure that one, or list it in issuers_allowed",
        )
    endpoints = {name: _url(document, f"{name}_endpoint", issuer) for name in Endpoints.names()}
    return DiscoveryDocument(
        facts=IssuerFacts(
            issuer=issuer,
            origin=Origin.DOCUMENT,
            endpoints=Endpoints(**endpoints),
            code_challenge_methods=_texts(document, "code_challenge_methods_supported"),
            token_endpoint_auth_methods=_texts(document, "token_endpoint_auth_methods_supported"),
            response_modes=_texts(document, "response_modes_supported"),
            id_token_signing_algs=_texts(document, "id_token_signing_alg_values_supported"),
            promises_iss_in_response=_flag(
                document, "authorization_response_iss_parameter_supported"
            ),
        ),
        jwks_uri=_url(document, "jwks_uri", issuer),
    )


def _text(document: Mapping[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"has a {name} that is no string")
    return value or None


def _url(document: Mapping[str, Any], name: str, issuer: str) -> str | None:
    url = _text(document, name)
    if url is None:
        return None
    if not is_http_url(url):
        raise _invalid(f"has a {name} that is no http or https URL")
    if issuer.startswith("https:") and not url.startswith("https:"):
        raise IdpUnavailable(
            Reason.DISCOVERY_DOWNGRADE, f"the issuer is reached by https, its {name} is not"
        )
    return url


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = document.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _LIST_MAX:
        raise _invalid(f"has a {name} that is no list of at most {_LIST_MAX} strings")
    if not all(isinstance(item, str) for item in value):
        raise _invalid(f"has a {name} that is no list of strings")
    return tuple(sorted(set(value)))


def _flag(document: Mapping[str, Any], name: str) -> bool:
    value = document.get(name)
    if value is not None and not isinstance(value, bool):
        raise _invalid(f"has a {name} that is neither true nor false")
    return bool(value)


def _invalid(what: str) -> IdpUnavailable:
    return IdpUnavailable(Reason.DISCOVERY_INVALID, f"the discovery document {what}")
