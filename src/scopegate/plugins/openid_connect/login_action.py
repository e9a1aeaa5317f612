"""An accepted credential, and what follows the login that it may be. Source: contract
openid-connect.md §4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.oidc.grants import TokenSet
from scopegate.plugins.openid_connect.bearer import Credential
from scopegate.plugins.openid_connect.identity import Identity
from scopegate.plugins.openid_connect.login import LoggedIn
from scopegate.session.session import Session
from scopegate.session.session_cookie import OpenSession


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted credential on its way in.

    open_session     the session that it came from
    logged_in        the login that it finishes
    former_session   the session whose cookie a finished login replaces
    credential       where the credential stood in the request
    tokens           the token endpoint's answer, when it was asked just now
    """

    identity: Identity
    open_session: OpenSession | None = None
    logged_in: LoggedIn | None = None
    former_session: Session | None = None
    credential: Credential | None = None
    tokens: TokenSet | None = None


@dataclass(frozen=True, slots=True)
class LoginAction:
    """What follows a login with one of `methods`."""

    action: str
    methods: frozenset[str]
    tokens: tuple[str, ...]
    redirect_mode: str
    keep_query: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> LoginAction:
        return cls(
            action=config["login_action"],
            methods=frozenset(config["login_methods"] or ()),
            tokens=tuple(config["login_tokens"] or ()),
            redirect_mode=config["login_redirect_mode"],
            keep_query=config["preserve_query_args"],
        )

    def wanted_tokens(self, entry: Entry) -> dict[str, str]:
        """The wanted tokens that there are, by name."""
        identity = entry.identity
        there = {
            "id_token": identity.id_token,
            "access_token": identity.access_token,
            "refresh_token": identity.refresh_token,
        }
        names = there if "tokens" in self.tokens else self.tokens
        return {name: token for name in names if (token := there.get(name))}

    def answer(self, entry: Entry) -> bytes:
        """The JSON of `login_action=response`."""
        tokens = entry.logged_in.tokens if entry.logged_in else entry.tokens
        if "tokens" in self.tokens and tokens is not None:
            return json.dumps(tokens.answer).encode()
        return json.dumps(self.wanted_tokens(entry)).encode()
