"""What a token must carry to pass: scopes, audience, groups, roles; and what it must not.

Source: contract openid-connect.md §5 and §6. Each entry of a requirement is a blank-separated AND,
the entries are alternatives; all requirements that are set must hold. A claim that is absent or of
an odd type is an empty list, so the answer is no.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scopegate.oidc.claim_lookup import alternatives_of, find_claim, words
from scopegate.plugins.openid_connect.reasons import AccessReason

# What the log calls each requirement, its fields, and the reason.
_KINDS = (
    ("scopes", "scopes_required", "scopes_claim", AccessReason.SCOPES_MISSING),
    ("audience", "audience_required", "audience_claim", AccessReason.AUDIENCE_MISSING),
    ("groups", "groups_required", "groups_claim", AccessReason.GROUPS_MISSING),
    ("roles", "roles_required", "roles_claim", AccessReason.ROLES_MISSING),
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `*_required` with its claim path."""

    kind: str
    required: tuple[str, ...]
    path: tuple[str, ...]
    reason: AccessReason
    alternatives: tuple[frozenset[str], ...]
    """`required`, each as the words that must all be there."""

    def is_met_by(self, found: Iterable[str]) -> bool:
        """Whether `found` meets one of the alternatives, as `oidc.claim_lookup.satisfies`."""
        present = frozenset(found)
        return any(present.issuperset(entry) for entry in self.alternatives)


@dataclass(frozen=True, slots=True)
class Unmet:
    """A requirement that does not hold.

    scope      what RFC 6750 §3 lets us tell the client
    required   what would have been enough, alternatives as configured
    """

    reason: AccessReason
    detail: str
    scope: str | None = None
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirements:
    """All requirements of one configuration, in the order in which they are checked."""

    required: tuple[Requirement, ...]
    forbidden: frozenset[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Requirements:
        return cls(
            required=tuple(
                Requirement(
                    kind,
                    tuple(config[required]),
                    tuple(config[claim] or ()),
                    reason,
                    alternatives_of(config[required]),
                )
                for kind, required, claim, reason in _KINDS
                if config[required]
            ),
            forbidden=frozenset(config["claims_forbidden"] or ()),
        )

    def unmet(self, claims: Mapping[str, Any] | None) -> Unmet | None:
        """The first requirement that the access token's claims do not meet, or None.

        `claims` is None for an opaque token: it carries nothing.
        """
        for requirement in self.required:
            found = words(find_claim(claims or {}, requirement.path))
            if not requirement.is_met_by(found):
                listed = f"[ {', '.join(found)} ]" if found else "[ ]"
                return Unmet(
                    reason=requirement.reason,
                    detail=f"required {requirement.kind} were not found {listed}",
                    scope=requirement.required[0] if requirement.kind == "scopes" else None,
                    required=requirement.required,
                )
        if not self.forbidden:
            return None
        present = sorted(name for name in self.forbidden if name in (claims or {}))
        if present:
            return Unmet(
                AccessReason.CLAIM_FORBIDDEN,
                f"forbidden claims were found [ {', '.join(present)} ]",
            )
        if claims is None:
            # An opaque token may hold anything: what cannot be checked is refused.
            return Unmet(
                AccessReason.CLAIMS_UNKNOWN,
                "forbidden claims cannot be checked: the token is opaque",
            )
        return None
