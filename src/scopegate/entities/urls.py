"""URLs that operators give: of services, and of identity providers and pages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from scopegate.entities.hosts import PORT_LIMIT, parse_host

_DEFAULT_PORTS = {"http": 80, "https": 443}


def split_service_url(url: str) -> dict[str, Any]:
    """A service's `protocol`, `host`, `port`, `path` from its `url` shorthand.

    Parts that a service has no field for are refused with ValueError; what is missing or wrong is
    left to the checks of the four fields. Source: contract admin-api.md §2.
    """
    rest = url
    scheme = re.match(r"([0-9A-Za-z][0-9A-Za-z+.-]*):", rest)
    if scheme:
        rest = rest[scheme.end() :]
    authority = re.match(r"//([^/?#]*)", rest)
    host: str | None = None
    port: int | str | None = None
    if authority:
        rest = rest[authority.end() :]
        host, port = _split_authority(authority[1])
    if "?" in rest or "#" in rest:
        raise ValueError("must not have a query or a fragment")
    by_port = {80: "http", 443: "https"}.get(port) if isinstance(port, int) else None
    protocol = scheme[1].lower() if scheme else by_port or "http"
    return {
        "protocol": protocol,
        "host": host or None,
        "port": _DEFAULT_PORTS.get(protocol, 80) if port is None else port,
        "path": rest or None,
    }


def http_url_fault(url: str) -> str | None:
    """What is wrong with an absolute http or https URL, or None. Never quotes the URL."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        return "must not contain blanks, backslashes or control characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "could not parse url"
    if not parts.netloc:
        return "missing host in url"
    if not parts.scheme:
        return "missing scheme in url"
    if parts.scheme not in ("http", "https"):
        return "should be an http or https URL"
    if "@" in parts.netloc:
        return "must not contain a user name or password"
    if port is not None and not 0 < port <= PORT_LIMIT:
        return "invalid port number"
    try:
        parse_host(parts.hostname or "")
    except ValueError:
        return "invalid host in url"
    return None


def redirect_url_fault(url: str) -> str | None:
    """For a URL that browsers are sent to: absolute, no fragment. Source: RFC 6749 §3.1.2."""
    fault = http_url_fault(url)
    if fault is None and "#" in url:
        return "must not have a fragment"
    return fault


def _split_authority(authority: str) -> tuple[str, int | str | None]:
    if "@" in authority:
        raise ValueError("must not have a user name or password")
    with_port = re.fullmatch(r"(.*):([^:\]]*)", authority)
    host, port = (with_port[1], with_port[2]) if with_port else (authority, "")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not port:
        return host, None
    return host, int(port) if re.fullmatch(r"[0-9]{1,9}", port) else port
