"""Which yes Envoy may give again, for how long, and with which changes (docs/adr/0035)."""

from __future__ import annotations

from collections.abc import Callable

from scopegate.ir.replay import IN_EVERY_KEY, grant_text
from scopegate.plugins.access import Body, Continue, Request

ANSWER_LIMIT_BYTES = 48 * 1024
"""Of headers that are set and their grant, which says them once more: Envoy takes no answer of
60 KiB and more, and asked each time is better than refused."""


class Grants:
    """Writes grants that last `limit_s` seconds at most; 0: none at all."""

    def __init__(self, limit_s: float, now: Callable[[], float]) -> None:
        self._limit_s = limit_s
        self._now = now

    def of(self, outcome: Continue, request: Request | None) -> str | None:
        """The grant of a yes, or None where the next request must be asked about.

        Headers for the client are never given again, and what changes query, method or body is
        not remembered: it came from more than the credential.
        """
        lasting = outcome.lasting
        if (
            lasting is None
            or request is None
            or request.body_state is not Body.NOT_READ
            or outcome.query is not None
            or outcome.method is not None
            or outcome.drop_body
            or outcome.body_cuts
        ):
            return None
        now_s = self._now()
        until_s = int(min(lasting.until_s, now_s + self._limit_s))
        if until_s <= now_s:
            return None
        set_names = {name for name, _ in outcome.set_headers}
        text = grant_text(
            until_s,
            lasting.tags,
            [name for name in outcome.remove_headers if name not in set_names],
            [
                (name, value)
                for name, value in outcome.set_headers
                if not (name in IN_EVERY_KEY and _is_the_same(request.header(name), value))
            ],
        )
        set_bytes = sum(len(name) + len(value.encode()) for name, value in outcome.set_headers)
        return text if len(text.encode()) + set_bytes <= ANSWER_LIMIT_BYTES else None


def _is_the_same(brought: str | None, value: str) -> bool:
    """Headers come as one character a byte, and go as UTF-8."""
    return brought is not None and brought.encode("latin-1") == value.encode()


NONE = Grants(0, lambda: 0.0)
"""Every request is asked about."""
