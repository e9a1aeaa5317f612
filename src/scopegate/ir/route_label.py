"""What an entry of Envoy's route table is called, in one text.

    <route id>[/<route name>] <service id>[/<service name>]|- <policy id>|open

The proxy filter reads the third word: which policy decides, or that none does here. The access log
and the check request quote the label. No id has a slash or a space, and no name has a space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OPEN: Final = "open"
"""No policy decides here. A label without a third word is refused by the filter."""

_NO_SERVICE: Final = "-"


@dataclass(frozen=True, slots=True)
class RouteLabel:
    """Ids and names, each "" where there is none; `policy` is a policy id, OPEN, or "" where the
    text does not say."""

    route_id: str
    route_name: str = ""
    service_id: str = ""
    service_name: str = ""
    policy: str = ""

    def __str__(self) -> str:
        service = _joined(self.service_id, self.service_name) if self.service_id else _NO_SERVICE
        names = f"{_joined(self.route_id, self.route_name)} {service}"
        return f"{names} {self.policy}" if self.policy else names


def read_label(text: str) -> RouteLabel:
    """The label that is written so. Words may be missing, and more may follow; any text is one."""
    route, service, policy = (*text.split(" "), "", "")[:3]
    route_id, _, route_name = route.partition("/")
    service_id, _, service_name = service.partition("/")
    if service_id == _NO_SERVICE:
        service_id = ""
    return RouteLabel(route_id, route_name, service_id, service_name, policy)


def _joined(id_: str, name: str) -> str:
    return f"{id_}/{name}" if name else id_
