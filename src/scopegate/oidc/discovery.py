"""Learning about an issuer: its discovery document, then its keys.

How it is done, once. When it is done, and done again: `app/control/issuer_book.py`.

Source: OpenID Connect Discovery 1.0 §4, RFC 8414 §3, contract openid-connect.md §11 and §14.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from scopegate.oidc.discovery_document import (
    DiscoveryDocument,
    discovery_url,
    issuer_of,
    read_document,
)
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.http import HttpClient, HttpSettings
from scopegate.oidc.issuer_facts import IssuerFacts, Jwk, KeySource, Origin
from scopegate.oidc.jwks import read_jwks
from scopegate.oidc.reasons import Reason


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """What is configured about an issuer.

    issuer            the issuer or the URL of its discovery document
    discover          False: no document is fetched, `issuer` is only the expected `iss`
    issuers_allowed   issuers that the document may name besides the one it was fetched for
    jwks_endpoint     a key set instead of the document's
    extra_jwks_uris   further key sets
    headers           sent along with every fetch
    """

    issuer: str
    http: HttpSettings
    discover: bool = True
    issuers_allowed: tuple[str, ...] = ()
    jwks_endpoint: str | None = None
    extra_jwks_uris: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was learned.

    problems      sentences about what is not as it should be, for log and findings
    is_complete   False: something could not be fetched and is missing or as it was before; worth
                  another try soon
    """

    facts: IssuerFacts
    problems: tuple[str, ...]
    is_complete: bool


async def fetch_issuer(
    http: HttpClient, settings: DiscoverySettings, *, previous: IssuerFacts | None
) -> Discovered:
    """The document and all key sets of an issuer.

    previous   what was known before, for the same settings. What cannot be fetched now keeps its
               former value, so that one part's outage does not hide another part's news.
    A document that was never seen is fatal unless `jwks_endpoint` is configured: then tokens can
    be verified all the same, and `iss` is compared with the configured issuer (contract §11).
    Raises IdpUnavailable: too little for anything, or nothing that was not known before.
    Raises NotConfigured: `issuer` is no URL although a document is wanted.
    """
    failures: list[IdpUnavailable] = []
    document = DiscoveryDocument(IssuerFacts(settings.issuer, Origin.CONFIGURATION), None)
    if settings.discover:
        try:
            document = await _fetch_document(http, settings)
        except IdpUnavailable as error:
            failures.append(error)
            document = _former_document(settings, previous, error)

    main_uri = settings.jwks_endpoint or document.jwks_uri
    uris = list(dict.fromkeys([*([main_uri] if main_uri else []), *settings.extra_jwks_uris]))
    former = {source.uri: source.keys for source in previous.key_sources} if previous else {}
    answers = await asyncio.gather(*(_fetch_keys(http, uri, settings) for uri in uris))

    problems = [] if uris else ["the issuer names no key set, and none is configured"]
    sources = []
    for uri, answer in zip(uris, answers, strict=True):
        if isinstance(answer, IdpUnavailable):
            failures.append(answer)
            keys = former.get(uri)
        else:
            keys, broken = answer
            problems += [f"{uri}: {problem}" for problem in broken]
        sources.append(KeySource(uri, is_main=uri == main_uri, keys=keys))

    facts = replace(document.facts, key_sources=tuple(sources))
    nothing_to_verify_with = bool(sources) and all(source.keys is None for source in sources)
    if failures and (nothing_to_verify_with or facts == previous):
        raise failures[0]
    problems = [failure.detail for failure in failures] + problems
    return Discovered(facts, tuple(problems), is_complete=not failures)


async def probe_issuer(
    http: HttpClient, settings: DiscoverySettings, known: IssuerFacts, is_token_endpoint: bool
) -> None:
    """Whether the issuer answers at all. Raises IdpUnavailable.

    is_token_endpoint   probe that one, too
    Any status below 500 will do: a token endpoint refuses a GET, and that is an answer.
    """
    urls: list[tuple[str, Reason]] = []
    if settings.discover:
        urls.append((discovery_url(settings.issuer), Reason.DISCOVERY_FAILED))
    elif known.key_sources:
        urls.append((known.key_sources[0].uri, Reason.JWKS_FAILED))
    if is_token_endpoint and known.endpoints.token is not None:
        urls.append((known.endpoints.token, Reason.TOKEN_ENDPOINT_UNAVAILABLE))
    for url, failure in urls:
        headers = {"accept": "application/json"}
        if failure is not Reason.TOKEN_ENDPOINT_UNAVAILABLE:
            headers.update((name.lower(), value) for name, value in settings.headers)
        answer = await http.request("GET", url, settings=settings.http, headers=headers)
        if answer.status >= 500:
            raise IdpUnavailable(failure, f"{url}: status {answer.status}")


async def _fetch_document(http: HttpClient, settings: DiscoverySettings) -> DiscoveryDocument:
    url = discovery_url(settings.issuer)
    body = await _get(http, url, settings, Reason.DISCOVERY_FAILED)
    try:
        return read_document(body, settings.issuer, settings.issuers_allowed)
    except IdpUnavailable as error:
        raise IdpUnavailable(error.reason, f"{url}: {error.detail}") from error


def _former_document(
    settings: DiscoverySettings, previous: IssuerFacts | None, failure: IdpUnavailable
) -> DiscoveryDocument:
    """What stands in for a document that cannot be had now. Raises the failure if nothing can."""
    if previous is not None and previous.origin is Origin.DOCUMENT:
        main_uri = next((source.uri for source in previous.key_sources if source.is_main), None)
        return DiscoveryDocument(previous, main_uri)
    if settings.jwks_endpoint is None:
        raise failure
    return DiscoveryDocument(IssuerFacts(issuer_of(settings.issuer), Origin.UNREACHABLE), None)


async def _fetch_keys(
    http: HttpClient, uri: str, settings: DiscoverySettings
) -> tuple[tuple[Jwk, ...], tuple[str, ...]] | IdpUnavailable:
    """The keys and what is wrong with others, or why there are none: returned, not raised, so that
    the other key sets are still read."""
    try:
        body = await _get(http, uri, settings, Reason.JWKS_FAILED)
    except IdpUnavailable as error:
        return error
    try:
        return read_jwks(body)
    except IdpUnavailable as error:
        return IdpUnavailable(error.reason, f"{uri}: {error.detail}")


async def _get(http: HttpClient, url: str, settings: DiscoverySettings, failure: Reason) -> bytes:
    headers = {"accept": "application/json"}
    headers.update((name.lower(), value) for name, value in settings.headers)
    answer = await http.request("GET", url, settings=settings.http, headers=headers)
    if 300 <= answer.status < 400:
        raise IdpUnavailable(
            failure,
            f"{url}: status {answer.status}; redirects are not followed, configure the final URL",
        )
    if answer.status != 200:
        raise IdpUnavailable(failure, f"{url}: status {answer.status} instead of 200")
    return answer.body
