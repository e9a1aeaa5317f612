"""Metrics over several processes, joined with the proxy's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from scopegate.telemetry import metrics as module
from scopegate.telemetry.metrics import (
    Metrics,
    clear_metrics,
    exposition,
    fetch_envoy_stats,
)

COUNT = (
    "import sys; from pathlib import Path\n"
    "from scopegate.telemetry.metrics import open_metrics\n"
    "metrics = open_metrics(Path(sys.argv[1]), sys.argv[2])\n"
    "metrics.decided(plugin_id='p', outcome='deny', reason='expired', seconds=0.002)\n"
    "metrics.process_restarted('envoy')\n"
)


def values(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """(sample name, label values sorted by label) → value."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def count(directory: Path, process: str) -> None:
    subprocess.run([sys.executable, "-c", COUNT, str(directory), process], check=True)


@pytest.mark.slow
def test_processes_are_added_up_and_a_restarted_one_goes_on(tmp_path: Path) -> None:
    for process in ("policy-0", "policy-1", "policy-0"):
        count(tmp_path, process)
    seen = values(exposition(tmp_path))
    assert seen["scopegate_decisions_total", ("deny", "p", "expired")] == 3
    assert seen["scopegate_decision_seconds_count", ("deny",)] == 3
    assert seen["scopegate_decision_seconds_bucket", ("0.001", "deny")] == 0
    assert seen["scopegate_decision_seconds_bucket", ("0.0025", "deny")] == 3
    assert seen["scopegate_process_restarts_total", ("envoy",)] == 3
    # The folder does not grow with restarts.
    assert len({path.name for path in tmp_path.iterdir()}) == 4


def test_a_disk_that_fills_up_later_takes_no_process_along(tmp_path: Path) -> None:
    count(tmp_path, "policy-0")
    for path in tmp_path.iterdir():
        assert path.stat().st_blocks * 512 >= path.stat().st_size >= 1 << 20, "no holes to fill"


def test_an_earlier_runs_numbers_are_forgotten(tmp_path: Path) -> None:
    count(tmp_path, "policy-0")
    clear_metrics(tmp_path)
    assert ("scopegate_process_restarts_total", ("envoy",)) not in values(exposition(tmp_path))


def test_our_numbers_stand_beside_the_proxys(tmp_path: Path) -> None:
    envoy = b"# TYPE envoy_server_live gauge\nenvoy_server_live{} 1\n"
    text = exposition(tmp_path, envoy_stats=envoy, issuers_up={"http://idp/": True, "b": False})
    seen = values(text)
    assert seen["envoy_server_live", ()] == 1
    assert seen["scopegate_proxy_up", ()] == 1
    assert seen["scopegate_issuer_up", ("http://idp/",)] == 1
    assert seen["scopegate_issuer_up", ("b",)] == 0
    assert values(exposition(tmp_path))["scopegate_proxy_up", ()] == 0


def test_calls_to_the_idp_and_pushes_are_counted() -> None:
    metrics = Metrics()
    metrics.idp_answered(endpoint="idp:80/token", outcome="200", seconds=0.03)
    metrics.idp_answered(endpoint="idp:80/token", outcome="idp_timeout", seconds=10)
    metrics.config_pushed(outcome="acked", seconds=0.01)
    seen = values(metrics.in_this_process())
    assert seen["scopegate_idp_requests_total", ("idp:80/token", "200")] == 1
    assert seen["scopegate_idp_requests_total", ("idp:80/token", "idp_timeout")] == 1
    assert seen["scopegate_idp_request_seconds_sum", ("idp:80/token",)] == 10.03
    assert seen["scopegate_config_pushes_total", ("acked",)] == 1
    assert seen["scopegate_config_push_seconds_count", ()] == 1


def test_cached_decisions_are_decisions_that_took_no_time() -> None:
    metrics = Metrics()
    metrics.decided(plugin_id="p", outcome="allow", reason="allowed", seconds=0.01)
    metrics.cached(plugin_id="p", reason="allowed", count=41)
    metrics.cached(plugin_id="q", reason="anonymous", count=2)
    seen = values(metrics.in_this_process())
    assert seen["scopegate_decisions_total", ("allow", "p", "allowed")] == 42
    assert seen["scopegate_decisions_total", ("allow", "q", "anonymous")] == 2
    assert seen["scopegate_decision_seconds_count", ("allow",)] == 1


def test_the_number_of_series_is_bounded() -> None:
    metrics = Metrics()
    many = module._MAX_ENDPOINTS + 50
    for number in range(many):
        metrics.idp_answered(endpoint=f"e{number}", outcome="200", seconds=0)
    seen = values(metrics.in_this_process())
    calls = {labels: value for (name, labels), value in seen.items() if name.endswith("s_total")}
    assert len(calls) == module._MAX_ENDPOINTS + 1
    assert calls["other", "200"] == 50
    metrics.idp_answered(endpoint="e0", outcome="200", seconds=0)
    seen = values(metrics.in_this_process())
    assert seen["scopegate_idp_requests_total", ("e0", "200")] == 2


async def test_the_proxys_numbers_come_over_its_socket(tmp_path: Path) -> None:
    async def stats(request: web.Request) -> web.Response:
        assert request.raw_path == "/stats/prometheus?usedonly"
        return web.Response(body=b"envoy_x 1\n")

    path = tmp_path / "admin.sock"
    runner = web.ServerRunner(web.Server(stats))
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    assert await fetch_envoy_stats(path) == b"envoy_x 1\n"
    await runner.cleanup()
    assert await fetch_envoy_stats(path) == b"", "a proxy that is gone is no error"
