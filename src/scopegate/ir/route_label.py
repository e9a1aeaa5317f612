"""What a route and its service are called, in one text.

Envoy knows a route's entry by it: the access log and the question to the policy service quote it,
at a tenth of what it costs Envoy to put four facts of an entry into words each time.

    <route id>[/<route name>][ <service id>[/<service name>]]

No id has a slash or a blank, and no name has a blank.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteLabel:
    """Ids and names, each "" where there is none."""

    route_id: str
    route_name: str = ""
    service_id: str = ""
    service_name: str = ""

    def __str__(self) -> str:
        service = _joined(self.service_id, self.service_name)
        route = _joined(self.route_id, self.route_name)
        return f"{route} {service}" if service else route


def read_label(text: str) -> RouteLabel:
    """The label that was written so; any text is one."""
    route, _, service = text.partition(" ")
    route_id, _, route_name = route.partition("/")
    service_id, _, service_name = service.partition("/")
    return RouteLabel(route_id, route_name, service_id, service_name)


def _joined(id_: str, name: str) -> str:
    return f"{id_}/{name}" if name else id_
