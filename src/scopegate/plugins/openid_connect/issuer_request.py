"""What a configuration says of its identity provider: what to fetch, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.entities.snapshot import Plugin
from scopegate.oidc.discovery import DiscoverySettings
from scopegate.oidc.http import HttpSettings
from scopegate.plugins.issuer_requests import IssuerRequest


def issuer_request(plugin: Plugin) -> IssuerRequest:
    """What control fetches for this plugin."""
    config = plugin.config
    names = config["discovery_headers_names"] or ()
    values = config["discovery_headers_values"] or ()
    discovery = DiscoverySettings(
        issuer=config["issuer"],
        http=http_settings(config),
        discover=not config["using_pseudo_issuer"],
        issuers_allowed=tuple(config["issuers_allowed"] or ()),
        jwks_endpoint=config["jwks_endpoint"],
        extra_jwks_uris=tuple(config["extra_jwks_uris"] or ()),
        headers=tuple(zip(names, values, strict=True)),
    )
    return IssuerRequest(
        discovery=discovery,
        cache_ttl_s=config["cache_ttl"],
        rediscovery_lifetime_s=config["rediscovery_lifetime"],
        plugin_ids=(plugin.id,),
    )


def http_settings(config: Mapping[str, Any]) -> HttpSettings:
    """How this configuration reaches its identity provider; `timeout` is in milliseconds."""
    return HttpSettings(
        timeout_s=config["timeout"] / 1000,
        verify_tls=config["ssl_verify"],
        http_proxy=config["http_proxy"],
        http_proxy_authorization=config["http_proxy_authorization"],
        https_proxy=config["https_proxy"],
        https_proxy_authorization=config["https_proxy_authorization"],
        no_proxy=config["no_proxy"],
        keepalive=config["keepalive"],
    )
