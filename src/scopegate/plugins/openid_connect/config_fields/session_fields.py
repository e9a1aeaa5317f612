"""Sessions."""

from __future__ import annotations

from scopegate.entities.rules import Must
from scopegate.plugins.openid_connect.config_fields.client_fields import AUTH_METHODS
from scopegate.plugins.openid_connect.config_fields.login_fields import SAME_SITE
from scopegate.plugins.openid_connect.config_fields.redis_fields import session_redis
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    amount,
    choice,
    choices,
    cookie_domain_fault,
    cookie_name,
    cookie_path_fault,
    flag,
    later,
    secret_text,
    text,
    whole,
)

SESSION_HEADERS = (
    "id",
    "audience",
    "subject",
    "timeout",
    "idling-timeout",
    "rolling-timeout",
    "absolute-timeout",
)

SESSION = Group(
    "Sessions",
    {
        "disable_session": choices(
            "Methods that begin no session. Unlike at Kong, a token in a query or a body begins "
            "none by any method: a link of another site could hold it.",
            AUTH_METHODS,
        ),
        "session_secret": secret_text(
            "What session cookies are sealed with; unset: a secret that the gateway made."
        ),
        "session_storage": choice(
            "Where sessions are kept.",
            ("cookie", "memcache", "memcached", "redis"),
            "cookie",
            works=("cookie",),
            limits="only cookie",
        ),
        "session_audience": later(
            text("Which part of a cookie that plugins share is this one's.", "default")
        ),
        "session_bind": choices(
            "What must stay the same for a session to be good.", ("ip", "scheme", "user-agent")
        ),
        "session_cookie_name": cookie_name("The session cookie's name.", "session"),
        "session_cookie_path": text("Its path.", "/", Must(cookie_path_fault)),
        "session_cookie_domain": text("Its domain.", None, Must(cookie_domain_fault)),
        "session_cookie_http_only": flag("Whether scripts cannot read it.", True),
        "session_cookie_secure": flag(
            "Whether it is sent over https only; unset: as the request came."
        ),
        "session_cookie_same_site": choice(
            "Its SameSite attribute; `Default` is `Lax`.", SAME_SITE, "Lax"
        ),
        "session_idling_timeout": amount("Seconds without use after which it ends; 0: never.", 900),
        "session_rolling_timeout": amount(
            "Seconds after which its cookie ends unless renewed by use; 0: never.", 3600
        ),
        "session_absolute_timeout": amount(
            "Seconds after the login when it ends; 0: never.", 86400
        ),
        "session_request_headers": choices(
            "What of the session the upstream is told.", SESSION_HEADERS
        ),
        "session_response_headers": choices(
            "What of the session the client is told.", SESSION_HEADERS
        ),
        "session_remember": later(flag("Keep users logged in beyond the session.", False)),
        "session_remember_cookie_name": later(cookie_name("The cookie that does so.", "remember")),
        "session_remember_rolling_timeout": later(
            amount("Seconds after which that cookie ends unless renewed.", 604800)
        ),
        "session_remember_absolute_timeout": later(
            amount("Seconds after the login when that cookie ends.", 2592000)
        ),
        "session_enforce_same_subject": later(
            flag("One user for all audiences of a session.", False)
        ),
        "session_hash_storage_key": later(flag("Hash the key under which it is kept.", False)),
        "session_hash_subject": later(flag("Hash the user in the index of sessions.", False)),
        "session_store_metadata": later(flag("Keep an index of sessions by user.", False)),
        "session_memcached_host": later(text("Memcached: the host.", "127.0.0.1")),
        "session_memcached_port": later(whole("Memcached: the port.", 11211, (0, 65535))),
        "session_memcached_socket": later(text("Memcached: a Unix socket instead.")),
        "session_memcached_prefix": later(text("Memcached: what the keys begin with.")),
        "session_memcached_ssl": later(flag("Memcached: connect over TLS.")),
        "session_memcached_ssl_verify": later(flag("Memcached: verify the certificate.", True)),
        "redis": later(session_redis()),
    },
)
