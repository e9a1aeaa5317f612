"""Kong's own routing cases (docs/contract/router-cases.json), for the matcher and for Envoy."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from scopegate.compile.gateway import CompileSettings, compile_gateway
from scopegate.ir.gateway import Gateway, Listener
from support import entities
from support.contract import ROUTER_CASES

CASES = json.loads(ROUTER_CASES.read_text())

# This case hands `%58` to the router itself. In a request Kong decodes it before, as we do, and
# then the configured `%58` matches nothing.
NEVER_ARRIVES = {86}

_UNRESERVED = re.compile("%(2[dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])")


def gateway(case: dict, listeners: tuple[Listener, ...], upstream_port: int = 80) -> Gateway:
    """What a case's routes and services compile to."""
    services, routes = {}, []
    for number, pair in enumerate(case["routes"]):
        fields = {key: value for key, value in pair["route"].items() if value != {}}
        fields.pop("path_handling", None)  # this flavor of the router does not look at it
        described = pair.get("service")
        if described:
            name = f"service-{number}"
            services[name] = entities.service(
                name=name, port=upstream_port, path=described.get("path")
            )
            fields["service"] = name
        fields.setdefault("name", fields["id"])
        fields.setdefault("strip_path", False)  # the cases come from below the schema
        routes.append(entities.route(**fields))
    snapshot = entities.snapshot(services=services.values(), routes=routes)
    return compile_gateway(snapshot, {}, CompileSettings(listeners=listeners), ()).gateway


def headers(request: dict) -> list[tuple[str, str]]:
    """Of a case's request, without Host."""
    found = []
    for name, value in request.get("headers", {}).items():
        if name != "host":
            found += [(name, one) for one in (value if isinstance(value, list) else [value])]
    return found


def host(request: dict) -> str:
    """What its Host header says."""
    return request.get("host") or request.get("headers", {}).get("host") or "no-host.test"


def arriving(target: str) -> str:
    """The path of a target as Envoy hands it on, without dot segments and double slashes."""
    path = quote(target.partition("?")[0], safe="/%:@!$&'()*+,;=[]-._~")
    return _UNRESERVED.sub(lambda found: chr(int(found[1], 16)), path)
