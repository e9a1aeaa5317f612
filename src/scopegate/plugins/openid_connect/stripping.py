"""What is taken out of every request that goes on: headers that only we may set, cookies of the
gateway, and credentials other than the one that was checked (ADR 0026).

A header that looks like ours is ours, whatever case it is written in and with `_` for `-`. Which
those are: `headers.py`. What no client may send on any route is gone by then: `envoy/arrival.py`.
Source: contract openid-connect.md §2 (hide_credentials), §8, §22 (1) and (2).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from scopegate.plugins.access import Continue, Header, Request
from scopegate.plugins.openid_connect.arguments import Arguments, query_without
from scopegate.plugins.openid_connect.bearer import Place
from scopegate.plugins.openid_connect.sessions import cookies_for_upstream

_SEPARATOR = re.compile("[^a-z0-9]")
# Whatever scheme they name: behind a gateway that checks credentials they read as checked.
_CREDENTIAL_HEADERS: tuple[Place, ...] = (
    ("header", "authorization"),
    ("header", "proxy-authorization"),
)


class Stripping:
    """What one configuration takes out."""

    def __init__(
        self, ours: Iterable[str], cookies: Iterable[str], places: Iterable[Place]
    ) -> None:
        """`ours`: headers that only we set. `cookies`: of the gateway. `places`: of credentials."""
        self._ours = frozenset(map(_spelled, ours))
        self._cookies = frozenset(cookies)
        names: dict[str, set[str]] = {}
        for place, name in (*places, *_CREDENTIAL_HEADERS):
            names.setdefault(place, set()).add(name)
        self._credentials: Mapping[str, Collection[str]] = names
        self._hidden_beside: dict[Place | None, Mapping[str, frozenset[str]]] = {}
        self._credential_headers = frozenset(map(_spelled, names["header"]))

    def applied(
        self,
        request: Request,
        arguments: Arguments,
        set_headers: Sequence[Header],
        *,
        shown: Place | None = None,
        hidden_query: Iterable[str] = (),
        **said: Any,
    ) -> Continue:
        """The request as the upstream gets it, with `set_headers`.

        shown          the place of the credential that was checked and is to go on
        hidden_query   arguments that go besides
        said           what else the outcome says, its fields by name
        A body is changed only if it was read.
        """
        remove = [name for name, _ in request.headers if self._takes_header(name, shown)]
        hidden = self._hidden(shown)
        changed, cookie = cookies_for_upstream(request, hidden["cookie"])
        if changed and cookie is not None:
            # Headers come as one character a byte, and what is set for the upstream goes as UTF-8.
            text = cookie.encode("latin-1").decode(errors="replace")
            set_headers = [*set_headers, ("cookie", text)]
        elif changed:
            remove.append("cookie")
        query = query_without(request.query, hidden["query"].union(hidden_query))
        return Continue(
            set_headers=tuple(set_headers),
            remove_headers=tuple(dict.fromkeys(remove)) if remove else (),
            query=None if query == request.query else query,
            body_cuts=arguments.body_cuts(hidden["body"]),
            **said,
        )

    def query(self, query: str) -> str:
        """The query of another URL without the arguments that may hold a credential."""
        return query_without(query, self._hidden(None)["query"])

    def _hidden(self, shown: Place | None) -> Mapping[str, frozenset[str]]:
        """The names that go, by place; made once for each place that a credential can have."""
        hidden = self._hidden_beside.get(shown)
        if hidden is None:
            hidden = {
                place: frozenset(
                    name for name in self._credentials.get(place, ()) if (place, name) != shown
                )
                for place in ("cookie", "query", "body")
            }
            hidden["cookie"] |= self._cookies
            self._hidden_beside[shown] = hidden
        return hidden

    def _takes_header(self, name: str, shown: Place | None) -> bool:
        spelled = _spelled(name)
        if spelled in self._ours:
            return True
        return spelled in self._credential_headers and ("header", name) != shown


def _spelled(name: str) -> str:
    """What could be read as a header of ours is one: servers take `_`, `.` and others for `-`."""
    return _SEPARATOR.sub("-", name)
