"""Names and texts of forms and queries, nested as their names say.

`config.a.b=x`, `config[a][b]=x`, `a[]=x`, `a[1]=x` (from 1), `a[1].b=x`, and `a=` again and again.
Texts are never split. Source: contract admin-api.md §2 (request parsing).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from scopegate.admin.errors import refusal

ARGUMENT_LIMIT = 1000
NAME_LIMIT_CHARACTERS = 1024
DEPTH_LIMIT = 16
"""Steps in one name; no field lies deeper."""

_NAME = re.compile(r"(?P<first>[^.\[]+|\[[^\]]*\])(?P<rest>(?:\.[^.\[\]]+|\[[^\]]*\])*)")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([^\]]*)\]")
_ENCODED_BRACKETS = re.compile(r"%5B([^%]*)%5D", re.IGNORECASE)

Step = str | int | None  # a name, a place from 1, or the next place


def parse_arguments(text: str, *, maps: bool = True) -> dict[str, Any]:
    """A query or an urlencoded body. `maps` False: `a[b]` is a plain name, as Kong has it for GET.

    Raises AdminError (400).
    """
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=ARGUMENT_LIMIT
        )
    except UnicodeDecodeError:
        raise refusal(400, "arguments must be UTF-8") from None
    except ValueError:
        raise refusal(400, "Too many arguments") from None
    return nest(pairs, maps=maps)


def nest(pairs: Iterable[tuple[str, str]], *, maps: bool = True) -> dict[str, Any]:
    """Lists and dicts of texts from names with steps. Raises AdminError (400)."""
    root = _Node()
    for name, text in pairs:
        node = root
        for step in _steps(name, maps):
            node = node.child(step)
        node.texts.append(text)
    return {str(name): node.value(str(name)) for name, node in root.children.items()}


class _Node:
    """What stands under one name so far: texts, and what stands below it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.children: dict[str | int, _Node] = {}

    def child(self, step: Step) -> _Node:
        if step is None:
            step = 1 + max((place for place in self.children if isinstance(place, int)), default=0)
        return self.children.setdefault(step, _Node())

    def value(self, name: str) -> Any:
        if not self.children:
            return self.texts[0] if len(self.texts) == 1 else self.texts
        below = {step: node.value(f"{name}.{step}") for step, node in self.children.items()}
        if set(below) == set(range(1, len(below) + 1)):
            return [*self.texts, *(below[place] for place in range(1, len(below) + 1))]
        if self.texts:
            raise refusal(400, f"argument '{name}' has both a value and parts")
        return {str(step): value for step, value in below.items()}


def _steps(name: str, maps: bool) -> list[Step]:
    if len(name) > NAME_LIMIT_CHARACTERS:
        raise refusal(400, f"an argument's name is longer than {NAME_LIMIT_CHARACTERS} characters")
    name = _ENCODED_BRACKETS.sub(r"[\1]", name)
    found = _NAME.fullmatch(name)
    if not found:
        return [name]
    steps: list[Step] = [found["first"]]
    for dotted, bracketed in _STEP.findall(found["rest"]):
        step = dotted or _bracketed(bracketed)
        if isinstance(step, str) and not dotted and not maps:
            return [name]
        steps.append(step)
    if len(steps) > DEPTH_LIMIT:
        raise refusal(400, "an argument's name has too many steps")
    return steps


def _bracketed(text: str) -> Step:
    if not text:
        return None
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) else text
