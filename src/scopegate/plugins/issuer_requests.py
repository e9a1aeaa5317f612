"""What plugins want control to fetch of an identity provider: its metadata and keys.

How openid-connect makes one of its configuration: `plugins/openid_connect/issuer_request.py`. Who
keeps them: `app/control/issuer_book.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from scopegate.ir.policy import canonical_json, content_id
from scopegate.oidc.discovery import DiscoverySettings


@dataclass(frozen=True, slots=True)
class IssuerRequest:
    """What control fetches for one or more plugins; `key` names its content.

    cache_ttl_s              how long what was fetched is taken for new
    rediscovery_lifetime_s   in any such time unknown key ids may have it fetched twice
    plugin_ids               who wants it, for findings
    """

    discovery: DiscoverySettings
    cache_ttl_s: float
    rediscovery_lifetime_s: float
    plugin_ids: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """32 hex digits; equal requests of several plugins are one."""
        content = [asdict(self.discovery), self.cache_ttl_s, self.rediscovery_lifetime_s]
        return content_id(canonical_json(content))
