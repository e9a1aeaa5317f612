"""Adding parameters to an endpoint's URL so that ours cannot be overridden.

Source: RFC 6749 §3.1 (an endpoint's own query is kept, no parameter is sent twice).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import quote, unquote_plus, urlsplit, urlunsplit

Parameter = tuple[str, str]


def with_parameters(
    endpoint: str,
    ours: Iterable[Parameter],
    extra: Iterable[Parameter] = (),
    reserved: Collection[str] = (),
) -> str:
    """The URL with the endpoint's own query, then ours, then extra parameters.

    Of one name only one stays: ours before the endpoint's before an extra one. Names in `reserved`
    are never taken from `extra`, even where we send none of that name. The endpoint's query stays
    as it is written; a fragment goes.
    """
    parts = urlsplit(endpoint)
    added = dict(ours)
    pieces = [piece for piece in parts.query.split("&") if piece and _name_of(piece) not in added]
    taken = {*reserved, *added, *map(_name_of, pieces)}
    for name, value in extra:
        if name not in taken:
            added.setdefault(name, value)
    pieces += [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in added.items()]
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "&".join(pieces), ""))


def _name_of(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])
