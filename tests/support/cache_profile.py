"""A cache profile with something in every part."""

from __future__ import annotations

from scopegate.ir.cache_profile import CacheProfile

PROFILE = CacheProfile(
    key=frozenset({"access-token"}),
    strip=frozenset({"x-user", "x-group"}),
    arguments=frozenset({"access_token"}),
    methods=frozenset({"OPTIONS"}),
    media=frozenset({"urlencoded"}),
    suffixes=frozenset({"/logout"}),
)
