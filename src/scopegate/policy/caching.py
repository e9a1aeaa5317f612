"""Which decisions the filter may cache, and for how long (docs/adr/0035)."""

from __future__ import annotations

from collections.abc import Callable

from scopegate.plugins.access import Body, Continue, Request


class Caching:
    """Cached decisions live `limit_s` seconds at most; 0: there are none."""

    def __init__(self, limit_s: float, now: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._now = now

    def until_s(self, outcome: Continue, request: Request) -> int | None:
        """The unix second in which a decision stops being good; None: it is not cached.

        A decision that changes query, method or body depends on more than the credential. Headers
        for the client are sent once: they do not stop a decision from being cached.
        """
        if (
            outcome.cacheable is None
            or request.body_state is not Body.NOT_READ
            or (outcome.query, outcome.method) != (None, None)
            or outcome.drop_body
            or outcome.body_cuts
        ):
            return None
        now_s = self._now()
        until_s = int(min(outcome.cacheable.until_s, now_s + self._limit_s))
        return until_s if until_s > now_s else None
