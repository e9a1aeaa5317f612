"""The control process: Admin API, store, compiler, xDS server, issuers, status and metrics.

python -m scopegate.app.control      (started by the supervisor)
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import string
import sys
import time
import uuid
from functools import partial
from typing import Any

import scopegate
from scopegate.admin.application import create_admin_app
from scopegate.admin.node import NodeInfo
from scopegate.app.certificates import pair_of
from scopegate.app.control.endpoints import facts_app, status_app
from scopegate.app.control.issuer_book import IssuerBook
from scopegate.app.control.last_good import LastGood
from scopegate.app.control.policy_files import PolicyFiles
from scopegate.app.control.publisher import Publisher
from scopegate.app.http_client import AiohttpClient, trusted_bundle
from scopegate.app.prefix import Prefix
from scopegate.app.processes.envoy_admin import server_counts
from scopegate.app.processes.handover import Handover, begin, take_over
from scopegate.app.processes.heartbeat import beat
from scopegate.app.processes.listening import setting_label
from scopegate.app.processes.serving import server_of
from scopegate.app.settings.settings import Settings
from scopegate.app.settings.values import ListenAddress
from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.entities.kinds import completion, entity_schemas
from scopegate.envoy.ads import AdsServer
from scopegate.envoy.settings import EnvoySettings, TrustedPeers
from scopegate.ir.gateway import Listener, TlsIdentity
from scopegate.oidc.discovery import fetch_issuer, probe_issuer
from scopegate.plugins.registry import PLUGIN_TYPES, PLUGINS
from scopegate.store.protocol import StoreMisconfigured, StoreUnavailable
from scopegate.store.sqlite import open_sqlite
from scopegate.telemetry.logging import logger
from scopegate.telemetry.metrics import Metrics

GRACE_S = 3
_STRING_LENGTH = 32
_ALPHABET = string.ascii_letters + string.digits


async def serve(handover: Handover, metrics: Metrics) -> None:
    """Serve until SIGTERM or SIGINT."""
    settings, prefix = handover.settings, handover.prefix
    beating = asyncio.create_task(beat())
    store = await open_sqlite(
        settings.sqlite_path,
        random_bytes=secrets.token_bytes,
        now_s=time.time,
        complete=completion(entity_schemas(PLUGIN_TYPES)),
    )
    client = AiohttpClient(settings.lua_ssl_trusted_certificate, observe=metrics.idp_answered)
    # Envoy may answer before the publisher is there; then nothing has been handed out yet.
    publisher: Publisher | None = None
    last_good = LastGood(prefix.last_good)
    ads = AdsServer(
        admin_socket=prefix.envoy_admin_socket,
        last_good=last_good.load(),
        on_outcome=lambda outcome: publisher.note(outcome) if publisher else None,
    )
    issuers = IssuerBook(
        lambda discovery, previous: fetch_issuer(client, discovery, previous=previous),
        partial(probe_issuer, client),
        store,
        changed=lambda: publisher.wake() if publisher else None,
        now=time.time,
    )
    compile_settings = CompileSettings(
        listeners=_listeners(handover),
        escaped_slashes="keep" if settings.path_escaped_slashes == "keep" else "refuse",
        path_parameters="keep" if settings.path_parameters == "keep" else "refuse",
    )
    publisher = Publisher(
        store=store,
        issuers=issuers,
        plugins=PLUGINS,
        compile_=lambda snapshot, facts, memo: compile_gateway(
            snapshot, facts, compile_settings, PLUGINS, memo
        ),
        files=PolicyFiles(prefix.policies, time.time),
        last_good=last_good,
        ads=ads,
        envoy=_envoy_settings(settings),
        metrics=metrics,
    )
    await issuers.load()
    store.on_change(publisher.wake)
    publisher.wake()
    node = _node(settings)
    admin = create_admin_app(
        store,
        publish=publisher.publish,
        findings=publisher.findings,
        node=node,
        now_s=lambda: int(time.time()),
        new_uuid=lambda: str(uuid.uuid4()),
        random_string=_random_string,
        counts=partial(server_counts, prefix.envoy_admin_socket),
    )
    await ads.start(prefix.xds_socket)
    apps = {
        "admin": admin,
        # Who opened it to other machines calls it by whatever name; on loopback only a page would.
        "status": status_app(
            store,
            publisher,
            issuers,
            prefix,
            guarded_for=node if all(each.is_loopback for each in settings.status_listen) else None,
        ),
        "control": facts_app(issuers),
    }
    servers = [
        (server_of(app, grace_s=GRACE_S, lifespan="off"), handover.sockets(name))
        for name, app in apps.items()
    ]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(publisher.run()), tasks.create_task(issuers.run())]
        serving = [tasks.create_task(server.serve(sockets=sockets)) for server, sockets in servers]
        logger().info("control serves")
        await stop.wait()
        # Envoy may be gone already; a committed write must not wait for it and then be cut off.
        publisher.end()
        for server, _ in servers:
            server.end()
        await asyncio.gather(*serving)
        for task in background:
            task.cancel()
    await ads.stop()
    await client.close()
    await store.close()
    beating.cancel()


def _listeners(handover: Handover) -> tuple[Listener, ...]:
    pair = pair_of(handover.settings, handover.prefix)
    tls = TlsIdentity(str(pair.certificate), str(pair.key))
    return tuple(
        Listener(
            name=f"proxy-{address.host}-{address.port}",
            address=address.host,
            port=address.port,
            tls=tls if address.ssl else None,
            proxy_protocol=address.proxy_protocol,
        )
        for address in handover.settings.proxy_listen
    )


def _envoy_settings(settings: Settings) -> EnvoySettings:
    log_path, prefix = settings.proxy_access_log, Prefix(settings.prefix)
    trusted = TrustedPeers(
        settings.trusted_ips, settings.real_ip_header, settings.real_ip_recursive
    )
    return EnvoySettings(
        server_name=f"scopegate/{scopegate.__version__}",
        ca_bundle_path=str(trusted_bundle(settings.lua_ssl_trusted_certificate)),
        policy_socket=str(prefix.policy_socket),
        revocations_path=str(prefix.revocations),
        debug_header=settings.allow_debug_header,
        headers_limit_kib=settings.request_headers_limit_kib,
        headers_limit_count=settings.request_headers_limit_count,
        trusted_peers=trusted if trusted.ranges else None,
        access_log_path=str(log_path) if log_path is not None else None,
    )


def _node(settings: Settings) -> NodeInfo:
    return NodeInfo(
        version=scopegate.__version__,
        node_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{socket.gethostname()}{settings.prefix}")),
        hostname=socket.gethostname(),
        pids={"master": os.getppid(), "workers": [os.getpid()]},
        proxy_listeners=[_shown(address) for address in settings.proxy_listen],
        admin_hosts=settings.admin_hosts,
        admin_gui_origins=settings.admin_gui_url,
    )


def _shown(address: ListenAddress) -> dict[str, Any]:
    return {
        "ip": address.host,
        "port": address.port,
        "ssl": address.ssl,
        "http2": address.ssl,
        "listener": str(address),
    }


def _random_string() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_STRING_LENGTH))


def main() -> None:
    """What the supervisor starts."""
    handover = take_over()
    metrics = begin(handover)
    try:
        asyncio.run(serve(handover, metrics))
    except StoreUnavailable as problem:
        label = setting_label(handover.settings, "sqlite_path")
        logger().critical("control cannot start", detail=f"{label}: {problem}")
        sys.exit(os.EX_CONFIG if isinstance(problem, StoreMisconfigured) else 1)


if __name__ == "__main__":
    main()
