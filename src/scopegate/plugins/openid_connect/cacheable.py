"""How long decisions of this plugin may be cached (docs/adr/0035).

What of a request they depend on is compiled: cache_profile.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.plugins.access import Cacheable
from scopegate.plugins.openid_connect.headers import HeaderRules
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.sessions import Sessions
from scopegate.session.session import good_until_s, unchanged_until_s
from scopegate.session.session_cookie import OpenSession


class CacheLimits:
    """How long decisions of one configuration may be cached."""

    def __init__(self, config: Mapping[str, Any], sessions: Sessions) -> None:
        self._sessions = sessions
        self._leeway_s = config["leeway"]
        self._max_age_s = config["max_age"]
        up = HeaderRules.from_config(config, "upstream")
        self._sends_session = up.session_id is not None or bool(config["session_request_headers"])

    def of_session(self, found: OpenSession) -> Cacheable | None:
        """Until the session's cookie or token is to be renewed; None when it was just now.

        A use is written into the cookie once. A client that does not take the new cookie goes on
        with the one that it sent, until that one's own clocks end it.
        """
        if found.needs_saving and not found.is_touched:
            return None
        until_s = good_until_s if found.is_touched else unchanged_until_s
        ends_s = [until_s(found.session, self._sessions.timeouts), found.good_until_s]
        token_ends_s = found.session.tokens.access_expires_at_s
        if token_ends_s is not None:
            ends_s.append(token_ends_s - self._leeway_s)
        return Cacheable(min(ends_s), self._sessions.revocation_tags(found.session))

    def of_token(self, identity: Identity) -> Cacheable | None:
        """Until the token ends; None for one whose end is not known.

        A session that the token begins goes to the client once, and never to the upstream: its id
        is another each time.
        """
        if identity.expires_at_s is None or self._sends_session:
            return None
        ends_s = [identity.expires_at_s]
        if self._max_age_s is not None:
            auth_time = (identity.access_claims or {}).get("auth_time")
            if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
                return None
            ends_s.append(auth_time + self._max_age_s)
        return Cacheable(min(ends_s))
