"""From the text of a setting to its value. Every parser raises ValueError saying what is right."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LISTEN_FLAGS = ("ssl", "http2", "proxy_protocol", "reuseport")
KONG_LISTEN_FLAGS = ("deferred", "bind", "backlog", "ipv6only", "so_keepalive")
PROXY_PROTOCOL = "proxy_protocol"
"""The listen flag; as `real_ip_header` it says that the preamble alone names the client."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen.

    host             an IPv4 or IPv6 address, without brackets
    proxy_protocol   every connection begins with a preamble that names the client
    """

    host: str
    port: int
    ssl: bool = False
    http2: bool = False
    proxy_protocol: bool = False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return ipaddress.ip_address(self.host).is_loopback


def parse_listen(text: str, flags: tuple[str, ...] = LISTEN_FLAGS) -> tuple[ListenAddress, ...]:
    """`address:port [flag …], …` in Kong's grammar; of its flags only `flags` are taken."""
    if text.strip() == "off":
        raise ValueError("off is not supported yet; give an address and a port")
    addresses = tuple(_listen_address(entry, flags) for entry in text.split(","))
    seen: set[tuple[str, int]] = set()
    for address in addresses:
        if (address.host, address.port) in seen:
            raise ValueError(f"each address once; {address} is there twice")
        seen.add((address.host, address.port))
    return addresses


def _listen_address(entry: str, allowed: tuple[str, ...]) -> ListenAddress:
    where, *flags = entry.split() or [""]
    for flag in flags:
        name = flag.partition("=")[0]
        if flag in allowed:
            continue
        takes = f"the flags are {', '.join(allowed)}" if allowed else "it takes no flags"
        if name in KONG_LISTEN_FLAGS or flag in LISTEN_FLAGS:
            raise ValueError(f'the flag "{flag}" is not supported yet here; {takes}')
        raise ValueError(f'"{flag}" is no flag; {takes}')
    host, colon, port = where.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(f'"{entry.strip()}" should be address:port with a port from 1 to 65535')
    return ListenAddress(
        _host(host),
        int(port),
        ssl="ssl" in flags,
        http2="http2" in flags,
        proxy_protocol=PROXY_PROTOCOL in flags,
    )


def _host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise ValueError(f'"{text}" should hold an IPv6 address') from None
    if ":" in text:
        raise ValueError(f"an IPv6 address stands in brackets: [{text}]")
    if re.fullmatch(r"[\d.]+", text):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise ValueError(f'"{text}" should be an IPv4 address such as 127.0.0.1') from None
    if text == "localhost":
        return "127.0.0.1"
    raise ValueError(f'"{text}" should be an IP address or localhost; names are not supported yet')


def one_of(
    *choices: str, not_yet: tuple[str, ...] = (), aliases: dict[str, str] | None = None
) -> Callable[[str], str]:
    """A parser for one of a few words; `not_yet` are Kong's words that are not built."""
    meanings = {**{choice: choice for choice in choices}, **(aliases or {})}

    def parse(text: str) -> str:
        if text in meanings:
            return meanings[text]
        right = f"it should be {' or '.join(choices)}"
        raise ValueError(f'"{text}" is not supported yet; {right}' if text in not_yet else right)

    return parse


def on_or_off(text: str) -> bool:
    """Whether it says `on`."""
    return one_of("on", "off")(text) == "on"


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A parser for a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"it should be a whole number from {least} to {most}")
        return int(text)

    return parse


def seconds(most: int) -> Callable[[str], float]:
    """A parser for seconds from 0 to `most`, with a fraction if need be."""

    def parse(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or float(text) > most:
            raise ValueError(f"it should be a number of seconds from 0 to {most}")
        return float(text)

    return parse


def origins(text: str) -> tuple[str, ...]:
    """`https://host[:port][/path], …` as origins (RFC 6454 §6.2); none when empty."""
    return tuple(_origin(entry.strip()) for entry in text.split(",")) if text else ()


def _origin(text: str) -> str:
    right = f'"{text}" should be a URL such as https://console.example:8445'
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise ValueError(right) from None
    if url.scheme not in ("http", "https") or not url.hostname or "@" in url.netloc:
        raise ValueError(right)
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    implied = {"http": 80, "https": 443}[url.scheme]
    return f"{url.scheme}://{host}" + ("" if port in (None, implied) else f":{port}")


def host_names(text: str) -> tuple[str, ...]:
    """`name, name, …` without ports, lower case; none when empty."""
    names = tuple(name.strip().lower() for name in text.split(",")) if text else ()
    for name in names:
        if not re.fullmatch(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", name):
            raise ValueError(f'"{name}" should be a host name without port')
    return names


def address_ranges(text: str) -> tuple[str, ...]:
    """`address, address/bits, …` as CIDR ranges, each once; none when empty.

    As for Kong, bits beyond the length of the prefix are ignored: `10.1.2.3/8` is `10.0.0.0/8`.
    """
    entries = [entry.strip() for entry in text.split(",")] if text else []
    return tuple(dict.fromkeys(map(_address_range, entries)))


def _address_range(entry: str) -> str:
    if entry == "unix:":
        raise ValueError('"unix:" is not supported: the proxy listens on no Unix socket')
    address, slash, bits = entry.partition("/")
    try:
        # Neither a netmask (10.0.0.0/255.0.0.0) nor a zone (fe80::1%eth0): nginx knows none.
        if slash and not re.fullmatch(r"[0-9]{1,3}", bits):
            raise ValueError
        if "%" in address:
            raise ValueError
        return str(ipaddress.ip_network(entry, strict=False))
    except ValueError:
        raise ValueError(
            f'"{entry}" should be an address or a CIDR range, such as 10.0.0.0/8 or 2001:db8::/32'
        ) from None


def real_ip_header(text: str) -> str:
    """The name of a request header, lower case, or `proxy_protocol`."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9!#$&'*+.^_`|~-]+", name):
        raise ValueError("it should be the name of a header, or proxy_protocol")
    if name == "forwarded":
        raise ValueError(
            "Forwarded is not supported; have the balancer send X-Forwarded-For or X-Real-IP"
        )
    if name in ("host", "authorization", "cookie", "connection") or name.startswith("x-scopegate-"):
        raise ValueError("this header has another meaning; it should be one that names an address")
    return name


def path_in(folder: Path) -> Callable[[str], Path]:
    """A parser for a path; a relative one is meant relative to `folder`."""

    def parse(text: str) -> Path:
        if not text or "\0" in text:
            raise ValueError("it should be a path")
        try:
            expanded = Path(text).expanduser()
        except RuntimeError:
            raise ValueError("it should be a path; nobody's home folder is known here") from None
        # normpath, not resolve: a symbolic link on the way stays what the operator wrote.
        return Path(os.path.normpath(folder / expanded))

    return parse
