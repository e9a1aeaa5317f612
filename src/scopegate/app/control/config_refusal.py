"""What to tell an operator when the proxy refuses a configuration: why, and which routes.

Envoy says what is wrong and not where: of a regular expression the part that it does not know, of
a message that its own checks refuse the whole table. So the routes are found here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scopegate.ir.gateway import Gateway, Route

LENGTH_LIMIT = 300
ROUTES_LIMIT = 5


@dataclass(frozen=True, slots=True)
class ProxyRefusal:
    """A refused configuration in words.

    said        what Envoy said, on one line and bounded
    routes      ids of the routes that it can be about, ROUTES_LIMIT at most; () when not known
    where       the same for people, by name where there is one
    """

    said: str
    routes: tuple[str, ...] = ()
    where: str = ""

    def __str__(self) -> str:
        return f"{self.said} ({self.where})" if self.where else self.said


def explain(detail: str, sent: Gateway, good: Gateway | None) -> ProxyRefusal:
    """The refusal of `sent`, whose last accepted forerunner is `good` (None: not known)."""
    said = _brief(detail)
    quoting = _unique(route for route in sent.routes if _holds(route, detail))
    if quoting:
        return ProxyRefusal(said, *_shown("in", quoting))
    if good is None:
        return ProxyRefusal(said)
    before = {route.key: route for route in good.routes}
    changed = _unique(route for route in sent.routes if before.get(route.key) != route)
    return ProxyRefusal(said, *_shown("changed since the last good one:", changed))


def _brief(detail: str) -> str:
    kind, _, rest = detail.partition(": ")
    if rest.startswith("goo.gle/debug"):
        # Envoy shows the whole table first and is cut off before the reason.
        return f"{kind}: a value is beyond Envoy's own limits; its line in the log ends in which"
    text = " ".join(detail.split())
    return text if len(text) <= LENGTH_LIMIT else f"{text[:LENGTH_LIMIT]}…"


def _holds(route: Route, detail: str) -> bool:
    """Whether Envoy quotes from a regular expression of this route."""
    quoted = detail.rpartition(": ")[2].strip()
    path = route.match.path
    patterns = [regex for header in route.match.headers for regex in header.regexes]
    if path is not None and path.kind == "regex":
        patterns.append(path.value)
    return bool(quoted) and any(quoted in pattern for pattern in patterns)


def _unique(routes: Iterable[Route]) -> tuple[Route, ...]:
    """One entry of each of Kong's routes."""
    return tuple({route.route_id: route for route in routes}.values())


def _shown(relation: str, routes: tuple[Route, ...]) -> tuple[tuple[str, ...], str]:
    if not routes:
        return (), ""
    first = routes[:ROUTES_LIMIT]
    names = ", ".join(f"route {route.route_name or route.route_id}" for route in first)
    more = f" and {len(routes) - len(first)} more" if len(routes) > len(first) else ""
    return tuple(route.route_id for route in first), f"{relation} {names}{more}"
