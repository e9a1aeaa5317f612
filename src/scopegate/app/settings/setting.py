"""What a setting is, and how values that need their surroundings are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scopegate.app.settings import values

Section = Literal["general", "proxy", "admin and status", "datastore", "tls", "logs"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the meaning of a value depends on: working folder, prefix, processor cores."""

    folder: Path
    prefix: Path
    cores: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    default   the text that stands for it when nobody sets it; "" means not set
    kind      what values it takes, for the reference page
    meaning   what it does, in Markdown
    parse     text → value; raises ValueError with what would be right
    kongs     the name is Kong's (False: Kong has no such setting)
    """

    name: str
    section: Section
    default: str
    kind: str
    meaning: str
    example: str
    parse: Callable[[str, Surroundings], Any]
    kongs: bool = True


def plain(parse: Callable[[str], Any]) -> Callable[[str, Surroundings], Any]:
    """A value that depends on nothing around it."""
    return lambda text, _: parse(text)


def auto(
    automatic: Callable[[int], int], parse: Callable[[str], int]
) -> Callable[[str, Surroundings], int]:
    """A number, or `auto`."""

    def either(text: str, around: Surroundings) -> int:
        if text == "auto":
            return automatic(around.cores)
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or auto") from None

    return either


def optional_path(text: str, around: Surroundings) -> Path | None:
    """A path, or None for nothing."""
    return values.path_in(around.folder)(text) if text else None


def access_log(text: str, around: Surroundings) -> Path | None:
    """A path, or None for `off`."""
    return None if text == "off" else values.path_in(around.prefix)(text)


def trusted_certificate(text: str, around: Surroundings) -> Path | None:
    """A path, or None for `system`."""
    if "," in text:
        raise ValueError("a list is not supported yet; it should be system or the path of one file")
    return None if text == "system" else values.path_in(around.folder)(text)


def one_file(text: str, around: Surroundings) -> Path | None:
    """The path of one PEM file, or None for nothing."""
    if "," in text:
        raise ValueError("a list is not supported yet; it should be the path of one PEM file")
    if text.startswith("-----BEGIN"):
        raise ValueError("a certificate in place is not supported yet; it should be a path")
    return optional_path(text, around)
