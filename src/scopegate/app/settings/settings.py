"""Settings: where they come from, what they become, what is wrong with them.

Sources, the later wins: the defaults of `table.py`, a `scopegate.conf`, the environment
(`SCOPEGATE_<NAME>`). Source of names and file format: Kong's kong.conf.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scopegate.app.cannot_start import SettingsError
from scopegate.app.settings.kong_only import why_missing
from scopegate.app.settings.setting import Surroundings
from scopegate.app.settings.table import BY_NAME, SETTINGS
from scopegate.app.settings.values import PROXY_PROTOCOL, ListenAddress

ENVIRONMENT_PREFIX = "SCOPEGATE_"
CONF_PLACES = (Path("scopegate.conf"), Path("/etc/scopegate/scopegate.conf"))
"""Where a file is looked for when none is named; the first found is read."""


@dataclass(frozen=True, slots=True)
class Given:
    """The text of a setting and where it stands: `scopegate.conf:3`, a variable, or the default."""

    text: str
    where: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, checked. Fields are named as in `table.py`; paths are absolute.

    trusted_ips                  CIDR ranges
    real_ip_header               lower case
    admin_gui_url                origins: scheme, host and port
    proxy_access_log             None: no access log
    ssl_cert, ssl_cert_key       None, both: the made-up pair in the prefix
    lua_ssl_trusted_certificate  None: the system's authorities
    given                        every setting's text and where it came from
    """

    prefix: Path
    role: str
    policy_workers: int
    replay_limit_s: float
    drain_timeout_s: float
    proxy_listen: tuple[ListenAddress, ...]
    trusted_ips: tuple[str, ...]
    real_ip_header: str
    real_ip_recursive: bool
    proxy_workers: int
    path_escaped_slashes: str
    path_parameters: str
    allow_debug_header: bool
    request_headers_limit_kib: int
    request_headers_limit_count: int
    admin_listen: tuple[ListenAddress, ...]
    admin_hosts: tuple[str, ...]
    admin_gui_url: tuple[str, ...]
    status_listen: tuple[ListenAddress, ...]
    database: str
    sqlite_path: Path
    ssl_cert: Path | None
    ssl_cert_key: Path | None
    lua_ssl_trusted_certificate: Path | None
    log_level: str
    log_format: str
    proxy_access_log: Path | None
    given: Mapping[str, Given]


def load_settings(
    conf: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    cores: int | None = None,
) -> Settings:
    """Settings from the defaults, a file and the environment.

    conf          the file to read; None looks in CONF_PLACES and may find none
    environment, folder, cores   this process's own when None

    Raises SettingsError with a line for everything that is wrong.
    """
    environment = os.environ if environment is None else environment
    folder = Path.cwd() if folder is None else folder
    problems: list[str] = []
    given: dict[str, Given] = {}
    path = _conf_path(conf, folder)
    if path is not None:
        given.update(_read_conf(path, problems))
    given.update(_read_environment(environment, problems))
    return settings_from(given, folder=folder, cores=cores, problems=tuple(problems))


def settings_from(
    given: Mapping[str, Given],
    *,
    folder: Path,
    cores: int | None = None,
    problems: tuple[str, ...] = (),
) -> Settings:
    """Settings from texts by name; what is not given is at its default.

    problems   lines about what was wrong before, to be told together with what is wrong here
    """
    texts = {setting.name: Given(setting.default, "default") for setting in SETTINGS} | {**given}
    cores = cores or len(os.sched_getaffinity(0))
    said = list(problems)
    values: dict[str, Any] = {}
    # The prefix comes first in the table: other paths are relative to it.
    around = Surroundings(folder=folder, prefix=folder, cores=cores)
    for setting in SETTINGS:
        text = texts[setting.name]
        try:
            values[setting.name] = setting.parse(text.text, around)
        except ValueError as error:
            said.append(f'{text.where}: {setting.name} = "{text.text}" is wrong: {error}')
        if setting.name == "prefix":
            around = Surroundings(folder, values.get("prefix", folder), cores)
    if not said:
        settings = Settings(**values, given=texts)
        said = list(_disagreements(settings))
        if not said:
            return settings
    raise SettingsError(*said)


def warnings(settings: Settings) -> tuple[str, ...]:
    """What is allowed and unsafe, one line each."""
    reachable = (
        f"admin_listen: {address} can be reached from other machines, and whoever reaches the Admin"
        " API rules this gateway; use 127.0.0.1, or see that only operators can connect"
        for address in settings.admin_listen
        if not address.is_loopback
    )
    everybody = (
        f"trusted_ips: {each} is everybody, so that every client can claim any address, scheme and"
        " host; name the addresses of your load balancers"
        for each in settings.trusted_ips
        if each.endswith("/0")
    )
    return (*reachable, *everybody)


def _conf_path(conf: Path | None, folder: Path) -> Path | None:
    if conf is not None:
        return folder / conf
    return next((folder / place for place in CONF_PLACES if (folder / place).is_file()), None)


def _read_conf(path: Path, problems: list[str]) -> Iterator[tuple[str, Given]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise SettingsError(f"{path}: {reason}; name a file that can be read with -c") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: it should be a text file in UTF-8") from None
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path.name}:{number}"
        entry = _without_comment(line).strip()
        if not entry:
            continue
        name, equals, text = (part.strip() for part in entry.partition("="))
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            problems.append(f"{where}: a line should be name = value, or a # comment")
        elif name not in BY_NAME:
            problems.append(f'{where}: "{name}" is no setting: {_hint(name)}')
        elif name in first:
            problems.append(f"{where}: {name} stands in line {first[name]} already; keep one")
        else:
            first[name] = number
            yield name, Given(text, where)


def _without_comment(line: str) -> str:
    # As in kong.conf: # begins a comment anywhere, \# is a # of the value.
    return re.sub(r"(?<!\\)#.*", "", line).replace("\\#", "#")


def _read_environment(
    environment: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Given]]:
    for variable, text in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in BY_NAME and variable.isupper():
            yield name, Given(text.strip(), variable)
        else:
            problems.append(f"{variable} in the environment is no setting: {_hint(name)}")


def _hint(name: str) -> str:
    missing = why_missing(name)
    if missing:
        return missing
    close = difflib.get_close_matches(name.lower(), BY_NAME, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return "scopegate.conf.default lists them all"


def _disagreements(settings: Settings) -> Iterator[str]:
    """What is wrong between settings that are right one by one."""
    if (settings.ssl_cert is None) != (settings.ssl_cert_key is None):
        there, missing = ("ssl_cert", "ssl_cert_key")
        if settings.ssl_cert is None:
            there, missing = missing, there
        yield f"{settings.given[there].where}: {there} needs {missing} beside it; set both"
    yield from _proxy_protocol_disagreements(settings)
    taken: dict[int, list[tuple[str, ListenAddress]]] = {}
    for name, addresses in (
        ("proxy_listen", settings.proxy_listen),
        ("admin_listen", settings.admin_listen),
        ("status_listen", settings.status_listen),
    ):
        for address in addresses:
            for other_name, other in taken.setdefault(address.port, []):
                if other_name != name and _overlap(address, other):
                    yield (
                        f"{settings.given[name].where}: {name} and {other_name} both want port"
                        f" {address.port}; give one of them another"
                    )
            taken[address.port].append((name, address))


def _proxy_protocol_disagreements(settings: Settings) -> Iterator[str]:
    flagged = [address for address in settings.proxy_listen if address.proxy_protocol]
    if flagged and not settings.trusted_ips:
        yield (
            f"{settings.given['proxy_listen'].where}: proxy_listen has {PROXY_PROTOCOL} on"
            f" {flagged[0]}, where only trusted_ips may connect; set trusted_ips to the addresses"
            " of your load balancers"
        )
    if settings.real_ip_header == PROXY_PROTOCOL and not flagged:
        yield (
            f"{settings.given['real_ip_header'].where}: real_ip_header is {PROXY_PROTOCOL}, and no"
            f" address of proxy_listen has this flag; add it there, as in"
            f" {settings.proxy_listen[0]} {PROXY_PROTOCOL}"
        )


def _overlap(one: ListenAddress, other: ListenAddress) -> bool:
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 (compared, not listened on)
    return one.host == other.host or bool({one.host, other.host} & everywhere)
