"""`scopegate start`: everything that must be right first, then the supervisor.

What can be refused is refused here, in one line, before any process runs.
"""

from __future__ import annotations

import asyncio
import datetime
import errno
import os
import resource
import secrets
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import scopegate
from scopegate.app.access_log import check_access_log
from scopegate.app.cannot_start import CannotStart
from scopegate.app.certificates import certificate_pair
from scopegate.app.http_client import tls_context
from scopegate.app.prefix import Prefix
from scopegate.app.processes.child import ChildSpec
from scopegate.app.processes.envoy_child import envoy_child
from scopegate.app.processes.handover import VARIABLE, handover_to
from scopegate.app.processes.listening import (
    Sockets,
    await_free_ports,
    close_sockets,
    open_sockets,
    probe_proxy_ports,
)
from scopegate.app.processes.supervisor import Stages, Supervisor
from scopegate.app.proxy_check import check_proxy
from scopegate.app.settings.settings import Settings, warnings
from scopegate.session.revocation_file import begin_revocations
from scopegate.telemetry.logging import Format, configure_logging, logger
from scopegate.telemetry.metrics import clear_metrics, open_metrics

WORKER_GRACE_S = 11.0
"""What a policy worker may take to end: decisions under way four seconds, then refreshes whose
tokens would be lost four, a disk that hangs two, and one for the rest."""
LAST_BREATH_S = 2.0
"""How long the children of a killed supervisor may take to be gone."""

Beside = Callable[[Supervisor], Coroutine[Any, Any, None]]


def start(
    settings: Settings, *, first: Sequence[ChildSpec] = (), beside: Beside | None = None
) -> int:
    """Run Scopegate in the foreground until it is told to end; the exit code.

    first    further children; they start with Scopegate's own and end after them
    beside   runs beside the supervisor; when it raises, everything ends and the error goes on

    Raises CannotStart before any process runs.
    """
    # What is written from here on, by us or by a child, is its owner's alone.
    os.umask(0o077)
    _allow_many_connections()
    prefix = Prefix(settings.prefix)
    prefix.prepare()
    with prefix.locked() as was_killed, _ready_to_run(settings, prefix, was_killed) as sockets:
        configure_logging(
            level=settings.log_level,
            style=cast(Format, settings.log_format),
            process="supervisor",
        )
        log = logger()
        for warning in warnings(settings):
            log.warning("unsafe setting", what=warning)
        log.info(
            "scopegate starts",
            version=scopegate.__version__,
            prefix=str(prefix.root),
            proxy=[str(address) for address in settings.proxy_listen],
            admin=[str(address) for address in settings.admin_listen],
            status=[str(address) for address in settings.status_listen],
        )
        stages = (tuple(first), *stages_of(settings, prefix, sockets))
        supervisor = Supervisor(
            stages,
            log,
            open_metrics(prefix.metrics, "supervisor"),
            on_ending=partial(_say_that_it_drains, prefix),
        )
        return asyncio.run(_run(supervisor, beside))


def _say_that_it_drains(prefix: Prefix) -> None:
    """From here on `/status/ready` says 503. A full disk does not keep us from ending."""
    with suppress(OSError):
        prefix.draining.touch(mode=0o600)


async def _run(supervisor: Supervisor, beside: Beside | None) -> int:
    running = asyncio.create_task(supervisor.run())
    if beside is not None:
        company = asyncio.create_task(beside(supervisor))
        await asyncio.wait({running, company}, return_when=asyncio.FIRST_COMPLETED)
        if not company.done():
            company.cancel()
        else:
            error = company.exception()
            if error is not None:
                supervisor.stop()
                await running
                raise error
    return await running


def _allow_many_connections() -> None:
    """Take as many open files as this user may have, for us and the children."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def _ready_to_run(settings: Settings, prefix: Prefix, was_killed: bool) -> Iterator[Sockets]:
    """Check and make what the children need; the sockets are closed at the end."""
    if was_killed:
        await_free_ports(settings, LAST_BREATH_S)
    clear_metrics(prefix.metrics)
    tls_context(settings.lua_ssl_trusted_certificate)
    if any(address.ssl for address in settings.proxy_listen):
        certificate_pair(settings, prefix, datetime.datetime.now(datetime.UTC))
    check_access_log(settings)
    check_proxy()
    probe_proxy_ports(settings)
    for left_over in (prefix.xds_socket, prefix.envoy_admin_socket, prefix.draining):
        left_over.unlink(missing_ok=True)
    with _revocations(prefix.revocations):
        sockets = open_sockets(settings, prefix)
        try:
            yield sockets
        finally:
            close_sockets(sockets)


@contextmanager
def _revocations(path: Path) -> Iterator[None]:
    try:
        begin_revocations(path, secrets.token_bytes)
    except OSError as error:
        what_to_do = (
            f"make room in {path.parent}"
            if error.errno == errno.ENOSPC
            else "remove it, or set another prefix"
        )
        why = (error.strerror or "it cannot be made").lower()
        raise CannotStart(f"{path}: {why}; {what_to_do}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def stages_of(settings: Settings, prefix: Prefix, sockets: Sockets) -> Stages:
    """Control, then the policy workers, then Envoy: each needs what comes before it until its end.

    They start together: Envoy itself waits until control serves, ten seconds at most.
    """
    control = _python_child(
        "control", "scopegate.app.control", settings, sockets, "admin", "status", "control"
    )
    workers = tuple(
        replace(
            _python_child(
                f"policy-{number}",
                "scopegate.app.processes.policy_process",
                settings,
                sockets,
                "policy",
            ),
            grace_s=WORKER_GRACE_S,
        )
        for number in range(settings.policy_workers)
    )
    return ((control,), workers, (envoy_child(settings, prefix),))


def _python_child(
    name: str, module: str, settings: Settings, sockets: Sockets, *serves: str
) -> ChildSpec:
    handover = handover_to(name, settings, sockets, *serves)
    return ChildSpec(
        name=name,
        command=(sys.executable, "-m", module),
        environment={**os.environ, VARIABLE: handover.to_text()},
        beats=True,
        descriptors=tuple(number for group in handover.descriptors.values() for number in group),
    )
