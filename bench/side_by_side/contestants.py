"""How each contestant is started. All proxy to one nginx on loopback, none writes an access log."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.side_by_side.processes import Running, free_ports, running

from scopegate.envoy.process import envoy_binary
from scopegate_demo.idp.realm import STORY_CLIENT_ID, STORY_CLIENT_SECRET

CLIENT_ID = STORY_CLIENT_ID
CLIENT_SECRET = STORY_CLIENT_SECRET
PASSPHRASE = "bench-passphrase-of-the-peers-32"

_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr error;
{modules}
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {http}
}}
"""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the others are, as URLs, and the provider's key.

    key_id, certificate   of the key that signs tokens: for Apache, which takes no http: key set
    """

    upstream: str
    issuer: str
    key_id: str
    certificate: Path


@contextlib.contextmanager
def upstream(folder: Path) -> Iterator[Running]:
    """nginx that answers `ok`."""
    (port,) = free_ports(1)
    server = f'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok\\n"; }} }}'
    with _nginx(folder, port, server) as started:
        yield started


@contextlib.contextmanager
def nginx(folder: Path, places: Places) -> Iterator[Running]:
    """nginx as a plain proxy."""
    (port,) = free_ports(1)
    http = f"""{_nginx_upstream(places)}
      server {{ listen 127.0.0.1:{port}; location / {{ {_NGINX_PASS} }} }}"""
    with _nginx(folder, port, http) as started:
        yield started


@contextlib.contextmanager
def nginx_with_lua(folder: Path, places: Places, libraries: Path) -> Iterator[Running]:
    """nginx with lua-resty-openidc from `libraries`: /bearer and /session.

    Tokens and metadata are cached as its README advises; sessions are client cookies.
    """
    (port,) = free_ports(1)
    lua_path = f"{libraries}/?.lua;{libraries}/?/init.lua;/usr/share/lua/5.1/?.lua;;"
    http = f"""{_nginx_upstream(places)}
      resolver 127.0.0.53; lua_package_path "{lua_path}";
      lua_shared_dict discovery 1m; lua_shared_dict jwks 1m;
      lua_shared_dict jwt_verification 64m;
      init_by_lua_block {{ require "resty.core" require "resty.openidc" }}
      server {{
        listen 127.0.0.1:{port};
        set $session_secret {PASSPHRASE};
        location /bearer {{
          access_by_lua_block {{
            local claims, fault = require("resty.openidc").bearer_jwt_verify({{
              discovery = "{places.issuer}/.well-known/openid-configuration",
              accept_none_alg = false, token_signing_alg_values_expected = {{ "RS256" }},
            }})
            if fault or not string.find(" " .. claims.scope .. " ", " openid ", 1, true) then
              ngx.exit(ngx.HTTP_FORBIDDEN)
            end
            ngx.req.set_header("X-Consumer-Username", claims.email)
          }}
          {_NGINX_PASS}
        }}
        location /session {{
          access_by_lua_block {{
            local answer, fault = require("resty.openidc").authenticate({{
              discovery = "{places.issuer}/.well-known/openid-configuration",
              client_id = "{CLIENT_ID}", client_secret = "{CLIENT_SECRET}",
              redirect_uri = "http://127.0.0.1:{port}/session/callback",
              scope = "openid email", use_pkce = true, use_nonce = true,
              renew_access_token_on_expiry = false,
              session_contents = {{ id_token = true, access_token = true }},
            }}, nil, nil, {{ secret = "{PASSPHRASE}", cookie_secure = false }})
            if fault then ngx.exit(ngx.HTTP_FORBIDDEN) end
            ngx.req.set_header("X-Consumer-Username", answer.id_token.email)
          }}
          {_NGINX_PASS}
        }}
      }}"""
    modules = "\n".join(
        f"load_module /usr/lib/nginx/modules/{name}.so;"
        for name in ("ndk_http_module", "ngx_http_lua_module")
    )
    with _nginx(folder, port, http, modules) as started:
        yield started


def _virtual_host(domain: str, service: int) -> dict[str, object]:
    route = {"match": {"prefix": "/"}, "route": {"cluster": f"s{service}"}}
    return {"name": domain, "domains": [domain], "routes": [route]}


def _cluster(number: int, places: Places) -> dict[str, object]:
    endpoint = {"endpoint": {"address": _socket_address(_port(places.upstream))}}
    endpoints = [{"lb_endpoints": [endpoint]}]
    assignment = {"cluster_name": f"s{number}", "endpoints": endpoints}
    return {"name": f"s{number}", "type": "STATIC", "load_assignment": assignment}


@contextlib.contextmanager
def envoy(folder: Path, places: Places, *, hosts: int = 0, services: int = 1) -> Iterator[Running]:
    """Envoy as a plain proxy, one worker: of one service, or also of so many, a part of them on
    hosts of their own (`h0.example` …)."""
    (port,) = free_ports(1)
    virtual_hosts = [_virtual_host("*", 0)]
    virtual_hosts += [_virtual_host(f"h{number}.example", number) for number in range(hosts)]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "plain",
        "route_config": {"virtual_hosts": virtual_hosts},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    network = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    clusters = [_cluster(number, places) for number in range(services)]
    listener = {
        "name": "proxy",
        "address": _socket_address(port),
        "filter_chains": [{"filters": network}],
    }
    config = {"static_resources": {"listeners": [listener], "clusters": clusters}}
    path = folder / "envoy.json"
    path.write_text(json.dumps(config))
    command = [envoy_binary(), "-c", path, "--concurrency", "1", "--use-dynamic-base-id"]
    with running([*command, "--log-level", "error"], port, folder) as started:
        yield started


@contextlib.contextmanager
def apache(folder: Path, places: Places) -> Iterator[Running]:
    """Apache with mod_auth_openidc: /bearer, and /session with its server cache."""
    with _apache(folder, places, "server-cache") as started:
        yield started


@contextlib.contextmanager
def apache_client_cookie(folder: Path, places: Places) -> Iterator[Running]:
    """Apache with mod_auth_openidc whose sessions are client cookies: /session."""
    with _apache(folder, places, "client-cookie") as started:
        yield started


@contextlib.contextmanager
def _apache(folder: Path, places: Places, session_type: str) -> Iterator[Running]:
    (port,) = free_ports(1)
    modules = ("mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http")
    modules = (*modules, "headers", "auth_openidc")
    loads = "\n".join(
        f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules
    )
    config = folder / "apache.conf"
    config.write_text(f"""
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Listen 127.0.0.1:{port}
{loads}
ErrorLog /dev/stderr
LogLevel error auth_openidc:info
KeepAlive On
MaxKeepAliveRequests 0
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
OIDCProviderMetadataURL {places.issuer}/.well-known/openid-configuration
OIDCClientID {CLIENT_ID}
OIDCClientSecret {CLIENT_SECRET}
OIDCRedirectURI http://127.0.0.1:{port}/session/callback
OIDCCryptoPassphrase {PASSPHRASE}
OIDCScope "openid email"
OIDCPKCEMethod S256
OIDCSessionType {session_type}
OIDCSessionInactivityTimeout 3600
OIDCCacheShmMax 4000
OIDCCacheShmEntrySizeMax 16929
OIDCOAuthVerifyCertFiles {places.key_id}#{places.certificate}
OIDCOAuthRemoteUserClaim email
OIDCRemoteUserClaim email
ProxyPass / {places.upstream}/ keepalive=On
<Location /bearer>
  AuthType oauth20
  Require claim "scope~^(.* )?openid( .*)?$"
</Location>
<Location /session>
  AuthType openid-connect
  Require valid-user
</Location>
""")
    with running(["apache2", "-f", config, "-DFOREGROUND"], port, folder) as started:
        yield started


@contextlib.contextmanager
def scopegate(folder: Path, **settings: str) -> Iterator[tuple[Running, str]]:
    """`scopegate start` with one proxy worker, and the URL of its Admin API."""
    proxy, tls, admin, status = free_ports(4)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SCOPEGATE_")},
        "SCOPEGATE_PREFIX": str(folder / "state"),
        "SCOPEGATE_PROXY_LISTEN": f"127.0.0.1:{proxy}, 127.0.0.1:{tls} ssl http2",
        "SCOPEGATE_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        "SCOPEGATE_STATUS_LISTEN": f"127.0.0.1:{status}",
        "SCOPEGATE_DRAIN_TIMEOUT_S": "1",
        "SCOPEGATE_PROXY_WORKERS": "1",
        **{f"SCOPEGATE_{name.upper()}": value for name, value in settings.items()},
    }
    command = [Path(sys.executable).with_name("scopegate"), "start"]
    with running(command, proxy, folder, environment=environment) as started:
        yield started, f"http://127.0.0.1:{admin}"


def missing() -> list[str]:
    """Programs that a whole run needs and this machine has not."""
    modules = Path("/usr/lib/apache2/modules/mod_auth_openidc.so")
    programs = [name for name in ("wrk", "nginx", "apache2") if shutil.which(name) is None]
    return programs if modules.exists() else [*programs, "libapache2-mod-auth-openidc"]


_NGINX_PASS = 'proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection "";'


def _nginx_upstream(places: Places) -> str:
    return f"upstream upstream {{ server 127.0.0.1:{_port(places.upstream)}; keepalive 64; }}"


@contextlib.contextmanager
def _nginx(folder: Path, port: int, http: str, modules: str = "") -> Iterator[Running]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, modules=modules, http=http))
    with running(["nginx", "-c", config, "-p", folder], port, folder) as started:
        yield started


def _socket_address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
