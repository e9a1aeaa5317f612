"""Listening sockets: opened once by the supervisor, handed to whoever serves them.

Because the supervisor keeps them open, a connection that arrives while a child is being restarted
waits in the queue and is served by the next one.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from scopegate.app.cannot_start import CannotStart
from scopegate.app.prefix import Prefix
from scopegate.app.settings.settings import Settings
from scopegate.app.settings.values import ListenAddress

BACKLOG = 2048

Sockets = Mapping[str, Sequence[socket.socket]]
"""Name (`admin`, `status`, `policy`, `control`) → the sockets that listen under it."""


def open_sockets(settings: Settings, prefix: Prefix) -> Sockets:
    """Open what control and the policy workers serve. Raises CannotStart."""
    opened: dict[str, list[socket.socket]] = {}
    try:
        for name, addresses in (
            ("admin", settings.admin_listen),
            ("status", settings.status_listen),
        ):
            for address in addresses:
                told = setting_label(settings, f"{name}_listen")
                opened.setdefault(name, []).append(open_tcp(address, told))
        opened["policy"] = [open_unix(prefix.policy_socket)]
        opened["control"] = [open_unix(prefix.control_socket)]
    except BaseException:
        close_sockets(opened)
        raise
    return opened


def close_sockets(sockets: Sockets) -> None:
    """Close them all; clients that still wait are refused."""
    for group in sockets.values():
        for each in group:
            each.close()


def probe_proxy_ports(settings: Settings) -> None:
    """See that the proxy's ports are free, without listening on them. Raises CannotStart.

    Envoy opens them itself, and would share one with another program of this user.
    """
    for address in settings.proxy_listen:
        probe_tcp(address, setting_label(settings, "proxy_listen"))


def await_free_ports(settings: Settings, limit_s: float) -> None:
    """Give processes that are about to end time to let go of our ports."""
    deadline_s = time.monotonic() + limit_s
    for address in (*settings.proxy_listen, *settings.admin_listen, *settings.status_listen):
        while time.monotonic() < deadline_s:
            try:
                probe_tcp(address, "")
                break
            except CannotStart:
                time.sleep(0.02)


def setting_label(settings: Settings, name: str) -> str:
    """A setting and where its value comes from, for a message."""
    return f"{name} ({settings.given[name].where})"


def open_tcp(address: ListenAddress, setting: str) -> socket.socket:
    """A socket that listens on `address`. Raises CannotStart naming `setting`."""
    listening = _bound(address, setting)
    try:
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise _refused(address, setting, error) from None
    listening.setblocking(False)
    return listening


def probe_tcp(address: ListenAddress, setting: str) -> None:
    """See that `address` is free, without listening on it. Raises CannotStart naming `setting`."""
    _bound(address, setting).close()


def open_unix(path: Path) -> socket.socket:
    """A Unix socket that listens at `path`; one left there by an earlier run is replaced."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        former = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(former)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        reason = (error.strerror or "it cannot be opened").lower()
        raise CannotStart(f"prefix: {path}: {reason}; set another prefix") from None
    listening.setblocking(False)
    return listening


def _bound(address: ListenAddress, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        unbound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _refused(address, setting, error) from None
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # As Envoy does it: [::] takes IPv6 only, so that 0.0.0.0 can stand beside it.
            unbound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        unbound.bind((address.host, address.port))
    except OSError as error:
        unbound.close()
        raise _refused(address, setting, error) from None
    return unbound


def _refused(address: ListenAddress, setting: str, error: OSError) -> CannotStart:
    match error.errno:
        case errno.EADDRINUSE:
            why = "is taken by another program; end that one or give another port"
        case errno.EACCES:
            why = "may not be opened by this user; give a port from 1024 up"
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            why = "is no address of this machine; give one that it has"
        case _:
            why = f"cannot be opened ({(error.strerror or 'no reason given').lower()})"
    return CannotStart(f"{setting}: {address} {why}")
