"""Rules over several fields of one document, in Kong's words.

A check adds what it finds to `errors`. Source: contract admin-api.md §2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from scopegate.entities.rules import quoted
from scopegate.entities.violations import Errors, add_entity_error

Document = Mapping[str, Any]


class EntityCheck(Protocol):
    """Something that must hold between fields."""

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        """Add to `errors` what does not hold; `updating` (PATCH) changes the words."""
        ...

    def describe(self) -> dict[str, Any]:
        """As Kong's schemas show it."""
        ...


@dataclass(frozen=True, slots=True)
class AtLeastOneOf:
    """One of the fields is not empty."""

    names: tuple[str, ...]

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        if not any(is_filled(document.get(name)) for name in self.names):
            add_entity_error(errors, _none_filled(self.names, updating))

    def describe(self) -> dict[str, Any]:
        return {"at_least_one_of": list(self.names)}


@dataclass(frozen=True, slots=True)
class NullUnless:
    """`then_field` is null unless `if_field` has one of the `values`."""

    then_field: str
    if_field: str
    values: tuple[str, ...]

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        value = document.get(self.if_field)
        if not isinstance(value, str) or value in self.values:
            return
        if document.get(self.then_field) is None:
            return
        errors.setdefault(self.then_field, "value must be null")
        add_entity_error(
            errors, f"failed conditional validation given value of field '{self.if_field}'"
        )

    def describe(self) -> dict[str, Any]:
        return {
            "conditional": {
                "if_field": self.if_field,
                "if_match": {"not_one_of": list(self.values)},
                "then_field": self.then_field,
                "then_match": {"eq": None},
            }
        }


@dataclass(frozen=True, slots=True)
class EmptyUnless:
    """`then_field` is empty unless the list in `if_field` has one of the `members`."""

    then_field: str
    if_field: str
    members: tuple[str, ...]
    err: str

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        listed = document.get(self.if_field)
        if not isinstance(listed, list) or any(member in self.members for member in listed):
            return
        if is_filled(document.get(self.then_field)):
            errors.setdefault(self.then_field, "length must be 0")
            add_entity_error(errors, self.err)

    def describe(self) -> dict[str, Any]:
        elements = {"type": "string", "not_one_of": list(self.members)}
        return {
            "conditional": {
                "if_field": self.if_field,
                "if_match": {"elements": elements},
                "then_field": self.then_field,
                "then_match": {"len_eq": 0},
                "then_err": self.err,
            }
        }


@dataclass(frozen=True, slots=True)
class OneOfGivenMember:
    """The list in `if_field` decides which fields must not all be empty.

    cases   (member, names): the first member that is in the list decides
    err     with a place for the quoted names and one for the member
    """

    if_field: str
    cases: tuple[tuple[str, tuple[str, ...]], ...]
    err: str

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        listed = document.get(self.if_field)
        if not isinstance(listed, list):
            return
        for member, names in self.cases:
            if member in listed:
                if not any(is_filled(document.get(name)) for name in names):
                    add_entity_error(errors, self.err.format(quoted(names), member))
                return

    def describe(self) -> dict[str, Any]:
        (member, names), *others = self.cases
        conditional: dict[str, Any] = {
            "if_field": self.if_field,
            "if_match": {"contains": member},
            "then_at_least_one_of": list(names),
            "then_err": self.err.format("%s", member),
        }
        for other, other_names in others:
            conditional["else_match"] = {"contains": other}
            conditional["else_then_at_least_one_of"] = list(other_names)
            conditional["else_then_err"] = self.err.format("%s", other)
        return {"conditional_at_least_one_of": conditional}


@dataclass(frozen=True, slots=True)
class Holds:
    """What no other check can say: `fault` returns (field, text) for each thing that is wrong.

    It sees only documents whose `fields` are well-formed on their own.
    """

    fields: tuple[str, ...]
    fault: Callable[[Document], Mapping[str, str]]

    def check(self, document: Document, errors: Errors, *, updating: bool) -> None:
        if not any(name in errors for name in self.fields):
            for name, text in self.fault(document).items():
                errors.setdefault(name, text)

    def describe(self) -> dict[str, Any]:
        return {"custom_entity_check": {"field_sources": list(self.fields)}}


def is_filled(value: Any) -> bool:
    """Neither null nor an empty text, list or map."""
    return value is not None and value not in ("", [], {})


def _none_filled(names: tuple[str, ...], updating: bool) -> str:
    text = f"at least one of these fields must be non-empty: {quoted(names)}"
    return f"when updating, {text}" if updating else text
