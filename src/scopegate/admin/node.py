"""What the Admin API must be told about the node that it runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

KONG_VERSION = "3.11.0.0"
"""The version of Kong's Admin API that we speak. Source: contract admin-api.md §1."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What became of a committed write at the proxy.

    live      the proxy has it
    pending   the proxy has not said so in time; it will get it
    rejected  the proxy refuses it and keeps what it had; findings say why
    """

    state: Literal["live", "pending", "rejected"]
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The node.

    version            Scopegate's own
    node_id, hostname  its id (UUID) and its machine's name
    pids               process ids by role ("master", "workers" …), as JSON
    database           "postgres" for any database that is written to, else "off": all that Kong's
                       clients know
    configuration      settings to show at `/`, none of them secret
    proxy_listeners    `{"ip", "port", "ssl", "http2", "listener"}` for each
    admin_hosts        names by which clients may call the Admin API, besides localhost, addresses
                       and `hostname`
    admin_gui_origins  sites whose pages may drive the Admin API (`https://console.example:8445`)
    """

    version: str
    node_id: str
    hostname: str
    pids: Mapping[str, Any] = field(default_factory=dict)
    database: Literal["postgres", "off"] = "postgres"
    configuration: Mapping[str, Any] = field(default_factory=dict)
    proxy_listeners: Sequence[Mapping[str, Any]] = ()
    admin_hosts: tuple[str, ...] = ()
    admin_gui_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerCounts:
    """Connections and requests of the proxy since its start, as `/status` shows them."""

    connections_active: int
    connections_accepted: int
    connections_handled: int
    total_requests: int
