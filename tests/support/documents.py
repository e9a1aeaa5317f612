"""Complete documents with Kong's defaults, as the Admin API would store them.

Any field can be given; ids are random UUIDs unless given. References take an id:
`route(service="…")` gives `"service": {"id": "…"}`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

Document = dict[str, Any]

CREATED_AT = 1_700_000_000


def service(**fields: Any) -> Document:
    """A service on example.test."""
    return _complete(
        {
            "name": None,
            "protocol": "http",
            "host": "example.test",
            "port": 80,
            "path": None,
            "retries": 5,
            "connect_timeout": 60000,
            "write_timeout": 60000,
            "read_timeout": 60000,
            "client_certificate": None,
            "ca_certificates": None,
            "tls_verify": None,
            "tls_verify_depth": None,
            "enabled": True,
        },
        fields,
    )


def route(**fields: Any) -> Document:
    """A route for `/`, without a service."""
    return _complete(
        {
            "name": None,
            "protocols": ["http", "https"],
            "methods": None,
            "hosts": None,
            "paths": ["/"],
            "headers": None,
            "snis": None,
            "sources": None,
            "destinations": None,
            "https_redirect_status_code": 426,
            "regex_priority": 0,
            "strip_path": True,
            "path_handling": "v0",
            "preserve_host": False,
            "request_buffering": True,
            "response_buffering": True,
            "service": None,
        },
        fields,
    )


def consumer(**fields: Any) -> Document:
    """A consumer with a username of its own, unless `username` or `custom_id` is given."""
    named = "username" in fields or "custom_id" in fields
    return _complete({"username": None if named else f"user-{uuid4()}", "custom_id": None}, fields)


def plugin(**fields: Any) -> Document:
    """A global openid-connect plugin; `config` is taken as it is, nothing is filled in."""
    return _complete(
        {
            "name": "openid-connect",
            "instance_name": None,
            "enabled": True,
            "protocols": ["grpc", "grpcs", "http", "https"],
            "config": {"issuer": "https://idp.example.test", "session_secret": None},
            "service": None,
            "route": None,
            "consumer": None,
            "ordering": None,
            "partials": None,
        },
        fields,
    )


def _complete(defaults: Document, fields: Document) -> Document:
    document = {
        "id": str(uuid4()),
        "created_at": CREATED_AT,
        "updated_at": CREATED_AT,
        "tags": None,
        **defaults,
    }
    unknown = fields.keys() - document.keys()
    assert not unknown, f"no such fields: {unknown}"
    document |= fields
    for reference in ("service", "route", "consumer"):
        if isinstance(document.get(reference), str):
            document[reference] = {"id": document[reference]}
    return document
