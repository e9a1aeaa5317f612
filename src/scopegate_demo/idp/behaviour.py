"""What the provider is to do wrong. Everything empty: a well-behaved provider.

    idp.behaviour.id_token.set["nonce"] = "somebody else's"
    idp.behaviour.faults["token"] = Fault(status=500, times=2)

The same shape as JSON goes to the control interface (`--misbehave`), see `control.py`.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import StrEnum
from typing import Any, get_type_hints

from scopegate_demo.idp.signing import Signature

Json = Any  # JSON-shaped data

ENDPOINTS = (
    "discovery",
    "jwks",
    "authorization",
    "login",
    "token",
    "userinfo",
    "introspection",
    "revocation",
    "end_session",
)


class BehaviourInvalid(ValueError):
    """The description of a behaviour is wrong; the text names the field."""


@dataclass
class Edit:
    """Members to set, and members to leave out, once everything else is done."""

    set: dict[str, Json] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)

    def apply(self, document: Mapping[str, Json]) -> dict[str, Json]:
        edited = {**document, **self.set}
        return {name: value for name, value in edited.items() if name not in self.without}


@dataclass
class TokenEdit(Edit):
    """Claims to set or leave out, header parameters likewise, and how it is signed."""

    header: Edit = field(default_factory=Edit)
    signature: Signature = Signature.RIGHT


@dataclass
class JwksEdit:
    """The key set.

    repeated_kid   a foreign key stands first, under the active key's `kid`
    without_kid    no key has a `kid`
    extra          more JWKs, before the others
    """

    repeated_kid: bool = False
    without_kid: bool = False
    extra: list[dict[str, Json]] = field(default_factory=list)


@dataclass
class Fault:
    """What an endpoint does instead of answering well.

    delay_s         wait first
    hang            never answer
    disconnect      close the connection without an answer
    status, body    answer so without doing anything; one of them suffices
    padding_bytes   blanks after the answer's body, to make it huge
    times           so many requests, then the endpoint is well again; None: until told otherwise
    """

    delay_s: float = 0.0
    hang: bool = False
    disconnect: bool = False
    status: int | None = None
    body: str | None = None
    content_type: str = "application/json"
    padding_bytes: int = 0
    times: int | None = None


@dataclass
class Behaviour:
    """All that can be wrong.

    faults                   by endpoint, see ENDPOINTS
    discovery, jwks          the two documents
    callback                 parameters of the answer to the authorization request; set `error` and
                             leave out `code` for an error
    token_answer             members of the token endpoint's answer
    userinfo, introspection  members of these answers
    id_token, access_token   tokens of the token endpoint
    refreshed_…              tokens of the refresh grant; None: as `id_token`, `access_token`
    refuse_refresh           `invalid_grant` for every refresh token
    """

    faults: dict[str, Fault] = field(default_factory=dict)
    discovery: Edit = field(default_factory=Edit)
    jwks: JwksEdit = field(default_factory=JwksEdit)
    callback: Edit = field(default_factory=Edit)
    token_answer: Edit = field(default_factory=Edit)
    userinfo: Edit = field(default_factory=Edit)
    introspection: Edit = field(default_factory=Edit)
    id_token: TokenEdit = field(default_factory=TokenEdit)
    access_token: TokenEdit = field(default_factory=TokenEdit)
    refreshed_id_token: TokenEdit | None = None
    refreshed_access_token: TokenEdit | None = None
    refuse_refresh: bool = False

    @classmethod
    def from_json(cls, document: Json) -> Behaviour:
        """Raises BehaviourInvalid, which names the field."""
        behaviour: Behaviour = _read(cls, document, "behaviour")
        for endpoint in behaviour.faults:
            if endpoint not in ENDPOINTS:
                raise BehaviourInvalid(
                    f"behaviour.faults.{endpoint}: no such endpoint; there are "
                    + ", ".join(ENDPOINTS)
                )
        return behaviour


def _read(wanted: Any, value: Json, where: str) -> Any:
    """`value` as the annotated type `wanted`, strictly."""
    origin, parameters = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is types.UnionType:
        (wanted,) = (each for each in parameters if each is not types.NoneType)
        return None if value is None else _read(wanted, value, where)
    if wanted is Any:
        return value
    if is_dataclass(wanted) and isinstance(wanted, type):
        return _read_dataclass(wanted, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _read(parameters[1], each, f"{where}.{key}") for key, each in value.items()}
    if origin is list and isinstance(value, list):
        return [_read(parameters[0], each, f"{where}[{i}]") for i, each in enumerate(value)]
    return _read_scalar(origin or wanted, value, where)


def _read_dataclass(wanted: type, value: Json, where: str) -> Any:
    if not isinstance(value, dict):
        raise BehaviourInvalid(f"{where}: expected an object")
    hints = get_type_hints(wanted)
    names = [each.name for each in fields(wanted)]
    for name in value:
        if name not in names:
            raise BehaviourInvalid(f"{where}.{name}: no such field; there are {', '.join(names)}")
    return wanted(
        **{name: _read(hints[name], each, f"{where}.{name}") for name, each in value.items()}
    )


def _read_scalar(wanted: type, value: Json, where: str) -> Any:
    if issubclass(wanted, StrEnum):
        if value not in list(wanted):
            raise BehaviourInvalid(f"{where}: expected one of {', '.join(wanted)}")
        return wanted(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise BehaviourInvalid(f"{where}: expected {_JSON_NAMES[wanted]}")
    return value


_JSON_NAMES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "an object",
    list: "a list",
}
