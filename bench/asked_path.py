"""What one decision costs the policy service: CPU time, by kind of credential.

Twice: the ASGI function called in this process, and a whole policy worker asked over its Unix
socket by a client that keeps its connection, as Envoy does. Envoy's own part is not in it; for the
whole path see side_by_side. Sessions are got by logging in at the demo identity provider.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from scopegate.app.http_client import AiohttpClient
from scopegate.app.prefix import Prefix
from scopegate.app.processes.handover import VARIABLE, Handover, begin, handover_to
from scopegate.app.processes.listening import open_unix
from scopegate.app.settings.settings import load_settings
from scopegate.entities.filling import Makings
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.snapshot import Plugin
from scopegate.ir import policy as ir
from scopegate.oidc.discovery import fetch_issuer
from scopegate.plugins.lowering import Context
from scopegate.plugins.openid_connect.issuer_request import issuer_request
from scopegate.plugins.openid_connect.lower import OpenIdConnectCompiler
from scopegate.plugins.registry import PLUGIN_TYPES
from scopegate.policy.application import create_app
from scopegate.policy.service import PolicyService
from scopegate.telemetry.logging import logger
from scopegate_demo.idp import DemoIdp, Lifetimes, TokenEdit
from support.login import form_browser, log_in
from support.policy_check import ask, check_request

USER = "Blog_with_scope"
HOST = "127.0.0.1:8000"
LIFETIMES = Lifetimes(access_token_s=7200, id_token_s=7200)
NAVIGATION = {"accept": "text/html", "sec-fetch-mode": "navigate"}
READY_S = 20.0

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: one policy, and requests with different credentials."""

    name: str
    path: str
    policy_id: str
    credentials: Sequence[Headers]

    def messages(self) -> list[bytes]:
        """Check requests."""
        return [message_of(self.policy_id, self.path, headers) for headers in self.credentials]


def message_of(policy_id: str, target: str, headers: Headers) -> bytes:
    """The check request about a GET."""
    path, _, query = target.partition("?")
    usual = {"user-agent": "bench", "x-forwarded-for": "127.0.0.1"}
    route = f"{uuid.UUID(int=1)}/route {uuid.UUID(int=2)}/service {policy_id}"
    return check_request(
        policy_id,
        *{**usual, **headers}.items(),
        route=route,
        client="127.0.0.1",
        scheme="http",
        authority=HOST,
        path=path,
        query=query,
    )


def http_of(message: bytes) -> bytes:
    """The check request as it goes over the socket."""
    head = f"POST /check HTTP/1.1\r\nhost: policy\r\ncontent-length: {len(message)}\r\n\r\n"
    return head.encode() + message


async def policy_of(
    prefix: Prefix, http: AiohttpClient, idp: DemoIdp, number: int, **config: Any
) -> str:
    """Writes the policy of one plugin as control does; its id."""
    schema = entity_schemas(PLUGIN_TYPES)["plugins"]
    makings = Makings(1000, lambda: str(uuid.UUID(int=100 + number)), lambda: "r" * 32)
    config = {
        "issuer": idp.issuer,
        "client_id": ["blog_post"],
        "client_secret": ["blog_post_secret"],
        "scopes_required": ["openid"],
        "upstream_headers_claims": ["email"],
        "upstream_headers_names": ["X-Email"],
        **config,
    }
    document = schema.draft_new({"name": "openid-connect", "config": config}, makings)
    schema.check(document)
    stored = Plugin.from_document(document)
    request = issuer_request(stored)
    found = await fetch_issuer(http, request.discovery, previous=None)
    context = Context({request.key: found.facts.to_json()}, "5e" * 32, ())
    lowered = OpenIdConnectCompiler().lower(stored, context)
    policy = ir.Policy((lowered.step,), profile=lowered.profile)
    (prefix.policies / f"policy-{policy.id}.json").write_bytes(policy.to_json())
    return policy.id


async def sessions(service: PolicyService, policy_id: str, count: int) -> list[Headers]:
    """Cookies of so many logins."""
    async with form_browser() as browser:

        async def one() -> Headers:
            cookies: dict[str, str] = {}
            location = await step("/session", cookies)
            callback = await log_in(browser, location, USER)
            await step(callback.url.partition(HOST)[2], cookies)
            return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}

        async def step(target: str, cookies: dict[str, str]) -> str:
            brought = "; ".join(f"{name}={value}" for name, value in cookies.items())
            headers = {**NAVIGATION, **({"cookie": brought} if brought else {})}
            response = await ask(service, message_of(policy_id, target, headers))
            if response.status not in (None, 302):
                raise SystemExit(f"a login was answered {response.status}")
            for name, value in response.headers("client"):
                if name == "set-cookie":
                    key, _, content = value.partition(";")[0].partition("=")
                    cookies[key] = content
                    if not content:
                        del cookies[key]
            return dict(response.headers("client")).get("location", "")

        return [await one() for _ in range(count)]


def service_of(handover: Handover, http: AiohttpClient) -> PolicyService:
    """The ASGI function that a worker serves."""
    return create_app(
        policy_dir=handover.prefix.policies,
        shared_state_path=handover.prefix.shared_state,
        revocations_path=handover.prefix.revocations,
        replay_limit_s=handover.settings.replay_limit_s,
        control_socket=handover.prefix.control_socket,
        log=logger(),
        metrics=begin(handover),
        http_client=http,
    )


@contextlib.asynccontextmanager
async def decisions(
    handover: Handover, count: int
) -> AsyncIterator[tuple[PolicyService, list[Kind]]]:
    """The service in this process, and what it is to be asked."""
    http = AiohttpClient(None)
    async with DemoIdp(lifetimes=LIFETIMES) as idp:
        service = service_of(handover, http)
        bearer = await policy_of(handover.prefix, http, idp, 1, auth_methods=["bearer"])
        session = await policy_of(
            handover.prefix, http, idp, 2, auth_methods=["session", "authorization_code"]
        )

        def tokens() -> list[Headers]:
            edits = (TokenEdit(set={"jti": str(uuid.uuid4())}) for _ in range(count))
            found = [idp.access_token(USER, edit) for edit in edits]
            return [{"authorization": f"Bearer {token}"} for token in found]

        spoilt = [{"authorization": f"{each['authorization'][:-8]}AAAAAAAA"} for each in tokens()]
        yield (
            service,
            [
                Kind("bearer", "/bearer", bearer, tokens()),
                Kind("session", "/session", session, await sessions(service, session, count)),
                Kind("no credential: 401", "/bearer", bearer, [{}]),
                Kind("spoilt token: 401", "/bearer", bearer, spoilt),
            ],
        )
    await http.close()


async def in_process(service: PolicyService, kind: Kind, requests: int) -> float:
    """µs of CPU for one decision. Every credential was asked once before."""
    messages = kind.messages()
    scope = {"type": "http", "method": "POST", "path": "/check"}
    message = b""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": message, "more_body": False}

    async def send(_: Any) -> None:
        return None

    before_s = time.process_time()
    for number in range(requests):
        message = messages[number % len(messages)]
        await service(scope, receive, send)
    return (time.process_time() - before_s) / requests * 1e6


@contextlib.contextmanager
def worker(handover: Handover, descriptors: Sequence[int]) -> Iterator[int]:
    """A policy worker in a process of its own; its pid."""
    started = subprocess.Popen(
        [sys.executable, "-m", "scopegate.app.processes.policy_process"],
        env={**os.environ, VARIABLE: handover.to_text()},
        pass_fds=descriptors,
    )
    try:
        yield started.pid
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


def over_the_socket(path: Path, pid: int, kind: Kind, requests: int) -> float:
    """µs of the worker's CPU for one decision."""
    texts = [http_of(message) for message in kind.messages()]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(READY_S)
        connection.connect(str(path))
        for text in texts:
            exchange(connection, text)
        before_ns = cpu_ns(pid)
        for number in range(requests):
            exchange(connection, texts[number % len(texts)])
        return (cpu_ns(pid) - before_ns) / requests / 1000


def exchange(connection: socket.socket, text: bytes) -> None:
    """One check."""
    connection.sendall(text)
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)


def cpu_ns(pid: int) -> int:
    """CPU time of a process, all its threads."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total


def table_of(costs: Mapping[str, Sequence[Sequence[float]]]) -> Table:
    """The least of the rounds, and their median."""
    table = Table(title="CPU time of a decision, µs")
    for heading in ("", "in process", "median", "worker", "median"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, rounds in costs.items():
        columns = list(zip(*rounds, strict=True))
        cells = [
            f"{value:.1f}"
            for column in columns
            for value in (min(column), statistics.median(column))
        ]
        table.add_row(name, *cells)
    return table


async def profiled(service: PolicyService, kind: Kind, requests: int) -> None:
    """Where the time of one kind goes, as cProfile sees it."""
    with cProfile.Profile() as profile:
        await in_process(service, kind, requests)
    profile.print_stats("tottime")


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.asked_path", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2000, help="of each kind, per round")
    parser.add_argument("--credentials", type=int, default=100)
    parser.add_argument("--profile", help="print where the time goes of this kind, and no table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="asked-path-") as name:
        prefix = Prefix(Path(name))
        prefix.prepare()
        environment = {"SCOPEGATE_PREFIX": name, "SCOPEGATE_LOG_LEVEL": "error"}
        settings = load_settings(None, environment, folder=prefix.root)
        sockets = {"policy": [open_unix(prefix.policy_socket)]}
        here = handover_to("bench", settings, sockets, "policy")
        there = handover_to("policy-0", settings, sockets, "policy")
        async with decisions(here, options.credentials) as (service, kinds):
            for kind in kinds:
                await in_process(service, kind, len(kind.credentials))
            if options.profile:
                wanted = next(kind for kind in kinds if kind.name.startswith(options.profile))
                await profiled(service, wanted, options.requests)
                return
            costs: dict[str, list[tuple[float, float]]] = {kind.name: [] for kind in kinds}
            with worker(there, here.descriptors["policy"]) as pid:
                for _ in range(options.rounds):
                    for kind in kinds:
                        ours = await in_process(service, kind, options.requests)
                        whole = await asyncio.to_thread(
                            over_the_socket, prefix.policy_socket, pid, kind, options.requests
                        )
                        costs[kind.name].append((ours, whole))
        for each in sockets["policy"]:
            each.close()
    Console().print(table_of(costs))


if __name__ == "__main__":
    uvloop.run(main())
