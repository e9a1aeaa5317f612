"""What a yes rests on, for tests of what Envoy remembers: something of every part."""

from __future__ import annotations

from scopegate.ir.replay import ReplayKey

KEY = ReplayKey(
    headers=frozenset({"access-token"}),
    stripped=frozenset({"x-user", "x-group"}),
    arguments=frozenset({"access_token"}),
    methods=frozenset({"OPTIONS"}),
    media=frozenset({"urlencoded"}),
    suffixes=frozenset({"/logout"}),
)
