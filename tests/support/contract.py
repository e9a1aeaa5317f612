"""The lists of docs/contract, which tests read."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[2] / "docs" / "contract"

ROUTER_CASES = _FOLDER / "router-cases.json"
OPENID_CONNECT_FIELDS = _FOLDER / "openid-connect-fields.json"
