"""Who may drive the Admin API from a browser: nobody but its own pages and the console's.

Whoever reaches the Admin API rules the gateway and reads its secrets, and a browser on the
operator's machine reaches loopback for every page that it shows. Two tricks must not work:

- A foreign page calls `http://localhost:8001`. Browsers then name the page's site in `Origin`. A
  site that is neither the Admin API's own nor in `admin_gui_origins` gets 403, for reading too.
- A foreign name is pointed at 127.0.0.1 (DNS rebinding), so that the browser thinks page and Admin
  API are one site. The name then stands in `Host`. Only localhost, addresses, this machine's name
  and `admin_hosts` are answered.

curl, HTTPie and decK send no `Origin` and call the name or address they were given.
Source: contract admin-api.md §2 (responses) for the headers; RFC 6454 §7.
"""

from __future__ import annotations

from collections.abc import Mapping

from scopegate.admin.node import NodeInfo
from scopegate.entities.hosts import parse_host


def why_refused(headers: Mapping[str, str], node: NodeInfo) -> str | None:
    """Why this request is not answered, or None. `headers`: names in lower case."""
    host, origin = headers.get("host"), headers.get("origin")
    if host is not None and not _is_ours(host, node):
        return (
            "the Host header names none of this node's names; name it in admin_hosts if it is one"
        )
    if origin is None or origin in node.admin_gui_origins:
        return None
    if host is not None and origin.partition("://")[2].lower() == host.lower():
        return None
    return "pages of other sites are not answered; admin_gui_url names those that are"


def cors_headers(headers: Mapping[str, str], node: NodeInfo) -> dict[str, str]:
    """What every answer carries for browsers."""
    origin, known = headers.get("origin"), node.admin_gui_origins
    allowed = "*" if not known else origin if origin in known else known[0]
    answer = {
        "Access-Control-Allow-Origin": allowed or "*",
        "Access-Control-Allow-Credentials": "true",
    }
    return {**answer, "Vary": "Origin"} if known else answer


def _is_ours(host: str, node: NodeInfo) -> bool:
    try:
        parsed = parse_host(host)
    except ValueError:
        return False
    if parsed.kind != "name":
        return True
    name = parsed.name.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return name in {known.lower().rstrip(".") for known in (node.hostname, *node.admin_hosts)}
