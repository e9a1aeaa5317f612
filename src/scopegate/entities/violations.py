"""What a document breaks: errors by field, and the one sentence that Kong makes of them.

Errors are nested as the document is: field → text, or field → errors of its parts. Parts of a list
are numbered from 1, errors of the whole stand in a list under "@entity".
Source: contract admin-api.md §2 (error body) and §7 (index from 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

ENTITY = "@entity"

REQUIRED = "required field missing"
UNKNOWN = "unknown field"
NOT_SUPPORTED = "not supported yet"

Errors = dict[str | int, Any]


class SchemaViolation(Exception):
    """A document that its schema refuses. Kong's code 2."""

    def __init__(self, errors: Errors) -> None:
        super().__init__(violation_message(errors))
        self.errors = errors

    @property
    def message(self) -> str:
        """`schema violation (f: err)`, or `2 schema violations (a: e; b: e)`."""
        return violation_message(self.errors)


def violation_message(errors: Errors) -> str:
    """The sentence for these errors: those of the whole first, then by field name."""
    texts = list(_texts(errors, ""))
    if len(texts) == 1:
        return f"schema violation ({texts[0]})"
    return f"{len(texts)} schema violations ({'; '.join(texts)})"


def add_entity_error(errors: Errors, text: str) -> None:
    """Note an error of the whole."""
    errors.setdefault(ENTITY, []).append(text)


def errors_as_json(errors: Errors) -> Any:
    """The errors as the answer shows them: numbered parts become a list with null for the good."""
    if errors and all(isinstance(part, int) for part in errors):
        numbered = {int(part): error for part, error in errors.items()}
        return [_error_as_json(numbered.get(n)) for n in range(1, max(numbered) + 1)]
    return {str(part): _error_as_json(error) for part, error in errors.items()}


def _error_as_json(error: Any) -> Any:
    return errors_as_json(error) if isinstance(error, dict) else error


def _texts(errors: Errors, path: str) -> Iterator[str]:
    for text in errors.get(ENTITY, ()):
        yield f"{path}: {text}" if path else text
    parts = [part for part in errors if part != ENTITY]
    for part in sorted(parts, key=lambda part: (isinstance(part, str), part)):
        error, name = errors[part], f"{path}.{part}" if path else str(part)
        if isinstance(error, dict):
            yield from _texts(error, name)
        else:
            yield f"{name}: {error}"
