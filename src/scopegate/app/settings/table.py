"""The one table of settings: parsing, checks, help and the reference page all read it."""

from __future__ import annotations

from collections.abc import Mapping

from scopegate.app.settings import values
from scopegate.app.settings.setting import (
    Setting,
    access_log,
    auto,
    one_file,
    plain,
    trusted_certificate,
)

LEVELS: Mapping[str, str] = {"notice": "info", "alert": "crit", "emerg": "crit"}
"""Kong's names for levels that we do not tell apart → ours."""

SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="prefix",
        section="general",
        default=".scopegate",
        kind="path",
        meaning=(
            "The state folder of this node. It holds the database, compiled policies, the made-up"
            " certificate, logs and, in `run/`, sockets; each node needs its own. A relative path"
            " is relative to the folder in which Scopegate is started. Kong's default,"
            " `/usr/local/kong`, can only be written by root, so ours is a folder beside you."
        ),
        example="/var/lib/scopegate",
        parse=lambda text, around: values.path_in(around.folder)(text),
    ),
    Setting(
        name="role",
        section="general",
        default="traditional",
        kind="`traditional`",
        meaning=(
            "What this node does. `traditional`: everything, on one machine. Kong's"
            " `control_plane` and `data_plane` are not supported yet."
        ),
        example="traditional",
        parse=plain(values.one_of("traditional", not_yet=("control_plane", "data_plane"))),
    ),
    Setting(
        name="policy_workers",
        section="general",
        default="auto",
        kind="1 to 256, or `auto`",
        meaning=(
            "How many processes decide about requests. `auto`: one per processor core, and no"
            " fewer than two, so that one can fail without anybody noticing."
        ),
        example="4",
        parse=auto(lambda cores: max(2, cores), values.whole_number(1, 256)),
        kongs=False,
    ),
    Setting(
        name="replay_limit_s",
        section="general",
        default="300",
        kind="seconds, 0 to 3600",
        meaning=(
            "How long at most a decision to allow is cached in the proxy, for the same credential"
            " under the same policy. It ends before the token or session does; a logout or a"
            " changed configuration ends it within a second. `0`: nothing is cached, the policy"
            " service is asked about every request."
        ),
        example="10",
        parse=plain(values.seconds(3600)),
        kongs=False,
    ),
    Setting(
        name="drain_timeout_s",
        section="general",
        default="10",
        kind="seconds, 0 to 3600",
        meaning=(
            "How long requests that are under way may go on once Scopegate has been told to end."
            " Nothing waits longer than it must: with no request under way Scopegate ends at once."
        ),
        example="30",
        parse=plain(values.seconds(3600)),
        kongs=False,
    ),
    Setting(
        name="proxy_listen",
        section="proxy",
        default="0.0.0.0:8000, 0.0.0.0:8443 ssl http2",
        kind=(
            "addresses, each `address:port [ssl] [http2] [proxy_protocol] [reuseport]`, with"
            " commas between them"
        ),
        meaning=(
            "Where the proxy takes requests. `ssl`: with TLS. `proxy_protocol`: every connection"
            " must come from `trusted_ips` and begin with a preamble of the PROXY protocol"
            " (version 1 or 2) that names the client; all others are closed. `http2` and"
            " `reuseport` are allowed because Kong's default has them, and change nothing: Envoy"
            " offers HTTP/2 to every client and gives each of its workers a socket of its own."
            " Kong's other flags are refused."
        ),
        example="0.0.0.0:80, 0.0.0.0:443 ssl http2, [::]:443 ssl http2",
        parse=plain(values.parse_listen),
    ),
    Setting(
        name="trusted_ips",
        section="proxy",
        default="",
        kind="addresses and CIDR ranges, with commas between them",
        meaning=(
            "Load balancers in front of the proxy: what they say about the client is believed. A"
            " request from one of these addresses names the client's address in `real_ip_header`,"
            " and in `X-Forwarded-Proto`, `-Host` and `-Port` the scheme, host and port that the"
            " client sees; redirect URIs, cookies, logs and the upstream get these."
            " `X-Forwarded-Path` and `-Prefix` are passed on. A malformed value gets 400. From"
            " other addresses all of these headers are dropped. Kong's `unix:` is refused."
        ),
        example="10.0.0.0/8, 2001:db8::/32",
        parse=plain(values.address_ranges),
    ),
    Setting(
        name="real_ip_header",
        section="proxy",
        default="X-Real-IP",
        kind="the name of a header, or `proxy_protocol`",
        meaning=(
            "The header in which `trusted_ips` name the client's address, such as `X-Real-IP` or"
            " `X-Forwarded-For`; a port behind the address is allowed. Of a list the last address"
            " counts (see `real_ip_recursive`). `proxy_protocol`: no header does, the preamble of"
            " the connection says it; a listener with that flag is needed."
        ),
        example="X-Forwarded-For",
        parse=plain(values.real_ip_header),
    ),
    Setting(
        name="real_ip_recursive",
        section="proxy",
        default="off",
        kind="`on` or `off`",
        meaning=(
            "Which address of a list in `real_ip_header` is the client's. `off`: the last one."
            " `on`: the last one that is not in `trusted_ips`, for several balancers in a row."
        ),
        example="on",
        parse=plain(values.on_or_off),
    ),
    Setting(
        name="proxy_workers",
        section="proxy",
        default="auto",
        kind="1 to 256, or `auto`",
        meaning=(
            "Threads of the proxy (what Kong calls `nginx_worker_processes`). `auto`: one per"
            " processor core."
        ),
        example="2",
        parse=auto(lambda cores: cores, values.whole_number(1, 256)),
        kongs=False,
    ),
    Setting(
        name="path_escaped_slashes",
        section="proxy",
        default="refuse",
        kind="`refuse` or `keep`",
        meaning=(
            "What becomes of a request whose path holds an encoded slash or backslash (`%2F`,"
            " `%5C`). `refuse`: it gets 400, because two servers may read such a path differently"
            " and then a route's policy could be walked around. `keep`: it goes on as it is; choose"
            " this only for upstreams that need it."
        ),
        example="keep",
        parse=plain(values.one_of("refuse", "keep")),
        kongs=False,
    ),
    Setting(
        name="path_parameters",
        section="proxy",
        default="refuse",
        kind="`refuse` or `keep`",
        meaning=(
            "What becomes of a request whose path holds parameters (`;`, or `%3B`), as in"
            " `/a;v=1/b`. `refuse`: it gets 400, because Tomcat, Spring and others read it as"
            " `/a/b`, whose route may be a stricter one; a path that names `;` in a route of its"
            " own goes on. `keep`: it goes on as it is; choose this only where no upstream takes"
            " parameters off, or where no route protects a part of what another one leaves open."
        ),
        example="keep",
        parse=plain(values.one_of("refuse", "keep")),
        kongs=False,
    ),
    Setting(
        name="allow_debug_header",
        section="proxy",
        default="off",
        kind="`on` or `off`",
        meaning=(
            "Whether a request with the header `Kong-Debug: 1` is told the route that took it, in"
            " the headers `Kong-Route-Id`, `Kong-Route-Name`, `Kong-Service-Id` and"
            " `Kong-Service-Name` of the answer, of refusals too (but for those that want HTTPS or"
            " gRPC). Anybody can send that header."
        ),
        example="on",
        parse=plain(values.on_or_off),
    ),
    Setting(
        name="request_headers_limit_kib",
        section="proxy",
        default="60",
        kind="KiB, 8 to 1024",
        meaning="All headers of a request together may be this large; beyond it is 431.",
        example="96",
        parse=plain(values.whole_number(8, 1024)),
        kongs=False,
    ),
    Setting(
        name="request_headers_limit_count",
        section="proxy",
        default="100",
        kind="10 to 1000",
        meaning="A request may have this many headers; beyond it is 431.",
        example="200",
        parse=plain(values.whole_number(10, 1000)),
        kongs=False,
    ),
    Setting(
        name="admin_listen",
        section="admin and status",
        default="127.0.0.1:8001",
        kind="addresses, each `address:port`, with commas between them",
        meaning=(
            "Where the Admin API listens. Whoever reaches it rules the gateway, so it stays on"
            " this machine unless you say otherwise, and then Scopegate warns at every start."
        ),
        example="127.0.0.1:9001",
        parse=plain(lambda text: values.parse_listen(text, flags=())),
    ),
    Setting(
        name="admin_hosts",
        section="admin and status",
        default="",
        kind="host names, with commas between them",
        meaning=(
            "Names under which the Admin API may be called, besides localhost, addresses and this"
            " machine's own name. Others are refused, so that a web page cannot reach it through a"
            " name of its own (DNS rebinding)."
        ),
        example="gateway.internal",
        parse=plain(values.host_names),
        kongs=False,
    ),
    Setting(
        name="admin_gui_url",
        section="admin and status",
        default="",
        kind="URLs, with commas between them",
        meaning="Sites whose pages may use the Admin API from a browser (CORS).",
        example="https://console.example:8445",
        parse=plain(values.origins),
    ),
    Setting(
        name="status_listen",
        section="admin and status",
        default="127.0.0.1:8007",
        kind="addresses, each `address:port`, with commas between them",
        meaning=(
            "Where `/status/ready`, `/status` and `/metrics` are served. `/status/ready` is 200"
            " from the first configuration that the proxy has until Scopegate is told to end, 503"
            " before and after. On loopback alone only this machine's own names and"
            " `admin_hosts` are answered."
        ),
        example="0.0.0.0:8007",
        parse=plain(lambda text: values.parse_listen(text, flags=())),
    ),
    Setting(
        name="database",
        section="datastore",
        default="sqlite",
        kind="`sqlite`",
        meaning=(
            "Where services, routes, plugins and consumers are kept. `postgres` (Kong's default)"
            " and `off` (a declarative file) are not supported yet."
        ),
        example="sqlite",
        parse=plain(values.one_of("sqlite", not_yet=("postgres", "off"))),
    ),
    Setting(
        name="sqlite_path",
        section="datastore",
        default="scopegate.db",
        kind="path",
        meaning="The database file. A relative path is relative to `prefix`.",
        example="/var/lib/scopegate/scopegate.db",
        parse=lambda text, around: values.path_in(around.prefix)(text),
        kongs=False,
    ),
    Setting(
        name="ssl_cert",
        section="tls",
        default="",
        kind="path of a PEM file",
        meaning=(
            "The certificate, with its chain, for the TLS ports of `proxy_listen`. Not set: a"
            " self-signed one for localhost is made once and kept in `prefix`. Read when the proxy"
            " starts: a renewed one needs a restart."
        ),
        example="/etc/scopegate/tls/fullchain.pem",
        parse=one_file,
    ),
    Setting(
        name="ssl_cert_key",
        section="tls",
        default="",
        kind="path of a PEM file",
        meaning="The private key of `ssl_cert`, unencrypted. Both are set or neither is.",
        example="/etc/scopegate/tls/privkey.pem",
        parse=one_file,
    ),
    Setting(
        name="lua_ssl_trusted_certificate",
        section="tls",
        default="system",
        kind="`system`, or the path of a PEM file",
        meaning=(
            "Whom to believe when Scopegate calls an identity provider over TLS. `system`: the"
            " authorities that this machine trusts. The name is Kong's; there is no Lua in it."
        ),
        example="/etc/scopegate/tls/company-ca.pem",
        parse=trusted_certificate,
    ),
    Setting(
        name="log_level",
        section="logs",
        default="info",
        kind="`debug`, `info`, `warn`, `error` or `crit`",
        meaning=(
            "The least important lines that are still written. Kong's `notice` is read as `info`,"
            " `alert` and `emerg` as `crit`."
        ),
        example="warn",
        parse=plain(values.one_of("debug", "info", "warn", "error", "crit", aliases=dict(LEVELS))),
    ),
    Setting(
        name="log_format",
        section="logs",
        default="auto",
        kind="`auto`, `json` or `console`",
        meaning=(
            "How lines on stderr look: one JSON object each, or columns for people. `auto`:"
            " columns with colours in a terminal, JSON elsewhere."
        ),
        example="json",
        parse=plain(values.one_of("auto", "json", "console")),
        kongs=False,
    ),
    Setting(
        name="proxy_access_log",
        section="logs",
        default="logs/access.log",
        kind="path, or `off`",
        meaning=(
            "Where the proxy writes a line per request. A relative path is relative to `prefix`;"
            " `/dev/stdout` is the terminal; `off` writes none."
        ),
        example="/dev/stdout",
        parse=access_log,
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
