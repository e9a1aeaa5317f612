"""What a Python child gets from the supervisor: settings and listening sockets.

It travels in one environment variable, as JSON; the sockets are file descriptors that the child
inherits. The child rebuilds its settings from the texts, through the same table.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from scopegate.app.prefix import Prefix
from scopegate.app.processes.listening import Sockets
from scopegate.app.settings.settings import Given, Settings, settings_from
from scopegate.telemetry.logging import Format, configure_logging
from scopegate.telemetry.metrics import Metrics, open_metrics

# Not SCOPEGATE_…, which would read as a setting.
VARIABLE = "_SCOPEGATE_HANDOVER"


@dataclass(frozen=True, slots=True)
class Handover:
    """What one child is to work with.

    process       its name: `control`, `policy-0` …
    descriptors   listening sockets by name, as numbers valid in the child
    """

    process: str
    settings: Settings
    descriptors: Mapping[str, tuple[int, ...]]

    @property
    def prefix(self) -> Prefix:
        return Prefix(self.settings.prefix)

    def sockets(self, name: str) -> list[socket.socket]:
        """The sockets that listen under `name` (`admin`, `status`, `policy`, `control`)."""
        return [socket.socket(fileno=number) for number in self.descriptors[name]]

    def to_text(self) -> str:
        """For the child's environment."""
        return json.dumps(
            {
                "process": self.process,
                "folder": str(Path.cwd()),
                "given": {name: asdict(given) for name, given in self.settings.given.items()},
                "descriptors": self.descriptors,
            }
        )


def handover_to(process: str, settings: Settings, sockets: Sockets, *names: str) -> Handover:
    """What `process` gets when it serves the sockets under `names`."""
    numbers = {name: tuple(each.fileno() for each in sockets[name]) for name in names}
    return Handover(process, settings, numbers)


def take_over() -> Handover:
    """The handover of this process. Raises KeyError when no supervisor started it."""
    document = json.loads(os.environ.pop(VARIABLE))
    settings = settings_from(
        {name: Given(**given) for name, given in document["given"].items()},
        folder=Path(document["folder"]),
    )
    descriptors = {name: tuple(numbers) for name, numbers in document["descriptors"].items()}
    return Handover(document["process"], settings, descriptors)


def begin(handover: Handover) -> Metrics:
    """Set this process's logging up and open its metrics: the first thing every child does."""
    configure_logging(
        level=handover.settings.log_level,
        style=cast(Format, handover.settings.log_format),
        process=handover.process,
    )
    return open_metrics(handover.prefix.metrics, handover.process)
