"""Gateway cookies in Cookie and Set-Cookie headers. Source: RFC 6265.

A Cookie header that was sent twice may arrive as one, joined by a comma. Our own names and values
contain neither comma nor semicolon, so both count as a boundary wherever a gateway cookie is
looked for, counted or removed.

`__Host-`: we never rename a cookie. The contract fixes the names (`session`, `authorization`), and
a name that changed with the scheme would log people out on the way from one to the other. A cookie
that somebody plants does not open; what the prefix adds is that a sister domain cannot plant a
sealed cookie of its own login. Operators get that by naming it `__Host-session`, and then we hold
the conditions: path `/`, no domain, always Secure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

SameSite = Literal["Default", "Lax", "None", "Strict"]

COOKIE_LIMIT_BYTES = 4096
"""Name, value and attributes of one cookie together. Source: RFC 6265 §6.1."""
CHUNK_LIMIT = 9
NAME_LIMIT_BYTES = 256
ATTRIBUTE_LIMIT_BYTES = 1024

PIECES_LIMIT = 1000
"""More than any browser keeps for a site; whoever sends more wants us to go through them all."""

_BOUNDARY = re.compile(r"([;,])")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_PATH = re.compile(r"/[\x21-\x3a\x3c-\x7e]*")  # av-octet without blank: RFC 6265 §4.1.1
_DOMAIN = re.compile(r"\.?[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?")
_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # cookie-octet
_CHUNK_COUNT = re.compile(r"[1-9]")
_LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT"


class CookieRepeated(Exception):
    """A gateway cookie came more than once: which of them was checked would be a guess. Refuse.

    The refusal should expire the cookie: of two that differ in domain or path (a changed setting)
    the other one is then alone.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"the cookie {name} was sent more than once")
        self.name = name


class SessionTooLarge(Exception):
    """The value does not fit into nine cookies."""

    def __init__(self, name: str, length_bytes: int) -> None:
        super().__init__(f"{length_bytes} bytes do not fit into {CHUNK_LIMIT} cookies {name}")
        self.name = name
        self.length_bytes = length_bytes


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """One gateway cookie. Raises ValueError naming the field that cannot be.

    secure      None: Secure when the request came over https
    same_site   `Default` is written as `Lax`, since not every browser defaults to that
    """

    name: str
    path: str = "/"
    domain: str | None = None
    http_only: bool = True
    secure: bool | None = None
    same_site: SameSite = "Lax"

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.name) or len(self.name) > NAME_LIMIT_BYTES:
            raise ValueError(
                "name: must be letters, digits and !#$%&'*+-.^_`|~ only, "
                f"at most {NAME_LIMIT_BYTES} of them"
            )
        if not _PATH.fullmatch(self.path) or len(self.path) > ATTRIBUTE_LIMIT_BYTES:
            raise ValueError("path: must start with / and hold no blank, semicolon or control")
        if self.domain is not None and (
            not _DOMAIN.fullmatch(self.domain) or len(self.domain) > ATTRIBUTE_LIMIT_BYTES
        ):
            raise ValueError("domain: must be a host name")
        if self.same_site not in get_args(SameSite):
            raise ValueError(f"same_site: must be one of {', '.join(get_args(SameSite))}")
        if self._has_prefix("__host-") and (self.path != "/" or self.domain is not None):
            raise ValueError("name: __Host- needs path / and no domain (RFC 6265bis §4.1.3.2)")
        if self._is_secure_by_name() and self.secure is False:
            raise ValueError("name: __Host- and __Secure- need secure (RFC 6265bis §4.1.3)")

    def is_secure(self, *, https: bool) -> bool:
        """Whether the Secure attribute is set in an answer to a request over http or https."""
        if self.secure is None:
            return https or self._is_secure_by_name()
        return self.secure

    def _has_prefix(self, prefix: str) -> bool:
        # Browsers compare the prefixes without regard to case.
        return self.name.lower().startswith(prefix)

    def _is_secure_by_name(self) -> bool:
        return self._has_prefix("__host-") or self._has_prefix("__secure-")


@lru_cache(maxsize=1024)  # names are configured
def chunk_names(name: str) -> tuple[str, ...]:
    """`name`, `name2` … `name9`: all that one gateway cookie may use."""
    return (name, *(f"{name}{number}" for number in range(2, CHUNK_LIMIT + 1)))


def read_cookie(cookie_header: str | None, name: str) -> str | None:
    """The value of a gateway cookie that is never chunked, or None. Raises CookieRepeated."""
    return _gateway_cookies(cookie_header, (name,)).get(name)


def read_chunked(cookie_header: str | None, name: str) -> str | None:
    """The value that `set_chunked` wrote, or None when there is none. Raises CookieRepeated.

    The first chunk says how many there are, so a chunk that was left over is not read. Of an
    incomplete value nothing is given out: the empty text.
    """
    found = _gateway_cookies(cookie_header, chunk_names(name))
    first = found.get(name)
    if first is None:
        return None
    if not _CHUNK_COUNT.match(first):
        return ""
    chunks = [first[1:], *(found.get(other, "") for other in chunk_names(name)[1 : int(first[0])])]
    return "".join(chunks) if all(chunks) else ""


def set_cookie(
    settings: CookieSettings, value: str, *, https: bool, max_age_s: int | None = None
) -> str:
    """The value of a Set-Cookie header. `max_age_s` None: until the browser is closed."""
    _check_value(value)
    age = f"; Max-Age={max_age_s}" if max_age_s is not None else ""
    return f"{settings.name}={value}{age}{_attributes(settings, https=https)}"


def set_chunked(
    settings: CookieSettings, value: str, cookie_header: str | None, *, https: bool
) -> tuple[str, ...]:
    """Set-Cookie values that carry `value` in as many cookies as it takes.

    Chunks that the request brought and the value does not need are expired in the same answer.
    Raises SessionTooLarge.
    """
    _check_value(value)
    names = chunk_names(settings.name)
    attributes = _attributes(settings, https=https)
    chunks: list[str] = []
    rest = value
    for name in names:
        count_bytes = 1 if not chunks else 0
        room_bytes = COOKIE_LIMIT_BYTES - len(name) - len("=") - count_bytes - len(attributes)
        chunks.append(rest[:room_bytes])
        rest = rest[room_bytes:]
        if not rest:
            break
    else:
        raise SessionTooLarge(settings.name, len(value))
    chunks[0] = f"{len(chunks)}{chunks[0]}"
    brought = _names(cookie_header, settings.name)
    return (
        *(f"{name}={chunk}{attributes}" for name, chunk in zip(names, chunks, strict=False)),
        *(_expired(name, attributes) for name in names[len(chunks) :] if name in brought),
    )


def expire_cookie(settings: CookieSettings, *, https: bool) -> str:
    """The Set-Cookie value that removes a cookie that is never chunked."""
    return _expired(settings.name, _attributes(settings, https=https))


def expire_chunked(
    settings: CookieSettings, cookie_header: str | None, *, https: bool
) -> tuple[str, ...]:
    """Set-Cookie values that remove the cookie and every chunk of it that the request brought.

    Chunks share path and domain, so what the request did not bring the browser does not have.
    """
    attributes = _attributes(settings, https=https)
    brought = _names(cookie_header, settings.name)
    return tuple(
        _expired(name, attributes)
        for name in chunk_names(settings.name)
        if name == settings.name or name in brought
    )


def without_cookies(cookie_header: str | None, names: Iterable[str]) -> str | None:
    """The Cookie header for the upstream without the cookies of these names; None when empty.

    Of a chunked cookie all names are to be given (`chunk_names`). All others stay byte for byte;
    beyond PIECES_LIMIT none does.
    """
    ours = frozenset(names)
    if cookie_header is not None and "," not in cookie_header:
        return _one_header_without(cookie_header, ours)
    if cookie_header is None or not any(name in cookie_header for name in ours):
        return cookie_header or None
    if cookie_header.count(";") + cookie_header.count(",") > PIECES_LIMIT:
        return None
    parts = _BOUNDARY.split(cookie_header)
    kept: list[str] = []
    removed = False
    for position in range(0, len(parts), 2):
        piece = parts[position]
        if _name(piece) in ours:
            removed = True
            continue
        if kept:
            # A comma beside one of ours joined two headers; one header has semicolons.
            kept += (";" if removed else parts[position - 1], piece)
        else:
            kept.append(piece.lstrip() if removed else piece)
        removed = False
    header = "".join(kept)
    return header if header.strip(" \t;,") else None


def _one_header_without(cookie_header: str, ours: frozenset[str]) -> str | None:
    """The same, where no comma joins two headers: most often, and ours are long."""
    pieces = cookie_header.split(";")
    if len(pieces) > PIECES_LIMIT + 1 and any(name in cookie_header for name in ours):
        return None
    left = [piece for piece in pieces if _name(piece) not in ours]
    if len(left) == len(pieces):
        return cookie_header or None
    if left and left[0] is not pieces[0]:
        left[0] = left[0].lstrip()
    header = ";".join(left)
    return header if header.strip(" \t;") else None


def _gateway_cookies(cookie_header: str | None, names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in _pieces(cookie_header, names[0]):
        name = _name(piece)
        if name in names:
            if name in found:
                raise CookieRepeated(name)
            found[name] = piece.partition("=")[2].strip()
    return found


def _names(cookie_header: str | None, name: str) -> frozenset[str]:
    return frozenset(_name(piece) for piece in _pieces(cookie_header, name))


def _pieces(cookie_header: str | None, name: str) -> list[str]:
    """All that may be the cookie of that name or a chunk of it, in their order."""
    if cookie_header is None or name not in cookie_header:
        return []
    return [piece for piece in cookie_header.replace(",", ";").split(";") if name in piece]


def _name(piece: str) -> str:
    # Any white space: upstreams differ in what they strip, so we take the widest view.
    return piece.partition("=")[0].strip()


def _check_value(value: str) -> None:
    if not _VALUE.fullmatch(value):
        raise ValueError("value: holds a character that no cookie may hold (RFC 6265 §4.1.1)")


def _attributes(settings: CookieSettings, *, https: bool) -> str:
    attributes = [f"Path={settings.path}"]
    if settings.domain is not None:
        attributes.append(f"Domain={settings.domain}")
    if settings.is_secure(https=https):
        attributes.append("Secure")
    if settings.http_only:
        attributes.append("HttpOnly")
    same_site = "Lax" if settings.same_site == "Default" else settings.same_site
    attributes.append(f"SameSite={same_site}")
    return "".join(f"; {attribute}" for attribute in attributes)


def _expired(name: str, attributes: str) -> str:
    return f"{name}=; Max-Age=0; Expires={_LONG_AGO}{attributes}"
