"""The last configuration that the proxy took, kept while it refuses a newer one.

In memory it is lost with control. Were a start then to find nothing but what the proxy refuses,
one bad route would be an outage of all. So it is written at the first refusal, and only then.
"""

from __future__ import annotations

from pathlib import Path

from scopegate.app.private_files import write_private
from scopegate.envoy.resources import Resources
from scopegate.telemetry.logging import logger


class LastGood:
    """One file, its owner's alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Resources | None = None

    def load(self) -> Resources | None:
        """What an earlier control left here; None when nothing was refused then."""
        try:
            self._kept = Resources.from_bytes(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            logger().warning("last good configuration not read", detail=str(problem))
        return self._kept

    def keep(self, resources: Resources) -> None:
        """Write it, whole or not at all; what is here already is not written again."""
        if self._kept is resources:
            return
        try:
            write_private(self._path, resources.to_bytes())
        except OSError as problem:
            logger().warning("last good configuration not written", detail=str(problem))
        else:
            self._kept = resources

    def forget(self) -> None:
        """The proxy has what it is to have. A damaged file goes, too."""
        self._kept = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as problem:
            # Served first at the next start, and right away replaced by what is in the store.
            logger().warning("last good configuration not removed", detail=str(problem))
