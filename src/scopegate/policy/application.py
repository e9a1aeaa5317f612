"""Puts the policy service of one worker together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from scopegate.ir import policy as ir
from scopegate.oidc.http import HttpClient
from scopegate.plugins.access import Step
from scopegate.plugins.built import BuiltPlugin
from scopegate.plugins.consumers import ConsumerIndex
from scopegate.plugins.ports import Ports
from scopegate.plugins.registry import PLUGINS
from scopegate.policy.caching import Caching
from scopegate.policy.facts_client import FactsClient
from scopegate.policy.journal import Counters, Journal, Log
from scopegate.policy.library import PolicyLibrary, PolicyUnusable
from scopegate.policy.service import PolicyService
from scopegate.session.revocation_file import RevocationFile
from scopegate.session.revocations import Collecting
from scopegate.session.single_flight import FlightsUnderWay
from scopegate.session.sqlite_state import SqliteState

# Shorter than the filter's own limit, so that the reason comes from here.
DECISION_LIMIT_S = 14.0
REFRESHES_LIMIT_S = 4.0
"""How long refreshes may take that nobody waits for any more, once the worker is to end."""


def create_app(
    *,
    policy_dir: Path,
    shared_state_path: Path,
    revocations_path: Path,
    replay_limit_s: float,
    control_socket: Path,
    log: Log,
    metrics: Counters,
    http_client: HttpClient,
    plugins: Iterable[BuiltPlugin] = PLUGINS,
) -> PolicyService:
    """The ASGI application of one policy worker."""
    shared = SqliteState(shared_state_path, time.time)
    revocations = RevocationFile(revocations_path, secrets.token_bytes)
    facts = FactsClient(control_socket, time.time)
    ports = Ports(
        http=http_client,
        shared=shared,
        revocations=Collecting(revocations),
        facts=facts,
        now=time.time,
        random_bytes=secrets.token_bytes,
        refreshes=FlightsUnderWay(),
    )

    rows = {row.name: row for row in plugins}

    def prepare(step: ir.Step, consumers: ConsumerIndex) -> Step:
        row = rows.get(step.plugin)
        if row is None:
            raise PolicyUnusable(f"plugin {step.plugin} is not known to this policy service")
        return row.prepare(step, consumers, ports)

    async def close() -> None:
        await ports.refreshes.drain(REFRESHES_LIMIT_S)
        await facts.close()
        await shared.close()
        revocations.close()
        library.close()

    library = PolicyLibrary(policy_dir, prepare)
    caching = Caching(replay_limit_s, time.time)
    return PolicyService(library, Journal(log, metrics), DECISION_LIMIT_S, caching, close)
