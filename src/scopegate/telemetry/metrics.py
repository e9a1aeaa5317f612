"""Prometheus metrics over several processes, joined with Envoy's own.

Every process writes its numbers into files of its own in one folder; control reads them all when
it is scraped. The files are named by process, not by pid: a worker that was restarted goes on with
the numbers of the one before it, and the folder does not grow.

The number of series is bounded: labels come from short lists or from what operators configured,
and past a limit further values share the label `other`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FILES = "*.db"
OTHER = "other"

_KINDS = ("counter", "histogram")
_FILE_BYTES = 1 << 20  # some 4,000 series; a file that must hold more grows by itself

_MAX_PLUGINS = 2_000
_MAX_REASONS = 200
_MAX_ENDPOINTS = 200
_FAST_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """What this process counts."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._decisions = Counter(
            "scopegate_decisions_total",
            "Decisions about requests, by the plugin that had the last word.",
            ("plugin_id", "outcome", "reason"),
            registry=registry,
        )
        self._decision_s = Histogram(
            "scopegate_decision_seconds",
            "Time that a decision took, calls to the identity provider included.",
            ("outcome",),
            buckets=_FAST_S,
            registry=registry,
        )
        self._idp_requests = Counter(
            "scopegate_idp_requests_total",
            "Calls to identity providers.",
            ("endpoint", "outcome"),
            registry=registry,
        )
        self._idp_request_s = Histogram(
            "scopegate_idp_request_seconds",
            "Time until an identity provider had answered, or had failed to.",
            ("endpoint",),
            buckets=_SLOW_S,
            registry=registry,
        )
        self._config_pushes = Counter(
            "scopegate_config_pushes_total",
            "Configurations sent to the proxy, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        self._config_push_s = Histogram(
            "scopegate_config_push_seconds",
            "Time from a change to a proxy that has it.",
            buckets=_FAST_S,
            registry=registry,
        )
        self._restarts = Counter(
            "scopegate_process_restarts_total",
            "Processes that ended unasked and were started again.",
            ("process",),
            registry=registry,
        )
        self._of_decision: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._plugin_ids = _Bounded(_MAX_PLUGINS)
        self._reasons = _Bounded(_MAX_REASONS)
        self._endpoints = _Bounded(_MAX_ENDPOINTS)

    def decided(self, *, plugin_id: str, outcome: str, reason: str, seconds: float) -> None:
        """A request was decided. `plugin_id` is "" where no plugin decided."""
        count, duration = self._series(plugin_id, outcome, reason)
        count.inc()
        duration.observe(seconds)

    def cached(self, *, plugin_id: str, reason: str, count: int) -> None:
        """So many requests were allowed by a cached decision, in no time."""
        self._series(plugin_id, "allow", reason)[0].inc(count)

    def _series(self, plugin_id: str, outcome: str, reason: str) -> tuple[Counter, Histogram]:
        """To find a series by its labels costs more than to count in it."""
        labels = (self._plugin_ids(plugin_id), outcome, self._reasons(reason))
        found = self._of_decision.get(labels)
        if found is None:
            found = (self._decisions.labels(*labels), self._decision_s.labels(outcome))
            self._of_decision[labels] = found
        return found

    def idp_answered(self, *, endpoint: str, outcome: str, seconds: float) -> None:
        """A call to an identity provider ended.

        endpoint   host and path, without query
        outcome    the status (`200`), or the reason code of the failure
        """
        endpoint = self._endpoints(endpoint)
        self._idp_requests.labels(endpoint, outcome).inc()
        self._idp_request_s.labels(endpoint).observe(seconds)

    def config_pushed(self, *, outcome: str, seconds: float) -> None:
        """A configuration went to the proxy; `outcome` is `live`, `pending` or `rejected`."""
        self._config_pushes.labels(outcome).inc()
        self._config_push_s.observe(seconds)

    def process_restarted(self, process: str) -> None:
        """A child ended unasked and is started again."""
        self._restarts.labels(process).inc()

    def in_this_process(self) -> bytes:
        """This process's numbers alone, in the text format; not for `open_metrics`."""
        return generate_latest(self._registry)


class _Bounded:
    """Lets the first `limit` values through and calls all others `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value not in self._known:
            if len(self._known) >= self._limit:
                return OTHER
            self._known.add(value)
        return value


def open_metrics(directory: Path, process: str) -> Metrics:
    """Metrics of this process, kept in `directory` under the name `process`.

    Two processes that run at the same time must have different names. Raises OSError when there is
    no room.
    """
    for kind in _KINDS:
        _take_room(directory / f"{kind}_{process}.db")
    # prometheus-client reads the folder from the environment and nowhere else.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(  # type: ignore[no-untyped-call]
        process_identifier=lambda: process
    )
    return Metrics()


def _take_room(path: Path) -> None:
    """Have the whole file on the disk before it is mapped into memory.

    prometheus-client makes it with a hole for each page; the first number of a page that finds the
    disk full would kill the process (SIGBUS).
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(handle, 0, _FILE_BYTES)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(handle)


def clear_metrics(directory: Path) -> None:
    """Forget the numbers of an earlier run; no process may be counting."""
    for path in directory.glob(FILES):
        path.unlink(missing_ok=True)


def exposition(
    directory: Path, *, envoy_stats: bytes = b"", issuers_up: Mapping[str, bool] | None = None
) -> bytes:
    """All numbers in Prometheus' text format (CONTENT_TYPE).

    envoy_stats   what `fetch_envoy_stats` brought; b"" says that the proxy does not answer
    issuers_up    issuer → whether it answers
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(directory))  # type: ignore[no-untyped-call]
    registry.register(_Now(proxy_up=bool(envoy_stats), issuers_up=issuers_up or {}))
    ours: bytes = generate_latest(registry)
    return ours + envoy_stats


class _Now(Collector):
    """Gauges that control knows when it is scraped."""

    def __init__(self, *, proxy_up: bool, issuers_up: Mapping[str, bool]) -> None:
        self._proxy_up = proxy_up
        self._issuers_up = issuers_up

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "scopegate_proxy_up", "Whether the proxy answers.", value=float(self._proxy_up)
        )
        issuers = GaugeMetricFamily(
            "scopegate_issuer_up",
            "Whether an issuer answers: its last refresh worked, and no probe since fails.",
            labels=("issuer",),
        )
        for issuer, up in sorted(self._issuers_up.items()):
            issuers.add_metric((issuer,), float(up))
        yield issuers


async def fetch_envoy_stats(admin_socket: Path, timeout_s: float = 2.0) -> bytes:
    """Envoy's numbers in Prometheus' text format; b"" when it does not answer in time."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    connector = aiohttp.UnixConnector(str(admin_socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get("http://envoy/stats/prometheus?usedonly") as answer,
        ):
            return await answer.read() if answer.status == 200 else b""
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""
