"""Fields: the one description from which checks, defaults, form inference and `/schemas` come.

Make them with the functions below (`string`, `array`, `record` …), which are named as Kong names
its types; `set_of` and `map_of` differ because Python has a `set` and a `map`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from scopegate.entities.rules import Rule

if TYPE_CHECKING:
    from scopegate.entities.entity_checks import EntityCheck

FieldType = Literal[
    "string", "number", "integer", "boolean", "array", "set", "map", "record", "foreign"
]

VALUE_MUST_BE_NULL = "value must be null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a document, or the members of a list or map.

    default           given when the field is absent; None: there is none
    required          null is refused; an absent record is filled with its own defaults
    auto              made when absent: an id, a time, or 32 random characters
    between           inclusive
    len_min           least length; a string has at least one character unless this says 0
    must_be_null      no value is allowed, and this is the text that says so
    reference         of a foreign field: the kind of entity whose id it holds
    on_delete         of a foreign field: "cascade", or None where Kong restricts
    abstract          of a record: its fields depend on another field (a plugin's `config`)
    referenceable     Kong would take a `{vault://…}` here
    encrypted         a secret: never shown in an error

    supported         False: refused unless null or the default
    supported_values  of the allowed values those that work; None: all
    limits            what of this field does not work yet, for the reference page
    """

    type: FieldType
    description: str = ""
    required: bool = False
    default: Any = None
    auto: bool = False
    unique: bool = False
    uuid: bool = False
    timestamp: bool = False
    one_of: tuple[Any, ...] = ()
    between: tuple[int, int] | None = None
    len_min: int | None = None
    must_be_null: str | None = None
    rules: tuple[Rule, ...] = ()
    elements: Field | None = None
    keys: Field | None = None
    values: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=lambda: MappingProxyType({}))
    shorthands: Mapping[str, Shorthand] = field(default_factory=lambda: MappingProxyType({}))
    checks: tuple[EntityCheck, ...] = ()
    abstract: bool = False
    reference: str | None = None
    on_delete: Literal["cascade"] | None = None
    referenceable: bool = False
    encrypted: bool = False
    supported: bool = True
    supported_values: tuple[Any, ...] | None = None
    limits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shorthand:
    """Another name under which a value may be sent; it is stored under its proper name.

    field         type and rules of the value
    expand        value → fields that it stands for; None stands for null. Raises ValueError with
                  what is wrong
    replaced_with path of the field that has taken its place, when the name is deprecated: that
                  field then wins, and both with different values are refused
    collapse      the record → the value to show on read; None: it is not shown
    message       for a deprecated name: what to use
    """

    field: Field
    expand: Callable[[Any], Mapping[str, Any]]
    replaced_with: tuple[str, ...] = ()
    collapse: Callable[[Mapping[str, Any]], Any] | None = None
    message: str = ""


def string(**attributes: Any) -> Field:
    """A text, not empty."""
    return Field(type="string", **attributes)


def integer(**attributes: Any) -> Field:
    """A whole number."""
    return Field(type="integer", **attributes)


def number(**attributes: Any) -> Field:
    """Any finite number."""
    return Field(type="number", **attributes)


def boolean(**attributes: Any) -> Field:
    """True or false."""
    return Field(type="boolean", **attributes)


def array(elements: Field, **attributes: Any) -> Field:
    """A list."""
    return Field(type="array", elements=elements, **attributes)


def set_of(elements: Field, **attributes: Any) -> Field:
    """A list in which no member stands twice."""
    return Field(type="set", elements=elements, **attributes)


def map_of(keys: Field, values: Field, **attributes: Any) -> Field:
    """Names that the client chooses, with values."""
    return Field(type="map", keys=keys, values=values, **attributes)


def record(fields: Mapping[str, Field], **attributes: Any) -> Field:
    """Named fields."""
    return Field(type="record", fields=MappingProxyType(dict(fields)), **attributes)


def foreign(reference: str, **attributes: Any) -> Field:
    """The id of an entity of kind `reference`, as `{"id": …}`."""
    return Field(type="foreign", reference=reference, **attributes)
