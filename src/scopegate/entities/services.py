"""Services: where requests go. Source: contract admin-api.md §2."""

from __future__ import annotations

from scopegate.entities.common_fields import (
    TIMEOUT_LIMIT_MS,
    created_at,
    identifier,
    protocol,
    tags,
    unique_name,
    updated_at,
)
from scopegate.entities.entity_checks import NullUnless
from scopegate.entities.fields import Field, Shorthand, array, boolean, foreign, integer, string
from scopegate.entities.hosts import host_fault
from scopegate.entities.paths import path_fault
from scopegate.entities.rules import MatchNone, Must, StartsWith
from scopegate.entities.schema import EntitySchema
from scopegate.entities.urls import split_service_url


def _timeout(description: str) -> Field:
    return integer(description=description, default=60000, between=(1, TIMEOUT_LIMIT_MS))


SERVICES = EntitySchema(
    kind="services",
    endpoint_key="name",
    fields={
        "id": identifier(),
        "created_at": created_at(),
        "updated_at": updated_at(),
        "name": unique_name("The service's name."),
        "retries": integer(
            description="How often a request that failed is tried again.",
            default=5,
            between=(0, 32767),
        ),
        "protocol": protocol(required=True, default="http"),
        "host": string(
            description="The upstream's host name or address.",
            required=True,
            rules=(Must(host_fault),),
        ),
        "port": integer(
            description="The upstream's port.", required=True, default=80, between=(0, 65535)
        ),
        "path": string(
            description="What the path of every request begins with at the upstream.",
            rules=(
                StartsWith("/"),
                MatchNone("//", "must not have empty segments"),
                Must(path_fault),
            ),
        ),
        "connect_timeout": _timeout("Milliseconds to connect."),
        "write_timeout": _timeout("Milliseconds between two writes to the upstream."),
        "read_timeout": _timeout("Milliseconds between two reads from the upstream."),
        "tags": tags(),
        "client_certificate": foreign(
            "certificates",
            description="The certificate to show to the upstream.",
            supported=False,
        ),
        "tls_verify": boolean(
            description="Whether the upstream's certificate is verified; null: the node decides."
        ),
        "tls_verify_depth": integer(
            description="How long the upstream's certificate chain may be.",
            between=(0, 64),
            supported=False,
        ),
        "ca_certificates": array(
            string(description="The id of a CA certificate.", uuid=True),
            description="Whom to believe about the upstream's certificate.",
            supported=False,
        ),
        "enabled": boolean(
            description="Whether its routes are served.", required=True, default=True
        ),
    },
    shorthands={
        "url": Shorthand(
            field=string(description="Protocol, host, port and path in one.", required=True),
            expand=split_service_url,
        )
    },
    checks=(
        NullUnless("path", "protocol", ("http", "https", "ws", "wss")),
        NullUnless("client_certificate", "protocol", ("https", "tls", "wss")),
        NullUnless("tls_verify", "protocol", ("https", "tls", "wss")),
        NullUnless("tls_verify_depth", "protocol", ("https", "tls", "wss")),
        NullUnless("ca_certificates", "protocol", ("https", "tls", "wss")),
    ),
)
