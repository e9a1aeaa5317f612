"""Who the identity provider is, where its endpoints are, and how it is called."""

from __future__ import annotations

from scopegate.entities.rules import Must
from scopegate.entities.urls import redirect_url_fault
from scopegate.plugins.openid_connect.config_fields.redis_fields import cluster_cache_redis
from scopegate.plugins.openid_connect.config_fields.shapes import (
    LIMIT,
    Group,
    amount,
    choice,
    choices,
    flag,
    header_names,
    later,
    text,
    texts,
    url,
    urls,
)

ISSUER = Group(
    "Issuer and keys",
    {
        "issuer": text(
            "The issuer, or the URL of its discovery document.",
            None,
            Must(redirect_url_fault),  # RFC 8414 §2: no fragment
            required=True,
            referenceable=True,
        ),
        "using_pseudo_issuer": flag(
            "No discovery: `issuer` is only the `iss` to expect, and endpoints and keys come from "
            "this configuration.",
            False,
        ),
        "rediscovery_lifetime": amount(
            "Seconds in which unknown key ids cause at most two fetches of discovery and keys.", 30
        ),
        "discovery_headers_names": header_names("Extra headers for discovery and keys: names."),
        "discovery_headers_values": texts("Extra headers for discovery and keys: values."),
        "jwks_endpoint": url("Where the keys are, in place of the discovered place."),
        "extra_jwks_uris": urls("More key sets, read after the first.", referenceable=True),
        "issuers_allowed": texts(
            "All values of `iss` that are good, in place of the discovered issuer.",
            referenceable=True,
        ),
    },
)

ENDPOINTS = Group(
    "Endpoints",
    {
        "authorization_endpoint": url(
            "Where browsers are sent to log in, in place of the discovered place; its query stays."
        ),
        "token_endpoint": url("Where tokens are fetched, in place of the discovered place."),
        "end_session_endpoint": url(
            "Where browsers are sent to log out, in place of the discovered place."
        ),
        "introspection_endpoint": later(url("Where tokens are introspected.", referenceable=True)),
        "revocation_endpoint": later(url("Where tokens are revoked.")),
        "userinfo_endpoint": later(url("Where user info is fetched.")),
        "pushed_authorization_request_endpoint": later(
            url("Where authorization requests are pushed (PAR).")
        ),
        "token_exchange_endpoint": later(url("Where tokens are exchanged, the legacy way.")),
        "mtls_token_endpoint": later(url("The token endpoint for TLS client authentication.")),
        "mtls_introspection_endpoint": later(
            url("The introspection endpoint for TLS client authentication.")
        ),
        "mtls_revocation_endpoint": later(
            url("The revocation endpoint for TLS client authentication.")
        ),
    },
)

HTTP_CLIENT = Group(
    "Calls to the identity provider",
    {
        "timeout": amount("Milliseconds that one call may take.", 10000, (1, LIMIT)),
        "http_version": amount(
            "The version of HTTP.", 1.1, (1, 2), works=(1.1,), limits="only 1.1"
        ),
        "keepalive": flag("Keep connections for the next call.", True),
        "ssl_verify": flag("Verify the identity provider's certificate.", True),
        "http_proxy": url("The proxy for http URLs."),
        "http_proxy_authorization": text(
            "The Proxy-Authorization header for `http_proxy`.", referenceable=True
        ),
        "https_proxy": url("The proxy for https URLs."),
        "https_proxy_authorization": text(
            "The Proxy-Authorization header for `https_proxy`.", referenceable=True
        ),
        "no_proxy": text("Hosts that are called without a proxy, with commas between them."),
    },
)

CACHE = Group(
    "Caches",
    {
        "cache_ttl": amount("Seconds for which the discovery document is kept.", 3600),
        "cache_ttl_max": later(amount("Most seconds for which anything is kept.")),
        "cache_ttl_min": later(amount("Least seconds for which anything is kept.")),
        "cache_ttl_neg": later(amount("Seconds for which a failure is remembered.")),
        "cache_ttl_resurrect": later(
            amount("Seconds for which a stale answer may serve when the identity provider fails.")
        ),
        "cache_tokens": later(
            flag(
                "Keep the token endpoint's answers for password, client credentials, refresh.", True
            )
        ),
        "cache_tokens_salt": text(
            "Keeps the token caches of plugins apart; made when it is not sent.",
            auto=True,
            limits="kept and shown; there is no token cache yet",
        ),
        "cache_introspection": later(flag("Keep introspection answers.", True)),
        "cache_token_exchange": later(flag("Keep exchanged tokens (legacy exchange).", True)),
        "cache_user_info": later(flag("Keep user info answers.", True)),
        "token_cache_key_include_scope": later(
            flag("Count the scopes into the key of the token cache.", False)
        ),
        "cluster_cache_strategy": later(
            choice("Share caches between nodes.", ("off", "redis"), "off")
        ),
        "cluster_cache_items": later(
            choices("What is shared.", ("introspection", "tokens"), ("introspection",))
        ),
        "cluster_cache_redis": later(cluster_cache_redis()),
    },
)
