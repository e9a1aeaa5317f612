"""Headers of clients in another spelling of a name that a policy reads or sets.

Servers that hand headers on as variables (CGI and its kin) take `_` for `-`, some of them every
character that is no letter and no digit: `X_User` beside our `X-User` would be a second word about
who is there. Where a policy decides, none goes on, and neither the policy service nor the filter
that remembers has to look for one. Identities have gone on arrival (`arrival.py`).
Source: contract openid-connect.md §7, §22 (1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import (
    HeaderMutation as HeaderMutationFilter,
)
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import Mutations
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from scopegate.envoy.arrival import SEPARATOR, STRIPPED_HEADERS
from scopegate.envoy.route_matches import regex

_PARCEL_LIMIT = 32_768
_LETTER = re.compile("[a-z0-9]")
_GONE = re.compile(STRIPPED_HEADERS)


def no_other_spellings(names: Iterable[str]) -> HeaderMutationFilter:
    """The filter for these names, lower case."""
    patterns = (pattern for name in sorted(names) for pattern in other_spellings(name))
    removals = [
        HeaderMutation(
            remove_on_match=HeaderMutation.RemoveOnMatch(
                key_matcher=StringMatcher(safe_regex=regex("|".join(together)))
            )
        )
        for together in _parcels(patterns)
    ]
    if not removals:
        return HeaderMutationFilter()
    return HeaderMutationFilter(mutations=Mutations(request_mutations=removals))


def _parcels(patterns: Iterable[str]) -> Iterator[list[str]]:
    """Together as many as Envoy takes as one regular expression, and more (RE2: 8 MiB each)."""
    parcel: list[str] = []
    length = 0
    for pattern in patterns:
        if parcel and length + len(pattern) > _PARCEL_LIMIT:
            yield parcel
            parcel, length = [], 0
        parcel.append(pattern)
        length += len(pattern)
    if parcel:
        yield parcel


@lru_cache(maxsize=4096)  # every entry of the table asks about the same few
def arrives(name: str) -> bool:
    """Whether a client's header of this name, lower case, is still there behind arrival."""
    return _GONE.fullmatch(name) is None


def other_spellings(name: str) -> Iterator[str]:
    """RE2 for every spelling of a name but its own, lower case: each differs first at one place."""
    if not arrives(name) or name.startswith(":"):
        return
    signs = [place for place, sign in enumerate(name) if not _LETTER.fullmatch(sign)]
    for place in signs:
        rest = "".join(each if _LETTER.fullmatch(each) else SEPARATOR for each in name[place + 1 :])
        # RE2 says `not` of one character only.
        yield f"{re.escape(name[:place])}[^a-z0-9{re.escape(name[place])}]{rest}"
