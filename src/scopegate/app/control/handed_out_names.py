"""What the policies of all routes set, read and give away that an Envoy may have.

Filters that lack a name of them would let a client's word through in its place, so until a
configuration is live, Envoy has filters for all of these. They stand in a file, since an Envoy
outlives the control that it had its configuration from.
"""

from __future__ import annotations

from pathlib import Path

from scopegate.app.private_files import write_private
from scopegate.ir.gateway import PolicyNames
from scopegate.telemetry.logging import logger


class HandedOutNames:
    """One file, its owner's alone; written before routes go out that add to it.

    last_good   the names of a last good configuration that will be handed out first
    """

    def __init__(self, path: Path, last_good: PolicyNames | None = None) -> None:
        self._path = path
        self._written = self._load()
        self._known = self._written | (last_good or PolicyNames())

    @property
    def known(self) -> PolicyNames:
        """Of all routes that an Envoy may have."""
        return self._known

    def add(self, names: PolicyNames) -> None:
        """Routes with these are about to go out. Raises OSError."""
        self._keep(self._known | names)

    def settle(self, names: PolicyNames) -> None:
        """Every connected Envoy has the routes with these, and no others."""
        try:
            self._keep(names)
        except OSError as problem:
            # Filters know more than they need to until a later one is written.
            logger().warning("names of the configuration not written", detail=str(problem))

    def _load(self) -> PolicyNames:
        try:
            return PolicyNames.from_json(self._path.read_bytes())
        except FileNotFoundError:
            return PolicyNames()
        except (OSError, ValueError) as problem:
            logger().warning("names of the last configuration not read", detail=str(problem))
            return PolicyNames()

    def _keep(self, names: PolicyNames) -> None:
        if names != self._written:
            write_private(self._path, names.to_json())
        self._written = self._known = names
