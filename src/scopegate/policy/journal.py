"""Where decisions are logged and counted: a line for each refusal, a number for every decision.

What is allowed is a line only at level debug. No header, query or body is in any line; details come
from the plugins, which quote claims but never a credential.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

from scopegate.plugins.access import (
    Continue,
    LogLine,
    NeedBody,
    Outcome,
    Redirect,
    Refusal,
    Request,
    Respond,
)
from scopegate.policy.library import PreparedStep
from scopegate.policy.reasons import PolicyReason


class Log(Protocol):
    """A structured log: an event and its fields."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...
    def is_enabled_for(self, level: int) -> bool: ...


class Counters(Protocol):
    """The numbers that this service keeps."""

    def decided(self, *, plugin_id: str, outcome: str, reason: str, seconds: float) -> None: ...
    def cached(self, *, plugin_id: str, reason: str, count: int) -> None: ...


_OUTCOMES = {Continue: "allow", Refusal: "deny", Redirect: "redirect", Respond: "answer"}
_SERVER_ERROR = 500


class Journal:
    """Writes decisions to log and metrics."""

    def __init__(self, log: Log, counters: Counters) -> None:
        self._log = log
        self._logs_all = log.is_enabled_for(logging.DEBUG)
        self._counters = counters

    @staticmethod
    def start() -> float:
        """A reading of the clock, to be handed to `decided`."""
        return time.perf_counter()

    def decided(
        self,
        started: float,
        policy_id: str,
        step: PreparedStep | None,
        request: Request | None,
        outcome: Outcome,
    ) -> None:
        """A decision was made."""
        if isinstance(outcome, NeedBody):
            return
        plugin_id = step.plugin_id if step else ""
        self._counters.decided(
            plugin_id=plugin_id,
            outcome=_OUTCOMES[type(outcome)],
            reason=outcome.reason,
            seconds=time.perf_counter() - started,
        )
        for line in outcome.log:
            self._write(line, request, plugin_id)
        if not (self._logs_all or isinstance(outcome, Refusal)):
            return
        fields: dict[str, Any] = {"reason": outcome.reason, "policy": policy_id}
        if outcome.subject is not None:
            fields["subject"] = outcome.subject
        if isinstance(outcome, Refusal):
            fields["status"] = outcome.status
            if outcome.required:
                fields["required"] = outcome.required
            prefix = f"[{step.plugin}] " if step else ""
            level = "error" if outcome.status >= _SERVER_ERROR else "warning"
            self._write(LogLine(level, f"{prefix}{outcome.detail}", fields), request, plugin_id)
        else:
            event = f"request {_OUTCOMES[type(outcome)]}"
            self._write(LogLine("debug", event, fields), request, plugin_id)

    def cached(self, count: int, plugin_id: str, reason: str) -> None:
        """Cached decisions were used."""
        self._counters.cached(plugin_id=plugin_id, reason=reason, count=count)

    def failed(self, request: Request | None, problem: BaseException) -> None:
        """Something raised that should not have: where, without values."""
        place = problem.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = ""
        if place is not None:
            code = place.tb_frame.f_code
            where = f"{code.co_qualname}:{place.tb_lineno}"
        fields = {
            "reason": PolicyReason.UNEXPECTED_ERROR,
            "error": type(problem).__name__,
            "where": where,
        }
        self._write(LogLine("error", "unexpected error while deciding", fields), request, "")

    def _write(self, line: LogLine, request: Request | None, plugin_id: str) -> None:
        fields = dict(line.fields)
        if request is not None:
            fields |= {
                "request_id": request.request_id,
                "method": request.method,
                "host": request.host,
                "path": request.path,
                "client_ip": request.client_ip,
                "route": request.route_id,
                "service": request.service_id,
            }
            names = {"route_name": request.route_name, "service_name": request.service_name}
            fields |= {key: name for key, name in names.items() if name}
        if plugin_id:
            fields["plugin"] = plugin_id
        getattr(self._log, line.level)(line.event, **fields)
