"""Host names and addresses, with Kong's rules and texts. Source: contract admin-api.md §2."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

PORT_LIMIT = 65535
NAME_LIMIT = 253
LABEL_LIMIT = 63
"""What no name server can hold. Source: RFC 1035 §2.3.4."""

BAD_PORT = "invalid port number"


@dataclass(frozen=True, slots=True)
class Host:
    """A host as somebody wrote it. `name` is without port."""

    kind: Literal["ipv4", "ipv6", "name"]
    name: str
    port: int | None = None


def parse_host(text: str) -> Host:
    """`name`, `name:port`, `ipv4`, `ipv4:port`, `ipv6`, `[ipv6]`, `[ipv6]:port`.

    Raises ValueError with Kong's text.
    """
    if text.count(":") > 1:
        return _parse_ipv6(text)
    if re.fullmatch(r"[0-9.]+", text.replace(":", "")):
        return _parse_ipv4(text)
    return _parse_name(text)


def host_fault(text: str) -> str | None:
    """For a service: any host, no port."""
    try:
        host = parse_host(text)
    except ValueError as error:
        return "must not have a port" if str(error) == BAD_PORT else f"invalid value: {text}"
    return None if host.port is None else "must not have a port"


def sni_fault(text: str) -> str | None:
    """For a route's server names: a name, a wildcard at one end, no address, no port."""
    star = text.find("*")
    if star >= 0:
        if star not in (0, len(text) - 1):
            return "wildcard must be leftmost or rightmost character"
        if text.count("*") > 1:
            return "only one wildcard must be specified"
    try:
        host = parse_host(text.replace("*", "wildcard"))
    except ValueError as error:
        return "must not have a port" if str(error) == BAD_PORT else f"invalid value: {text}"
    if host.kind != "name":
        return "must not be an IP"
    return None if host.port is None else "must not have a port"


def route_host_fault(text: str) -> str | None:
    """For a route's hosts, whose wildcard other rules have checked: a port may follow."""
    try:
        parse_host(text.replace("*", "abc"))
    except ValueError as error:
        return str(error)
    return None


def _parse_ipv4(text: str) -> Host:
    address, _, port = text.partition(":")
    try:
        parts = [int(part) for part in address.split(".")]
    except ValueError:
        parts = []
    well_formed = re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?", text)
    if not well_formed or any(part > 255 for part in parts):
        raise ValueError(f"invalid ipv4 address: {text}")
    return Host("ipv4", ".".join(str(part) for part in parts), _port(port))


def _parse_ipv6(text: str) -> Host:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::([0-9]+))?", text)
    address, port = (bracketed[1], bracketed[2] or "") if bracketed else (text, "")
    try:
        if "%" in address:
            raise ValueError("a zone belongs to one machine")
        return Host("ipv6", ipaddress.IPv6Address(address).exploded, _port(port))
    except ipaddress.AddressValueError:
        raise ValueError(f"invalid ipv6 address: {text}") from None


def _parse_name(text: str) -> Host:
    with_port = re.fullmatch(r"(.*):([0-9]+)", text, re.DOTALL)
    name, port = (with_port[1], with_port[2]) if with_port else (text, "")
    labels = name.split(".")
    if labels[-1] == "" and len(labels) > 1:
        labels.pop()  # a fully qualified name ends in a dot
    good = (
        len(".".join(labels)) <= NAME_LIMIT
        and re.fullmatch(r"[0-9A-Za-z._-]+", name)
        and all(0 < len(label) <= LABEL_LIMIT and not label.endswith("-") for label in labels)
    )
    if not good:
        raise ValueError(f"invalid hostname: {text}")
    return Host("name", name, _port(port))


def _port(digits: str) -> int | None:
    if not digits:
        return None
    if len(digits) > 5 or int(digits) > PORT_LIMIT:
        raise ValueError(BAD_PORT)
    return int(digits)
