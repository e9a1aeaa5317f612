"""Arguments of a request: query and body, decoded to be read, raw to be taken out.

A body is read only when a lookup asks for it: `BodyWanted` then tells the policy service to ask
Envoy for it. Whoever writes a request chooses how many arguments it has, so a lookup makes nothing
of those that it does not look for. Source: contract openid-connect.md §2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote_plus

from scopegate.plugins.access import Body, Request

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_NO_MEDIA_TYPE = frozenset({""})
# Today's forms know only `&`; some servers still split at `;`, as HTML 4 advised.
_SEPARATOR = re.compile("[&;]")
_JSON_TOKEN = re.compile(rb'(?P<string>"(?:[^"\\]|\\.)*+")(?P<colon>[ \t\r\n]*+:)?|[{}\[\]]')

Span = tuple[int, int]
"""Offsets of the first byte and of the one behind the last."""


class BodyWanted(Exception):
    """A lookup needs the body, and Envoy has not sent it yet."""


class Arguments:
    """The arguments of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        kinds = _media_types(request)
        self.has_form = _FORM in kinds
        """Whether the body is a form, read or not. Many servers read one with any method."""
        self._has_json = not self.has_form and _JSON in kinds
        self._members: Sequence[tuple[str, Any]] | None = None

    @property
    def is_body_too_large(self) -> bool:
        """Whether there is a form or JSON that is too large to be looked into."""
        return (self.has_form or self._has_json) and self._request.body_state is Body.TOO_LARGE

    def query(self, name: str) -> list[str]:
        """All values of a query argument."""
        return _values(self._request.query, name)

    def body(self, name: str) -> list[str]:
        """All values of a form field or top-level JSON string. Raises BodyWanted."""
        if not self._is_read():
            return []
        if self.has_form:
            return _values(_text_of_form(self._request.body), name)
        if self._members is None:
            self._members = _members(self._request.body)
        values = [value for key, value in self._members if key == name and isinstance(value, str)]
        # JSON can name half a character, which no request could carry on.
        return [value.encode(errors="replace").decode() for value in values]

    def body_cuts(self, names: Collection[str]) -> tuple[Span, ...]:
        """Byte ranges, rising, that take these arguments out of the body, if it was read."""
        if self._request.body_state is not Body.WHOLE:
            return ()
        return tuple(_joined(self._spans(names)))

    def _is_read(self) -> bool:
        """Whether the body is there to be looked into. Raises BodyWanted."""
        if not (self.has_form or self._has_json):
            return False
        if self._request.body_state is Body.NOT_READ:
            raise BodyWanted
        return self._request.body_state is Body.WHOLE

    def _spans(self, names: Collection[str]) -> Iterator[Span]:
        if self.has_form:
            yield from _form_spans(_text_of_form(self._request.body), names)
        elif self._has_json and any(self.body(name) for name in names):
            yield from _json_spans(self._request.body, names)


def query_without(query: str, names: Collection[str]) -> str:
    """A raw query without these arguments; the others stay as the client wrote them."""
    if not query:
        return query
    kept, position = [], 0
    for start, end in _joined(_form_spans(query, names)):
        kept.append(query[position:start])
        position = end
    return "".join(kept) + query[position:]


def _media_types(request: Request) -> frozenset[str]:
    """Without parameters. Of a repeated header, which Envoy joins, a server may read either."""
    header = request.header("content-type")
    if not header:
        return _NO_MEDIA_TYPE
    types = header.split(",")
    return frozenset(text.partition(";")[0].strip().lower() for text in types)


def _text_of_form(body: bytes) -> str:
    """One character a byte, so that offsets are the body's; names and values are UTF-8 inside."""
    return body.decode("latin-1")


def _may_hold(text: str, names: Iterable[str]) -> bool:
    """False when none of the names stands anywhere in it."""
    return "%" in text or "+" in text or any(name in text for name in names)


def _is_one_of(key: str, names: Collection[str], shortest: int) -> bool:
    """Whether a key as it was sent names one of these. Decoding makes no key longer."""
    if "%" in key or "+" in key:
        return len(key) >= shortest and unquote_plus(key) in names
    return key in names


def _values(text: str, name: str) -> list[str]:
    """The decoded values of `name` in `a=1&b=2`."""
    if not _may_hold(text, (name,)):
        return []
    pieces = (piece.partition("=") for piece in _SEPARATOR.split(text) if piece)
    return [unquote_plus(value) for key, _, value in pieces if _is_one_of(key, (name,), len(name))]


def _form_spans(text: str, names: Collection[str]) -> Iterator[Span]:
    """Where these arguments stand in `a=1&b=2`, each with the separator that goes with it."""
    if not names or not _may_hold(text, names):
        return
    shortest = min(map(len, names))
    position = 0
    for piece in _SEPARATOR.split(text):
        start, end = position, position + len(piece)
        position = end + 1
        if piece and _is_one_of(piece.partition("=")[0], names, shortest):
            # Take one separator along: the one behind, or for the last piece the one before.
            yield (start, position) if position <= len(text) else (max(start - 1, 0), end)


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Apart from each other: a form's pieces touch, and its last overlaps by a separator."""
    joined: list[Span] = []
    for start, end in spans:
        touches = joined and start <= joined[-1][1]
        joined.append((joined.pop()[0] if touches else start, end))
    return joined


def _members(body: bytes) -> Sequence[tuple[str, Any]]:
    """Top-level members of a JSON object, repeated ones too; of anything else none."""
    try:
        document = json.loads(body.decode(), object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return ()
    return document if isinstance(document, tuple) else ()


def _json_spans(body: bytes, names: Collection[str]) -> Iterator[Span]:
    """Where these strings stand in a JSON object, their quotes excluded.

    Cutting one leaves an empty string and the document whole. `null` and other types count as
    absent. It is a JSON object, so this only has to find where its members are.
    """
    depth, is_wanted = 0, False
    for token in _JSON_TOKEN.finditer(body):
        text = token["string"]
        if text is None:
            depth += 1 if token[0] in (b"{", b"[") else -1
        elif depth == 1 and token["colon"]:
            name = json.loads(text) if b"\\" in text else text[1:-1].decode()
            is_wanted = name in names
        elif depth == 1 and is_wanted:
            yield token.start("string") + 1, token.end("string") - 1
