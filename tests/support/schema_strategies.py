"""Hypothesis strategies that follow a schema: values that its checks take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

from scopegate.entities.checking import check_value
from scopegate.entities.fields import Field

SAMPLES = (
    "a",
    "b-1",
    "name:bearer",
    "X-Mail",
    "/",
    "/a/b",
    "~/a/[0-9]+",
    "a.example",
    "*.a.example",
    "https://idp.example/a?b=c",
    "http://10.0.0.1:8080",
    "GET",
    "one two",
    "é,1",
    "x.y[1]",
    "00000000-0000-4000-8000-00000000000a",
)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Values that this field takes; never null, never an empty list or map."""
    return _candidates(field).filter(lambda value: check_value(field, value) is None)


def documents_of(fields: Mapping[str, Field]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields, with values that each takes."""
    usable = {
        name: field
        for name, field in fields.items()
        if field.supported and not field.auto and not field.must_be_null
    }
    return st.lists(st.sampled_from(sorted(usable)), max_size=6, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: values_of(usable[name]) for name in names})
    )


def as_form(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names and texts with which a form says the same."""
    return [pair for name, value in arguments.items() for pair in _pairs(name, value)]


def _candidates(field: Field) -> st.SearchStrategy[Any]:
    choices = field.supported_values or field.one_of
    if choices:
        return st.sampled_from(choices)
    match field.type:
        case "boolean":
            return st.booleans()
        case "integer":
            low, high = field.between or (-(2**40), 2**40)
            return st.integers(low, high)
        case "number":
            low, high = field.between or (0, 2**31)
            return st.integers(low, high) | st.floats(low, high).filter(
                lambda number: not number.is_integer()
            )
        case "array" | "set" if field.elements is not None:
            return st.lists(values_of(field.elements), min_size=1, max_size=3, unique_by=repr)
        case "map" if field.keys is not None and field.values is not None:
            keys = st.sampled_from(["x-a", "X_B", "c"])
            return st.dictionaries(keys, values_of(field.values), min_size=1, max_size=2)
        case "record":
            return st.fixed_dictionaries(
                {name: values_of(part) for name, part in field.fields.items() if part.required}
            )
        case "foreign":
            return st.sampled_from([{"id": SAMPLES[-1]}])
    return st.sampled_from([sample for sample in SAMPLES if check_value(field, sample) is None])


def _pairs(name: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case dict():
            for part, inner in value.items():
                yield from _pairs(f"{name}[{part}]", inner)
        case list():
            for number, member in enumerate(value, start=1):
                yield from _pairs(f"{name}[{number}]", member)
        case bool():
            yield name, "true" if value else "false"
        case _:
            yield name, str(value)
