"""Settings that only Kong has, so that each gets a better answer than "unknown".

No setting that works is here: those are in `table.py`, also those that have Kong's names.

Source: the names of kong.conf.default, Kong 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

INSTEAD: Mapping[str, str] = {
    "nginx_worker_processes": "Scopegate has no nginx; set proxy_workers",
    "nginx_http_large_client_header_buffers": "set request_headers_limit_kib",
    "nginx_http_client_header_buffer_size": "set request_headers_limit_kib",
    "nginx_daemon": "Scopegate runs in the foreground; a service manager can put it elsewhere",
    "admin_error_log": "errors go to stderr; see log_level and log_format",
    "proxy_error_log": "errors go to stderr; see log_level and log_format",
    "status_error_log": "errors go to stderr; see log_level and log_format",
}
"""Name → what to do instead."""

_NOT_YET_NAMES = """
admin_access_log admin_gui_access_log admin_gui_api_url admin_gui_csp_header admin_gui_error_log
admin_gui_listen admin_gui_path admin_gui_ssl_cert admin_gui_ssl_cert_key
admin_ssl_cert admin_ssl_cert_key anonymous_reports client_ssl client_ssl_cert
client_ssl_cert_key cluster_ca_cert cluster_cert cluster_cert_key cluster_control_plane
cluster_data_plane_purge_delay cluster_dp_labels cluster_listen cluster_max_payload cluster_mtls
cluster_ocsp cluster_server_name cluster_use_proxy db_cache_neg_ttl db_cache_ttl
db_cache_warmup_entities db_resurrect_ttl db_update_frequency db_update_propagation
debug_access_log debug_error_log debug_ssl_cert debug_ssl_cert_key declarative_config
declarative_config_string dedicated_config_processing dns_cache_size dns_error_ttl dns_hostsfile
dns_no_sync dns_not_found_ttl dns_order dns_resolver dns_stale_ttl dns_valid_ttl
error_default_type error_template_html error_template_json error_template_plain error_template_xml
headers headers_upstream lmdb_environment_path lmdb_map_size lua_max_post_args lua_max_req_headers
lua_max_resp_headers lua_max_uri_args lua_package_cpath lua_package_path lua_socket_pool_size
lua_ssl_protocols lua_ssl_verify_depth mem_cache_size new_dns_client node_id openresty_path
opentelemetry_tracing opentelemetry_tracing_sampling_rate plugins pluginserver_names port_maps
proxy_server proxy_server_ssl_verify proxy_stream_access_log proxy_stream_error_log
request_debug request_debug_token resolver_address resolver_error_ttl
resolver_family resolver_hosts_file resolver_lru_cache_size resolver_mem_cache_size
resolver_stale_ttl resolver_valid_ttl router_flavor ssl_cipher_suite ssl_ciphers ssl_dhparam
ssl_prefer_server_ciphers ssl_protocols ssl_session_cache_size ssl_session_tickets
ssl_session_timeout status_access_log status_ssl_cert status_ssl_cert_key stream_listen
tls_certificate_verify tracing_instrumentations tracing_sampling_rate untrusted_lua
untrusted_lua_sandbox_environment untrusted_lua_sandbox_requires upstream_keepalive_idle_timeout
upstream_keepalive_max_requests upstream_keepalive_pool_size vault_env_prefix vaults wasm
wasm_filters wasm_filters_path worker_consistency worker_state_update_frequency
"""
NOT_YET: frozenset[str] = frozenset(_NOT_YET_NAMES.split())

_FAMILIES = re.compile(r"(nginx|pg|pluginserver|vault|redis)_[a-z0-9_]+")


def why_missing(name: str) -> str | None:
    """What to tell an operator who sets this setting of Kong's; None when Kong has none either."""
    if name in INSTEAD:
        return f"it is Kong's, but {INSTEAD[name]}"
    if name in NOT_YET or _FAMILIES.fullmatch(name):
        return "it is Kong's and not supported yet; remove it"
    return None
