"""The issuer of one policy: facts and keys as the policy holds them, or newer ones from control.

What the facts are: `oidc/issuer_facts.py`. When control asks the identity provider for them:
`app/control/issuer_book.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from scopegate.ir.policy import canonical_json, content_id
from scopegate.oidc.errors import IdpUnavailable, UnknownKey
from scopegate.oidc.issuer_facts import Endpoints, IssuerFacts
from scopegate.oidc.keys import KeySet
from scopegate.plugins.openid_connect.reasons import AccessReason
from scopegate.plugins.ports import FactsPort

T = TypeVar("T")
_QUESTIONS = 2  # to control, for one token


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """Facts and the keys in them, imported once; `id` is the content id of the facts."""

    facts: IssuerFacts
    keys: KeySet
    id: str


class Issuer:
    """What is known of the issuer; asks control where that does not suffice."""

    def __init__(
        self,
        key: str,
        document: Mapping[str, Any] | None,
        issuers_allowed: Sequence[str],
        configured: Endpoints,
        port: FactsPort,
    ) -> None:
        """`configured` endpoints come before those of the discovery document."""
        self._key = key
        self._issuers_allowed = issuers_allowed
        self._configured = configured
        self._port = port
        self._known = self._read(document) if document is not None else None

    def _read(self, document: Mapping[str, Any]) -> KnownIssuer:
        facts = IssuerFacts.from_json(document)
        configured = {name: url for name, url in asdict(self._configured).items() if url}
        facts = replace(facts, endpoints=replace(facts.endpoints, **configured))
        keys = KeySet.from_facts(facts, self._issuers_allowed)
        return KnownIssuer(facts, keys, content_id(canonical_json(document)))

    async def known(self) -> KnownIssuer:
        """Facts and keys. Raises IdpUnavailable while nothing is known."""
        if self._known is None:
            document = await self._port.refresh(self._key, None)
            if document is None:
                raise IdpUnavailable(
                    AccessReason.ISSUER_UNKNOWN, "the issuer's metadata is not known yet"
                )
            self._known = self._read(document)
        return self._known

    def suspect(self) -> None:
        """A call to the token endpoint failed: control looks whether the issuer is down."""
        self._port.suspect(self._key)

    async def check(self, verify: Callable[[KnownIssuer], T]) -> T:
        """What `verify` makes of the known keys; where a key is unknown, of newer ones.

        Whether the issuer is fetched anew is control's to allow (contract openid-connect.md §11):
        without newer facts the unknown key stands. What control has may be older than the key,
        too; then it is asked once more.
        """
        known = await self.known()
        for _ in range(_QUESTIONS):
            try:
                return verify(known)
            except UnknownKey as unknown:
                document = await self._port.refresh(self._key, known.id, unknown.key_id)
                if document is None:
                    raise unknown.verdict() from None
                newer = self._read(document)
                if self._known is known:
                    # Otherwise somebody else's answer came first, and may be newer than this one.
                    self._known = newer
                known = newer
        try:
            return verify(known)
        except UnknownKey as still_unknown:
            raise still_unknown.verdict() from None


def configured_endpoints(config: Mapping[str, Any]) -> Endpoints:
    """The endpoints that the configuration names itself."""
    return Endpoints(
        authorization=config["authorization_endpoint"],
        token=config["token_endpoint"],
        end_session=config["end_session_endpoint"],
    )
