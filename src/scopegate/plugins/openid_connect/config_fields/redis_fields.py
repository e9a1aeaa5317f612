"""The two records that say where a Redis is."""

from __future__ import annotations

from scopegate.entities.fields import Field, array, record
from scopegate.plugins.openid_connect.config_fields.shapes import (
    LIMIT,
    choice,
    flag,
    secret_text,
    text,
    whole,
)

_PORT = (0, 65535)


def session_redis() -> Field:
    """Where sessions are kept with `session_storage=redis`."""
    return record(
        {
            **_fields(),
            "prefix": text("What the keys begin with."),
            "socket": text("A Unix socket, in place of host and port."),
        },
        description="Where sessions are kept with `session_storage=redis`.",
        required=True,
    )


def cluster_cache_redis() -> Field:
    """Where caches are shared with `cluster_cache_strategy=redis`."""
    return record(
        _fields(),
        description="Where caches are shared with `cluster_cache_strategy=redis`.",
        required=True,
    )


def _fields() -> dict[str, Field]:
    node_port = whole("Its port.", 6379, _PORT)
    return {
        "host": text("Its host.", "127.0.0.1", referenceable=True),
        "port": whole("Its port.", 6379, _PORT, referenceable=True),
        "connect_timeout": whole("Milliseconds to connect.", 2000, (0, LIMIT)),
        "send_timeout": whole("Milliseconds between two writes.", 2000, (0, LIMIT)),
        "read_timeout": whole("Milliseconds between two reads.", 2000, (0, LIMIT)),
        "username": text("Who logs in.", referenceable=True),
        "password": secret_text("The password."),
        "database": whole("Which database.", 0),
        "keepalive_pool_size": whole("How many connections are kept.", 256, (1, LIMIT)),
        "keepalive_backlog": whole("How many may wait for a connection.", None, (0, LIMIT)),
        "sentinel_master": text("The master that Sentinel watches."),
        "sentinel_role": choice("Which node Sentinel names.", ("master", "slave", "any")),
        "sentinel_nodes": array(
            record({"host": text("Its host.", "127.0.0.1"), "port": node_port}),
            description="The Sentinels.",
        ),
        "sentinel_username": text("Who logs in at the Sentinels.", referenceable=True),
        "sentinel_password": secret_text("The password at the Sentinels."),
        "cluster_nodes": array(
            record({"ip": text("Its address.", "127.0.0.1"), "port": node_port}),
            description="The nodes of a cluster.",
        ),
        "cluster_max_redirections": whole("How often a cluster may redirect.", 5),
        "connection_is_proxied": flag("A proxy stands before it.", False),
        "ssl": flag("Connect over TLS.", False),
        "ssl_verify": flag("Verify its certificate.", True),
        "server_name": text("The name that its certificate must have.", referenceable=True),
        "cloud_authentication": record(
            {
                "auth_provider": choice("Whose.", ("aws", "gcp", "azure"), referenceable=True),
                "aws_cache_name": text("AWS: the cache's name.", referenceable=True),
                "aws_region": text("AWS: the region.", referenceable=True),
                "aws_is_serverless": flag("AWS: the cache is serverless.", True),
                "aws_access_key_id": secret_text("AWS: the access key's id."),
                "aws_secret_access_key": secret_text("AWS: the access key."),
                "aws_assume_role_arn": secret_text("AWS: the role to take."),
                "aws_role_session_name": secret_text("AWS: the name of the session."),
                "gcp_service_account_json": secret_text("GCP: the service account."),
                "azure_client_id": secret_text("Azure: the client's id."),
                "azure_client_secret": secret_text("Azure: the client's secret."),
                "azure_tenant_id": secret_text("Azure: the tenant."),
            },
            description="Log in with an identity of a cloud.",
        ),
    }
