"""Arguments of a request: query and body, decoded to be read, raw to be taken out.

A body is read only when a lookup asks for it: `BodyWanted` then tells the policy service to ask
Envoy for it. Source: contract openid-connect.md §2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote_plus

from scopegate.plugins.access import Body, Request

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_BODYLESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "CONNECT"})
_BLANK = re.compile(r"[ \t\r\n]*")


class BodyWanted(Exception):
    """A lookup needs the body, and Envoy has not sent it yet."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One `name=value`. `start` and `end` are offsets of what must go to take it out."""

    name: str
    value: str = field(repr=False)
    start: int
    end: int


class Arguments:
    """The arguments of one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._query = _split(request.query)
        self._body: Sequence[Argument] | None = None
        self.body_is_form = _media_type(request) == _FORM
        self._readable = request.method not in _BODYLESS_METHODS and (
            self.body_is_form or _media_type(request) == _JSON
        )

    @property
    def has_form(self) -> bool:
        """Whether the body is a form, read or not."""
        return self._readable and self.body_is_form

    def query(self, name: str) -> list[str]:
        """All values of a query argument."""
        return [argument.value for argument in self._query if argument.name == name]

    def body(self, name: str) -> list[str]:
        """All values of a form field or top-level JSON string. Raises BodyWanted."""
        return [argument.value for argument in self._body_arguments() if argument.name == name]

    def query_without(self, names: Iterable[str]) -> str:
        """The raw query without these arguments; the others stay as the client wrote them."""
        gone = frozenset(names)
        pieces = self._request.query.split("&") if self._request.query else []
        return "&".join(piece for piece in pieces if _name(piece) not in gone)

    def body_cuts(self, names: Iterable[str]) -> tuple[tuple[int, int], ...]:
        """Byte ranges that take these arguments out of the body, as far as it was read.

        In order and apart from each other: the ends of a form's pieces can overlap by their `&`.
        """
        gone = frozenset(names)
        cuts: list[tuple[int, int]] = []
        for argument in self._body or ():
            if argument.name not in gone:
                continue
            start = argument.start
            if cuts and start < cuts[-1][1]:
                start = cuts.pop()[0]
            cuts.append((start, argument.end))
        return tuple(cuts)

    def _body_arguments(self) -> Sequence[Argument]:
        if self._body is None:
            self._body = self._read_body()
        return self._body

    def _read_body(self) -> Sequence[Argument]:
        if not self._readable or self._request.body_state is Body.TOO_LARGE:
            return ()
        if self._request.body_state is Body.NOT_READ:
            raise BodyWanted
        if self.body_is_form:
            return _split(self._request.body.decode("latin-1"), encoding="utf-8")
        return _json_members(self._request.body)


def _media_type(request: Request) -> str:
    return (request.header("content-type") or "").partition(";")[0].strip().lower()


def _name(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _split(text: str, encoding: str = "utf-8") -> list[Argument]:
    """`a=1&b=2` with the offsets of each piece and of the `&` that goes with it."""
    arguments: list[Argument] = []
    if not text:
        return arguments
    position = 0
    for piece in text.split("&"):
        start, end = position, position + len(piece)
        position = end + 1
        # Take one separator along: the one behind, or for the last piece the one before.
        cut_end = position if position <= len(text) else end
        cut_start = start if cut_end > end else max(start - 1, 0)
        if piece:
            name, _, value = piece.partition("=")
            arguments.append(
                Argument(
                    unquote_plus(name, encoding),
                    unquote_plus(value, encoding),
                    cut_start,
                    cut_end,
                )
            )
    return arguments


def _json_members(body: bytes) -> Sequence[Argument]:
    """Top-level string members of a JSON object; anything else holds no arguments.

    Offsets are those of the member's value, quotes excluded: cutting it leaves an empty string and
    the document whole. `null` and other types count as absent.
    """
    try:
        text = body.decode("utf-8")
        if not isinstance(json.loads(text), dict):
            return ()
    except (ValueError, RecursionError):
        return ()
    # It is a JSON object, so what follows only has to find where its members stand.
    decoder = json.JSONDecoder()
    arguments: list[Argument] = []
    position = _skip(text, text.index("{") + 1)
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        start = _skip(text, _skip(text, position) + 1)
        value, end = decoder.raw_decode(text, start)
        if isinstance(value, str):
            first, last = (len(text[:offset].encode()) for offset in (start + 1, end - 1))
            arguments.append(Argument(name, value, first, last))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return arguments


def _skip(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    return blank.end() if blank else position
