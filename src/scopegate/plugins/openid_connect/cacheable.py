"""For how long a yes of this plugin is good, so that Envoy may give it again (docs/adr/0035).

What of a request it rests on is the compiler's to say: replay_key.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.plugins.access import Lasting
from scopegate.plugins.openid_connect.headers import HeaderRules
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.sessions import Sessions
from scopegate.session.session import good_until_s, unchanged_until_s
from scopegate.session.session_cookie import OpenSession


class Replays:
    """How long a yes of one configuration lasts."""

    def __init__(self, config: Mapping[str, Any], sessions: Sessions) -> None:
        self._sessions = sessions
        self._leeway_s = config["leeway"]
        self._max_age_s = config["max_age"]
        up = HeaderRules.from_config(config, "upstream")
        self._tells_session = up.session_id is not None or bool(config["session_request_headers"])

    def of_session(self, found: OpenSession) -> Lasting | None:
        """Until the session's cookie or token is to be renewed; None when it was just now.

        A use is written down in the answer, once. Who does not take that cookie goes on with the
        one that he brought, until its own clocks end it.
        """
        if found.needs_saving and not found.is_touched:
            return None
        until_s = good_until_s if found.is_touched else unchanged_until_s
        ends_s = [until_s(found.session, self._sessions.timeouts), found.good_until_s]
        token_ends_s = found.session.tokens.access_expires_at_s
        if token_ends_s is not None:
            ends_s.append(token_ends_s - self._leeway_s)
        return Lasting(min(ends_s), self._sessions.revocation_tags(found.session))

    def of_token(self, identity: Identity) -> Lasting | None:
        """Until the token ends; None for one that nobody knows the end of.

        A session that the token begins is told to the client once, and to the upstream never: its
        id is another each time.
        """
        if identity.expires_at_s is None or self._tells_session:
            return None
        ends_s = [identity.expires_at_s]
        if self._max_age_s is not None:
            auth_time = (identity.access_claims or {}).get("auth_time")
            if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
                return None
            ends_s.append(auth_time + self._max_age_s)
        return Lasting(min(ends_s))
