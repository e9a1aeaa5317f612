"""Whether issuers answer while nothing has to be fetched of them: a cheap probe every 20 seconds.

Metadata and keys are good for an hour (`cache_ttl`), so an identity provider that dies would be
noticed by its users first. A worker whose token call failed has the probe made at once, of the
token endpoint, too. One failed probe is no outage: a second one follows. An outage changes no
decision: tokens with known keys go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from scopegate.oidc.discovery import DiscoverySettings
from scopegate.oidc.errors import IdpUnavailable
from scopegate.oidc.issuer_facts import IssuerFacts
from scopegate.oidc.reasons import Reason
from scopegate.plugins.issuer_requests import IssuerRequest

log = structlog.get_logger("scopegate.issuers")

PROBE_S = 20.0  # between two probes of an issuer that answers
RETRY_S = 5.0  # after a failed one; the least time between two in any case
LIMIT_S = 5.0  # how long a probe may take
OUTAGE = 2  # failed probes in a row

Probe = Callable[[DiscoverySettings, IssuerFacts, bool], Awaitable[None]]
"""(settings, what is known, whether the token endpoint is probed, too). Raises IdpUnavailable."""


@dataclass(slots=True)
class _Watched:
    request: IssuerRequest
    due_at_s: float
    probed_at_s: float = 0.0
    failures: int = 0
    outage: IdpUnavailable | None = None
    suspects_token_endpoint: bool = False
    probe: asyncio.Task[None] | None = field(default=None, repr=False)


class IssuerWatch:
    """All issuers that are wanted, by the key of their request.

    known   what is known of one; None while it is not to be probed
    """

    def __init__(
        self, probe: Probe, known: Callable[[str], IssuerFacts | None], now: Callable[[], float]
    ) -> None:
        self._probe = probe
        self._known = known
        self._now = now
        self._watched: dict[str, _Watched] = {}
        self._woken = asyncio.Event()

    def want(self, requests: Iterable[IssuerRequest]) -> None:
        """From now on watch these, and no others."""
        wanted = {request.key: request for request in requests}
        for key in self._watched.keys() - wanted.keys():
            gone = self._watched.pop(key)
            if gone.probe is not None:
                gone.probe.cancel()
        for key, request in wanted.items():
            if key not in self._watched:
                self._watched[key] = _Watched(request, self._now() + PROBE_S)
        self._woken.set()

    def outage(self, key: str) -> IdpUnavailable | None:
        """Why the issuer counts as down; None while it answers."""
        watched = self._watched.get(key)
        return watched.outage if watched is not None else None

    def suspect(self, key: str) -> None:
        """A token call of a worker failed."""
        watched = self._watched.get(key)
        if watched is None or watched.suspects_token_endpoint:
            return
        watched.suspects_token_endpoint = True
        soon_s = max(self._now(), watched.probed_at_s + RETRY_S)
        watched.due_at_s = min(watched.due_at_s, soon_s)
        self._woken.set()

    async def run(self) -> None:
        """Probe whatever is due, for ever."""
        while True:
            self._woken.clear()
            now_s = self._now()
            for key, watched in self._watched.items():
                if watched.probe is None and watched.due_at_s <= now_s:
                    watched.probe = asyncio.create_task(self._run_probe(key, watched))
            waiting = [each.due_at_s for each in self._watched.values() if each.probe is None]
            delay_s = max(min(waiting) - self._now(), 0.01) if waiting else None
            try:
                async with asyncio.timeout(delay_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def _run_probe(self, key: str, watched: _Watched) -> None:
        try:
            known = self._known(key)
            if known is None:
                # Nothing is known, or fetching it fails: that is tried again and reported anyway.
                watched.failures, watched.outage = 0, None
                watched.due_at_s = self._now() + PROBE_S
                return
            watched.probed_at_s = self._now()
            async with asyncio.timeout(LIMIT_S):
                await self._probe(watched.request.discovery, known, watched.suspects_token_endpoint)
        except IdpUnavailable as problem:
            self._fails(watched, problem)
        except TimeoutError:
            detail = f"no answer within {LIMIT_S:g} s"
            self._fails(watched, IdpUnavailable(Reason.IDP_TIMEOUT, detail))
        except Exception as problem:  # noqa: BLE001 - an odd answer must not end the watching
            detail = type(problem).__name__
            self._fails(watched, IdpUnavailable(Reason.DISCOVERY_FAILED, detail))
        else:
            self._answers(watched)
        finally:
            watched.probe = None
            self._woken.set()

    def _fails(self, watched: _Watched, problem: IdpUnavailable) -> None:
        watched.failures += 1
        watched.due_at_s = self._now() + RETRY_S
        if watched.failures < OUTAGE:
            return
        if watched.outage is None:
            log.warning(
                "issuer does not answer",
                issuer=watched.request.discovery.issuer,
                reason=problem.reason,
                detail=problem.detail,
            )
        watched.outage = problem

    def _answers(self, watched: _Watched) -> None:
        if watched.outage is not None:
            log.info("issuer answers again", issuer=watched.request.discovery.issuer)
        watched.failures, watched.outage = 0, None
        watched.due_at_s = self._now() + PROBE_S
        watched.suspects_token_endpoint = False
