"""Which issuer each key set speaks for. One issuer's keys never vouch for another's tokens.

With several allowed issuers and several key sets the configuration does not say which belongs to
which; this module finds out as far as it can be known. Source: contract openid-connect.md §14.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scopegate.oidc.issuer_facts import IssuerFacts, Jwk, KeySource


@dataclass(frozen=True, slots=True)
class OwnedKeys:
    """Keys and the issuers whose tokens they may verify; `keys` None: could not be fetched yet."""

    issuers: tuple[str, ...]
    keys: tuple[Jwk, ...] | None


def owned_keys(facts: IssuerFacts, issuers_allowed: Sequence[str]) -> list[OwnedKeys]:
    """The key sets of the facts with their owners among the allowed issuers.

    issuers_allowed   the complete list; empty: only the issuer of the facts
    1. The main key set belongs to the issuer of the facts, if that one is allowed.
    2. Otherwise a set belongs to the issuer under whose URL it lies (the longest one).
    3. What then has no owner may vouch for the allowed issuers that own no set yet: two issuers
       with unrelated key addresses cannot be told apart, but no key that has an owner crosses over.
    4. With one allowed issuer, every further configured set is its own.
    """
    allowed = tuple(dict.fromkeys(issuers_allowed)) or (facts.issuer,)
    owners = [_owner(source, facts.issuer, allowed) for source in facts.key_sources]
    without_keys = tuple(issuer for issuer in allowed if issuer not in owners)
    sole = allowed if len(allowed) == 1 else ()
    return [
        OwnedKeys(
            issuers=(owner,) if owner else without_keys or (() if source.is_main else sole),
            keys=source.keys,
        )
        for source, owner in zip(facts.key_sources, owners, strict=True)
    ]


def _owner(source: KeySource, issuer: str, allowed: Sequence[str]) -> str | None:
    if source.is_main and issuer in allowed:
        return issuer
    above = [name for name in allowed if source.uri.startswith(name.rstrip("/") + "/")]
    return max(above, key=len, default=None)
