"""What the policies of all routes set, read and give away that an Envoy may have.

Filters that lack a name of them would let a client's word through in its place, so until a
configuration is live, Envoy has filters for all of these. They stand in a file, since an Envoy
outlives the control that it had its configuration from.
"""

from __future__ import annotations

import os
from pathlib import Path

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
            self._write(names)
        self._known = names

    def _write(self, names: PolicyNames) -> None:
        beside = self._path.with_name(f"{self._path.name}.new")
        beside.unlink(missing_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(names.to_json())
        beside.replace(self._path)
        self._written = names
