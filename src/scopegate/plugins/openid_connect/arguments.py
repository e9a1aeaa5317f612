"""Arguments of a request: query and body, decoded to be read, raw to be taken out.

A body is read only when a lookup asks for it: `BodyWanted` then tells the policy service to ask
Envoy for it. Whoever writes a request chooses how many arguments it has, so a lookup makes nothing
of those that it does not look for. An argument is read under its own name alone; one that some
server takes for it all the same is its *twin*, and is taken out with it: of another case, with
another character for `_` (PHP makes `_` of `.` and blank), in front of `[…]`.
Source: contract openid-connect.md §2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from scopegate.plugins.access import Body, Request

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_NO_MEDIA_TYPE = frozenset({""})
# Today's forms know only `&`; some servers still split at `;`, as HTML 4 advised.
_SEPARATOR = re.compile("[&;]")
# Servers take what stands before it for the media type, whatever the grammar says.
_END_OF_TYPE = re.compile(r"[;\s]")
_JSON_TOKEN = re.compile(rb'(?P<string>"(?:[^"\\]|\\.)*+")(?P<colon>[ \t\r\n]*+:)?|[{}\[\]]')

Span = tuple[int, int]
"""Offsets of the first byte and of the one behind the last."""


class BodyWanted(Exception):
    """A lookup needs the body, and Envoy has not sent it yet."""


class FormEncoded(Exception):
    """A lookup needs a form that is encoded: the upstream may read what we cannot."""


class Arguments:
    """The arguments of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        kinds = _media_types(request)
        self.has_form = _FORM in kinds
        """Whether the body is a form, read or not. Many servers read one with any method."""
        self.is_form_encoded = self.has_form and bool(request.header("content-encoding"))
        """Whether the form has a Content-Encoding (`gzip`)."""
        self._has_json = not self.has_form and _JSON in kinds
        self._members: Sequence[tuple[str, Any]] | None = None

    @property
    def is_body_too_large(self) -> bool:
        """Whether there is a form or JSON that is too large to be looked into."""
        return (self.has_form or self._has_json) and self._request.body_state is Body.TOO_LARGE

    def query(self, name: str) -> list[str]:
        """All values of a query argument."""
        return _values(self._request.query, name)

    def query_twins(self, name: str) -> list[str]:
        """All values of the twins of a query argument."""
        return _twins(self._request.query, name)

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

    def form_twins(self, name: str) -> list[str]:
        """All values of the twins of a form field. Raises BodyWanted."""
        if not self.has_form or not self._is_read():
            return []
        return _twins(_text_of_form(self._request.body), name)

    def body_cuts(self, names: Collection[str]) -> tuple[Span, ...]:
        """Byte ranges, rising, that take these arguments out of the body, if it was read.

        Out of a form with their twins.
        """
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
    """A raw query without these arguments and their twins; the others stay as they were written."""
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
    return frozenset(_END_OF_TYPE.split(text.strip(), 1)[0].lower() for text in header.split(","))


def _text_of_form(body: bytes) -> str:
    """One character a byte, so that offsets are the body's; names and values are UTF-8 inside."""
    return body.decode("latin-1")


@dataclass(frozen=True, slots=True)
class _Spellings:
    """How arguments of some names and their twins are written.

    anywhere   one of the names, inside a decoded text
    whole      a decoded name; no shorter than `shortest_chars`
    """

    anywhere: re.Pattern[str]
    whole: re.Pattern[str]
    shortest_chars: int

    def may_be_in(self, text: str) -> bool:
        """False when none stands in it."""
        return self.anywhere.search(_decoded(text)) is not None

    def named_by(self, key: str) -> str | None:
        """The decoded name of a key as it was sent, or None if it is none of these."""
        if len(key) < self.shortest_chars:  # decoding makes no key longer
            return None
        name = _decoded(key)
        return name if self.whole.fullmatch(name) else None


@cache
def _spellings(names: frozenset[str]) -> _Spellings:
    """Names are those of configurations, so that there are few."""
    patterns = (re.sub("[^a-z0-9]", "[^a-z0-9]", name.lower()) for name in names)
    any_name = f"(?:{'|'.join(patterns)})"
    flags = re.IGNORECASE | re.DOTALL
    return _Spellings(
        anywhere=re.compile(any_name, flags),
        # PHP drops blanks before a name, and what comes behind a null character.
        whole=re.compile(rf" *{any_name}(?: *|[\[\0].*)", flags),
        shortest_chars=min(map(len, names)),
    )


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


def _named(text: str, spellings: _Spellings) -> Iterator[tuple[str, str]]:
    """The decoded arguments of `a=1&b=2` that are spelled so."""
    if not spellings.may_be_in(text):
        return
    for piece in _SEPARATOR.split(text):
        key, _, value = piece.partition("=")
        if key and (name := spellings.named_by(key)) is not None:
            yield name, unquote_plus(value)


def _values(text: str, name: str) -> list[str]:
    """The decoded values of `name` in `a=1&b=2`."""
    return [value for key, value in _named(text, _spellings(frozenset({name}))) if key == name]


def _twins(text: str, name: str) -> list[str]:
    """The decoded values of the twins of `name` in `a=1&b=2`."""
    return [value for key, value in _named(text, _spellings(frozenset({name}))) if key != name]


def _form_spans(text: str, names: Collection[str]) -> Iterator[Span]:
    """Where these arguments and their twins stand in `a=1&b=2`, each with its separator."""
    if not names:
        return
    spellings = _spellings(frozenset(names))
    if not spellings.may_be_in(text):
        return
    position = 0
    for piece in _SEPARATOR.split(text):
        start, end = position, position + len(piece)
        position = end + 1
        key = piece.partition("=")[0]
        if key and spellings.named_by(key) is not None:
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
