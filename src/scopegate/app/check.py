"""`scopegate check`: would it start? Everything that `start` needs, looked at and left as it is."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ParamSpec

from scopegate.app.access_log import check_access_log
from scopegate.app.cannot_start import CannotStart
from scopegate.app.certificates import check_pair, pair_of
from scopegate.app.http_client import tls_context
from scopegate.app.prefix import Prefix
from scopegate.app.processes.listening import probe_tcp, setting_label
from scopegate.app.proxy_check import check_envoy_version, check_filter_file, check_filter_loads
from scopegate.app.settings.settings import Settings, warnings
from scopegate.app.settings.values import ListenAddress
from scopegate.envoy import module_file
from scopegate.store.protocol import StoreMisconfigured
from scopegate.store.sqlite import check_sqlite

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the list. `ok` None: not wrong, and worth a thought."""

    ok: bool | None
    what: str


def check(settings: Settings) -> Iterator[Verdict]:
    """What is good, what is not and what to do about it, in the order of a start."""
    sources = sorted({given.where.partition(":")[0] for given in settings.given.values()})
    yield Verdict(True, f"settings: right (from {', '.join(sources)})")
    yield from (Verdict(None, warning) for warning in warnings(settings))
    yield from _verdicts(_look_at_prefix, settings)
    yield from _verdicts(_look_at_database, settings)
    for name, addresses in (
        ("proxy_listen", settings.proxy_listen),
        ("admin_listen", settings.admin_listen),
        ("status_listen", settings.status_listen),
    ):
        for address in addresses:
            yield from _verdicts(_look_at_port, name, address, setting_label(settings, name))
    yield from _verdicts(_look_at_certificate, settings)
    yield from _verdicts(_look_at_authorities, settings)
    yield from _verdicts(_look_at_access_log, settings)
    envoy = list(_verdicts(_look_at_envoy))
    yield from envoy
    yield from _verdicts(_look_at_filter, envoy_fits=all(verdict.ok for verdict in envoy))


def _verdicts(look: Callable[P, str], *args: P.args, **kwargs: P.kwargs) -> Iterator[Verdict]:
    try:
        yield Verdict(True, look(*args, **kwargs))
    except CannotStart as error:
        yield from (Verdict(False, line) for line in error.lines)


def _look_at_prefix(settings: Settings) -> str:
    prefix = Prefix(settings.prefix)
    prefix.check_socket_paths()
    existing = next(path for path in (prefix.root, *prefix.root.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise CannotStart(
            f"{setting_label(settings, 'prefix')}: {existing} cannot be written by this user; make"
            " it writable, or set another prefix"
        )
    if prefix.lock.exists():
        with prefix.locked():
            pass
    return f"prefix: {prefix.root} can be written"


def _look_at_database(settings: Settings) -> str:
    path = settings.sqlite_path
    if path.parent == settings.prefix and not path.parent.exists():
        return f"sqlite_path: {path} will be made"
    try:
        check_sqlite(path)
    except StoreMisconfigured as error:
        raise CannotStart(f"{setting_label(settings, 'sqlite_path')}: {error}") from None
    return f"sqlite_path: {path} can be {'used' if path.exists() else 'made'}"


def _look_at_access_log(settings: Settings) -> str:
    check_access_log(settings)
    return f"proxy_access_log: {settings.proxy_access_log or 'off'}"


def _look_at_port(name: str, address: ListenAddress, label: str) -> str:
    probe_tcp(address, label)
    return f"{name}: {address} is free"


def _look_at_certificate(settings: Settings) -> str:
    if not any(address.ssl for address in settings.proxy_listen):
        return "ssl_cert: not needed, no port has TLS"
    if settings.ssl_cert is None:
        return "ssl_cert: not set; a self-signed one for localhost will be used"
    pair = pair_of(settings, Prefix(settings.prefix))
    check_pair(pair, datetime.datetime.now(datetime.UTC))
    return f"ssl_cert: {pair.certificate} and its key belong together"


def _look_at_authorities(settings: Settings) -> str:
    tls_context(settings.lua_ssl_trusted_certificate)
    believed = settings.lua_ssl_trusted_certificate or "the system's authorities"
    return f"lua_ssl_trusted_certificate: {believed} can be read"


def _look_at_envoy() -> str:
    check_envoy_version()
    return f"envoy: version {module_file.ENVOY_VERSION} runs on this machine"


def _look_at_filter(*, envoy_fits: bool) -> str:
    check_filter_file()
    if not envoy_fits:
        return f"proxy filter: {module_file.MODULE_FILE} fits this release"
    check_filter_loads()
    return f"proxy filter: {module_file.MODULE_FILE} fits this release, and Envoy loads it"
