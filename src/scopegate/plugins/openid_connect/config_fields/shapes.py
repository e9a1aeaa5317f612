"""Shapes that many fields have.

A field with a default refuses null: a gateway that reads null for `verify_signature` must not have
to guess. Where null has a meaning of its own, `nullable=True` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scopegate.entities.common_fields import header_name_fault
from scopegate.entities.fields import Field, array, boolean, integer, number, record, string
from scopegate.entities.rules import Must, Rule, control_character_fault
from scopegate.entities.urls import http_url_fault, redirect_url_fault
from scopegate.plugins.lowering import is_reserved_header

LIMIT = 2**31 - 2
"""Kong's largest number of seconds or milliseconds."""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under one heading of the reference page."""

    title: str
    fields: Mapping[str, Field]


def later(field: Field, limits: str = "") -> Field:
    """A field whose feature is not built: only its default is accepted."""
    return replace(
        field, supported=False, required=field.type == "record" and field.required, limits=limits
    )


def text(meaning: str, default: str | None = None, *rules: Rule, **more: Any) -> Field:
    """A text without control characters."""
    return string(**_common(meaning, default, (Must(control_character_fault), *rules), more))


def secret_text(meaning: str) -> Field:
    """A secret, which Kong would keep encrypted and take from a vault."""
    return text(meaning, encrypted=True, referenceable=True)


def flag(meaning: str, default: bool | None = None, **more: Any) -> Field:
    """True or false."""
    return boolean(**_common(meaning, default, (), more))


def amount(
    meaning: str, default: float | None = None, between: tuple[int, int] = (0, LIMIT), **more: Any
) -> Field:
    """A number, 0 or more."""
    return number(between=between, **_common(meaning, default, (), more))


def whole(
    meaning: str, default: int | None = None, between: tuple[int, int] | None = None, **more: Any
) -> Field:
    """A whole number."""
    return integer(between=between, **_common(meaning, default, (), more))


def choice(meaning: str, options: Sequence[Any], default: str | None = None, **more: Any) -> Field:
    """One of a few texts."""
    return string(one_of=tuple(options), **_common(meaning, default, (), more))


def texts(meaning: str, default: Sequence[str] | None = None, *rules: Rule, **more: Any) -> Field:
    """A list of texts; the rules are for each of them, `referenceable` too."""
    element = text("", None, *rules, referenceable=more.pop("referenceable", False))
    return array(element, **_common(meaning, default, (), more))


def choices(
    meaning: str, options: Sequence[str], default: Sequence[str] | None = None, **more: Any
) -> Field:
    """A list of some of a few texts. `works`: those that work, when not all do."""
    works = more.pop("works", None)
    element = string(one_of=tuple(options), supported_values=works)
    return array(element, **_common(meaning, default, (), more))


def url(meaning: str, **more: Any) -> Field:
    """An absolute http or https URL."""
    return text(meaning, None, Must(http_url_fault), **more)


def urls(meaning: str, **more: Any) -> Field:
    """A list of absolute http or https URLs."""
    return texts(meaning, None, Must(http_url_fault), **more)


def redirect_urls(meaning: str, **more: Any) -> Field:
    """A list of URLs that browsers are sent to, one for each client."""
    return texts(meaning, None, Must(redirect_url_fault), **more)


def header_name(meaning: str, **more: Any) -> Field:
    """The name of a header."""
    return text(meaning, None, Must(carried_header_fault), **more)


def header_names(meaning: str, **more: Any) -> Field:
    """A list of names of headers."""
    return texts(meaning, None, Must(carried_header_fault), **more)


def token_header(meaning: str, default: str | None = None, **more: Any) -> Field:
    """`name` or `name:bearer`. Null sends nothing."""
    more.setdefault("nullable", True)
    return text(meaning, default, Must(token_header_fault), **more)


def cookie_name(meaning: str, default: str | None = None, **more: Any) -> Field:
    """The name of a cookie."""
    return text(meaning, default, Must(cookie_name_fault), **more)


def claim_path(meaning: str, default: Sequence[str] | None = None, **more: Any) -> Field:
    """The names that lead to a claim."""
    return texts(meaning, default, len_min=1, **more)


def claim_headers(meaning: str, **more: Any) -> Field:
    """A list of headers with the paths of the claims that go into them."""
    entry = record(
        {
            "header": text("The header's name.", None, Must(carried_header_fault), required=True),
            "path": texts("The path of the claim.", required=True, len_min=1),
        }
    )
    return array(entry, **_common(meaning, None, (), more))


def carried_header_fault(name: str) -> str | None:
    """A header that may carry a value of ours."""
    fault = header_name_fault(name)
    if fault is None and is_reserved_header(name):
        return f"'{name}' belongs to the message or the gateway itself and cannot be set"
    return fault


def token_header_fault(value: str) -> str | None:
    """`name` or `name:bearer`."""
    name, colon, kind = value.partition(":")
    if colon and kind.lower() != "bearer":
        return "should be a header name, or a header name followed by ':bearer'"
    return carried_header_fault(name)


def cookie_name_fault(name: str) -> str | None:
    """A token of RFC 9110 §5.6.2, as RFC 6265 §4.1.1 asks for."""
    if re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name):
        return None
    return "should be a cookie name: letters, digits and !#$%&'*+-.^_`|~"


def cookie_path_fault(path: str) -> str | None:
    """A path that can stand in Set-Cookie. Source: RFC 6265 §4.1.1."""
    if re.fullmatch(r"/[\x21-\x3a\x3c-\x7e]*", path):
        return None
    return "should be a path that starts with / and has no ';' and no blanks"


def cookie_domain_fault(domain: str) -> str | None:
    """A host name, perhaps with a leading dot. Source: RFC 6265 §4.1.2.3."""
    if re.fullmatch(r"\.?[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*", domain):
        return None
    return "should be a domain name"


def _common(
    meaning: str, default: Any, rules: tuple[Rule, ...], more: dict[str, Any]
) -> dict[str, Any]:
    nullable = more.pop("nullable", False)
    works = more.pop("works", None)
    attributes = {
        "description": meaning,
        "default": list(default) if isinstance(default, tuple) else default,
        "rules": rules,
        "supported_values": works,
        "required": default is not None and not nullable,
    }
    return {**attributes, **more}
