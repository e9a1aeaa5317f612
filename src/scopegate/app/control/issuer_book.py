"""The issuers that configured plugins name: their metadata and keys, fetched and kept fresh.

Control alone asks an identity provider for these, so that unknown key ids cost an issuer at most
two fetches per `rediscovery_lifetime`, whatever is presented to however many workers (contract
openid-connect.md §22 point 4, `fetch_budget.py`). What was learned is kept in the store: a restart
needs no identity provider. A fetch that fails keeps what was known and is tried again within
seconds.

Here is when an issuer is asked; what is asked, and how: `oidc/discovery.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from scopegate.app.control.fetch_budget import FetchBudget, Pause
from scopegate.app.control.issuer_watch import IssuerWatch, Probe
from scopegate.entities.finding import Finding
from scopegate.oidc.discovery import Discovered, DiscoverySettings
from scopegate.oidc.errors import OidcError
from scopegate.oidc.issuer_facts import IssuerFacts
from scopegate.oidc.reasons import Reason
from scopegate.plugins.issuer_requests import IssuerRequest
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.reason_code import ReasonCode
from scopegate.store.protocol import Store, StoreUnavailable

log = structlog.get_logger("scopegate.issuers")

Facts = Mapping[str, Any]
Fetch = Callable[[DiscoverySettings, IssuerFacts | None], Awaitable[Discovered]]

FIRST_RETRY_S = 1.0  # after a failure; twice as long after each further one
RETRY_S = 5.0  # and never longer than that; contract openid-connect.md §11
LEAST_PAUSE_S = 0.1  # between two questions of a worker about the same
WAIT_S = 3.0  # how long a worker's question may wait for a fetch (contract §22 point 7)


@dataclass(slots=True)
class _Issuer:
    request: IssuerRequest
    budget: FetchBudget
    facts: Facts | None = None
    fetched_at_s: float = 0.0
    due_at_s: float = 0.0
    failures: int = 0
    problem: OidcError | None = None
    fetch: asyncio.Task[None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The answer to a worker. `facts` None: nothing newer; do not ask again for `retry_in_s`.

    one_key_id        the worker may ask about other key ids meanwhile
    problem, detail   why what is known is not the newest; detail for the log
    """

    facts: Facts | None
    retry_in_s: float
    one_key_id: bool = False
    problem: ReasonCode | None = None
    detail: str = ""


class IssuerBook:
    """All issuers that the configuration names, by the key of their request."""

    def __init__(
        self,
        fetch: Fetch,
        probe: Probe,
        store: Store,
        changed: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._store = store
        self._changed = changed
        self._now = now
        self._issuers: dict[str, _Issuer] = {}
        self._remembered: Mapping[str, Mapping[str, Any]] = {}
        self._woken = asyncio.Event()
        self._watch = IssuerWatch(probe, self._known_and_well, now)

    async def load(self) -> None:
        """Read what earlier processes learned."""
        self._remembered = await self._store.facts()

    def want(self, requests: Iterable[IssuerRequest]) -> None:
        """From now on keep these issuers, and forget all others."""
        wanted = {request.key: request for request in requests}
        for key in self._issuers.keys() - wanted.keys():
            gone = self._issuers.pop(key)
            if gone.fetch is not None:
                gone.fetch.cancel()
        for key, request in wanted.items():
            if key in self._issuers:
                self._issuers[key].request = request
                continue
            issuer = _Issuer(request, FetchBudget(request.rediscovery_lifetime_s))
            remembered = self._remembered.get(key)
            if remembered is not None:
                issuer.facts = remembered["facts"]
                issuer.fetched_at_s = remembered["fetched_at_s"]
                issuer.due_at_s = issuer.fetched_at_s + request.cache_ttl_s
            self._issuers[key] = issuer
        self._watch.want(wanted.values())
        self._woken.set()

    def facts(self) -> Mapping[str, Facts]:
        """What is known, by key."""
        return {
            key: issuer.facts for key, issuer in self._issuers.items() if issuer.facts is not None
        }

    def findings(self) -> Sequence[Finding]:
        """Issuers that do not answer."""
        return [
            Finding(
                level="warning" if issuer.facts is not None else "error",
                code=problem.reason,
                kind="plugins",
                id=plugin_id,
                message=f"issuer {issuer.request.discovery.issuer}: {problem.detail}",
            )
            for key, issuer in self._issuers.items()
            if (problem := issuer.problem or self._watch.outage(key)) is not None
            for plugin_id in issuer.request.plugin_ids
        ]

    def up(self) -> Mapping[str, bool]:
        """Issuer → whether its last refresh worked, and it answers."""
        return {
            issuer.request.discovery.issuer: issuer.problem is None
            and issuer.facts is not None
            and self._watch.outage(key) is None
            for key, issuer in self._issuers.items()
        }

    def suspect(self, key: str) -> None:
        """A worker's call to the issuer's token endpoint failed."""
        self._watch.suspect(key)

    def _known_and_well(self, key: str) -> IssuerFacts | None:
        issuer = self._issuers.get(key)
        if issuer is None or issuer.facts is None or issuer.problem is not None:
            return None
        return IssuerFacts.from_json(issuer.facts)

    async def run(self) -> None:
        """Fetch whatever is due, and watch who answers, for ever."""
        watching = asyncio.create_task(self._watch.run())
        try:
            await self._fetch_for_ever()
        finally:
            watching.cancel()

    async def _fetch_for_ever(self) -> None:
        while True:
            self._woken.clear()
            now_s = self._now()
            for issuer in self._issuers.values():
                if issuer.due_at_s <= now_s:
                    self._start(issuer)
            await self._sleep()

    async def _sleep(self) -> None:
        """Until an issuer that is not being fetched is due, or something changes."""
        waiting = [issuer.due_at_s for issuer in self._issuers.values() if issuer.fetch is None]
        delay_s = min(waiting) - self._now() if waiting else None
        try:
            async with asyncio.timeout(delay_s if delay_s is None else max(delay_s, 0.01)):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def refresh(
        self, key: str, have: Callable[[Facts], bool], key_id: str | None = None
    ) -> Refreshed:
        """Newer facts for a worker whose facts are `have`, fetched now if that is allowed.

        `key_id`: of the token that needs a key; None for a token without one.
        """
        issuer = self._issuers.get(key)
        if issuer is None:
            return Refreshed(None, RETRY_S, problem=AccessReason.ISSUER_UNKNOWN)
        try:
            async with asyncio.timeout(WAIT_S):
                pause = await self._newer(issuer, have, key_id)
        except TimeoutError:
            pause = self._pause(issuer, key_id)
        if issuer.facts is not None and not have(issuer.facts):
            return Refreshed(issuer.facts, 0.0)
        return _nothing_newer(issuer, pause)

    async def _newer(
        self, issuer: _Issuer, have: Callable[[Facts], bool], key_id: str | None
    ) -> Pause:
        """Wait until there is something newer, or no fetch for this key id is allowed."""
        while issuer.facts is None or have(issuer.facts):
            if issuer.fetch is not None:
                # It may have read the keys before the wanted one was published.
                await asyncio.wait({issuer.fetch})
                continue
            pause = self._pause(issuer, key_id)
            if pause.seconds > 0:
                return pause
            fetch = self._start_for(issuer, key_id)
            await asyncio.wait({fetch})
            break
        return self._pause(issuer, key_id)

    def _pause(self, issuer: _Issuer, key_id: str | None) -> Pause:
        """How long the identity provider is not asked again on a worker's word."""
        now_s = self._now()
        if issuer.problem is not None:
            return Pause(issuer.due_at_s - now_s)
        if issuer.facts is None:
            return Pause(0.0)
        return issuer.budget.pause(key_id, now_s)

    def _start_for(self, issuer: _Issuer, key_id: str | None) -> asyncio.Task[None]:
        """Fetch on a worker's word; only one that could be left alone counts."""
        is_extra = issuer.problem is None and issuer.facts is not None
        if is_extra:
            issuer.budget.spend(key_id, self._now())
        return self._start(issuer, is_extra=is_extra)

    def _start(self, issuer: _Issuer, *, is_extra: bool = False) -> asyncio.Task[None]:
        if issuer.fetch is None:
            issuer.fetch = asyncio.create_task(self._run_fetch(issuer, is_extra=is_extra))
        return issuer.fetch

    async def _run_fetch(self, issuer: _Issuer, *, is_extra: bool) -> None:
        request = issuer.request
        try:
            previous = IssuerFacts.from_json(issuer.facts) if issuer.facts is not None else None
            discovered = await self._fetch(request.discovery, previous)
        except OidcError as problem:
            self._failed(issuer, problem)
        except Exception as problem:  # noqa: BLE001 - an odd document must not end the refreshing
            self._failed(issuer, OidcError(Reason.DISCOVERY_FAILED, type(problem).__name__))
        else:
            await self._succeeded(issuer, request, discovered)
        finally:
            if is_extra and issuer.problem is not None:
                issuer.budget.refund()
            issuer.fetch = None
            self._woken.set()

    def _failed(self, issuer: _Issuer, problem: OidcError) -> None:
        first = issuer.problem is None
        issuer.failures += 1
        issuer.problem = problem
        issuer.due_at_s = self._now() + _retry_s(issuer.failures)
        tell = log.warning if first else log.debug
        tell(
            "issuer does not answer",
            issuer=issuer.request.discovery.issuer,
            reason=problem.reason,
            detail=problem.detail,
        )
        if first:
            self._changed()

    async def _succeeded(
        self, issuer: _Issuer, request: IssuerRequest, discovered: Discovered
    ) -> None:
        now_s, facts = self._now(), discovered.facts.to_json()
        news = facts != issuer.facts or issuer.problem is not None
        issuer.facts, issuer.fetched_at_s = facts, now_s
        if discovered.is_complete:
            if issuer.problem is not None:
                log.info("issuer answers again", issuer=request.discovery.issuer)
            issuer.problem, issuer.failures = None, 0
            issuer.due_at_s = now_s + request.cache_ttl_s
        else:
            detail = "; ".join(discovered.problems)
            self._failed(issuer, OidcError(Reason.DISCOVERY_INCOMPLETE, detail))
        if news:
            log.info("issuer learned", issuer=request.discovery.issuer)
            self._changed()
        try:
            await self._store.put_fact(request.key, {"facts": facts, "fetched_at_s": now_s})
        except StoreUnavailable as problem:
            log.warning("facts not stored", issuer=request.discovery.issuer, detail=str(problem))


def _retry_s(failures: int) -> float:
    """How long to wait after so many failures in a row.

    An outage of hours has thousands of them, and two to the power of 1024 is no float any more.
    """
    return min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 10), RETRY_S)


def _nothing_newer(issuer: _Issuer, pause: Pause) -> Refreshed:
    retry_in_s = max(pause.seconds, LEAST_PAUSE_S)
    name, problem = issuer.request.discovery.issuer, issuer.problem
    if problem is not None:
        detail = f"issuer {name}: {problem.detail}"
        return Refreshed(None, retry_in_s, problem=problem.reason, detail=detail)
    if issuer.facts is None or issuer.fetch is not None:
        # Nothing was learned: whoever asks must not take what is known for the newest.
        detail = f"issuer {name}: no answer within {WAIT_S:g} s"
        return Refreshed(None, LEAST_PAUSE_S, problem=Reason.IDP_TIMEOUT, detail=detail)
    return Refreshed(None, retry_in_s, pause.one_key_id or pause.seconds <= 0)
