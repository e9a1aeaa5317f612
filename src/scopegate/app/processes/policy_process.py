"""A policy worker: uvicorn on the Unix socket that the proxy filter asks.

python -m scopegate.app.processes.policy_process      (started by the supervisor)
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import uvloop

from scopegate.app.http_client import AiohttpClient
from scopegate.app.processes.handover import Handover, begin, take_over
from scopegate.app.processes.heartbeat import beat
from scopegate.app.processes.serving import server_of
from scopegate.policy.application import create_app
from scopegate.telemetry.logging import logger
from scopegate.telemetry.metrics import Metrics

GRACE_S = 4
"""How long decisions under way may take once the worker is told to end."""
IDLE_LIMIT_S = 2 * 3600
"""Longer than Envoy keeps an idle connection: if the worker closed it, a check could be on its
way."""

Application = Callable[..., Any]
CreateApp = Callable[[Handover, AiohttpClient, Metrics], Application]


def run(handover: Handover, create: CreateApp) -> None:
    """Serve until SIGTERM or SIGINT; then end what is under way and return."""
    metrics = begin(handover)
    uvloop.run(_serve(handover, create, metrics))


async def _serve(handover: Handover, create: CreateApp, metrics: Metrics) -> None:
    client = AiohttpClient(
        handover.settings.lua_ssl_trusted_certificate, observe=metrics.idp_answered
    )
    server = server_of(
        create(handover, client, metrics),
        grace_s=GRACE_S,
        lifespan="on",
        date_header=False,
        timeout_keep_alive=IDLE_LIMIT_S,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.end)
    beating = asyncio.create_task(beat())
    try:
        logger().info("policy worker serves")
        await server.serve(sockets=handover.sockets("policy"))
    finally:
        beating.cancel()
        await client.close()


def main() -> None:
    """What the supervisor starts."""
    run(take_over(), _policy_service)


def _policy_service(handover: Handover, client: AiohttpClient, metrics: Metrics) -> Application:
    return create_app(
        policy_dir=handover.prefix.policies,
        shared_state_path=handover.prefix.shared_state,
        revocations_path=handover.prefix.revocations,
        replay_limit_s=handover.settings.replay_limit_s,
        control_socket=handover.prefix.control_socket,
        log=logger(),
        metrics=metrics,
        http_client=client,
    )


if __name__ == "__main__":
    main()
