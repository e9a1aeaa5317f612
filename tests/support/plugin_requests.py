"""A plugin's request whose fields matter only where a test says so."""

from __future__ import annotations

from typing import Any

from scopegate.plugins.access import Request


def plugin_request(**fields: Any) -> Request:
    """`GET http://a.example/`, with no header and a body that was not read."""
    defaults: dict[str, Any] = {
        "method": "GET",
        "scheme": "http",
        "host": "a.example",
        "path": "/",
        "query": "",
        "headers": (),
        "client_ip": "192.0.2.1",
        "request_id": "r",
    }
    return Request(**defaults | fields)
