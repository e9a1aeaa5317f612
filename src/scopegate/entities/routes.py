"""Routes: which requests go to a service. Source: contract admin-api.md §2, §3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.entities.common_fields import (
    PROTOCOLS,
    created_at,
    header_name_fault,
    identifier,
    protocol,
    tags,
    unique_name,
    updated_at,
)
from scopegate.entities.entity_checks import EmptyUnless, OneOfGivenMember
from scopegate.entities.fields import (
    Field,
    array,
    boolean,
    foreign,
    integer,
    map_of,
    record,
    set_of,
    string,
)
from scopegate.entities.hosts import route_host_fault, sni_fault
from scopegate.entities.paths import route_path_fault
from scopegate.entities.regexes import regex_fault
from scopegate.entities.rules import (
    ExclusiveSubsets,
    Match,
    MatchAny,
    MatchNone,
    Must,
    NotEqual,
    control_character_fault,
)
from scopegate.entities.schema import EntitySchema, Variant
from scopegate.entities.violations import REQUIRED, SchemaViolation

GRPC = ("grpc", "grpcs")


def header_value_fault(value: str) -> str | None:
    """A header's value, or `~*` and a regular expression."""
    if value.startswith("~*"):
        fault = regex_fault(value[2:])
        return None if fault is None else f"invalid regex: '{value[2:]}' ({fault})"
    return control_character_fault(value)


def _addresses(description: str) -> Field:
    return set_of(
        record({"ip": string(), "port": integer(between=(0, 65535))}),
        description=description,
        supported=False,
    )


def _not_with_grpc(name: str) -> str:
    return f"cannot set '{name}' when 'protocols' is 'grpc' or 'grpcs'"


_FIELDS: dict[str, Field] = {
    "id": identifier(),
    "created_at": created_at(),
    "updated_at": updated_at(),
    "name": unique_name("The route's name."),
    "protocols": set_of(
        protocol(),
        description="Which protocols it takes.",
        required=True,
        default=["http", "https"],
        len_min=1,
        rules=(
            ExclusiveSubsets(
                (
                    ("http", "https"),
                    ("tcp", "tls", "udp"),
                    ("tls_passthrough",),
                    ("grpc", "grpcs"),
                    ("ws", "wss"),
                )
            ),
        ),
    ),
    "https_redirect_status_code": integer(
        description="What plain HTTP gets on a route that only takes HTTPS.",
        required=True,
        default=426,
        one_of=(426, 301, 302, 307, 308),
    ),
    "strip_path": boolean(
        description="Whether the part of the path that matched is taken off.",
        required=True,
        default=True,
    ),
    "preserve_host": boolean(
        description="Whether the upstream sees the client's Host header.",
        required=True,
        default=False,
    ),
    "request_buffering": boolean(
        description="Whether the request is read whole before it goes on.",
        required=True,
        default=True,
    ),
    "response_buffering": boolean(
        description="Whether the answer is read whole before it goes on.",
        required=True,
        default=True,
    ),
    "tags": tags(),
    "service": foreign("services", description="Where its requests go."),
    "snis": set_of(
        string(description="A server name.", rules=(Must(sni_fault),)),
        description="Server names of TLS that match.",
    ),
    "sources": _addresses("Client addresses that match."),
    "destinations": _addresses("Listener addresses that match."),
    "methods": set_of(
        string(description="A method in capitals.", rules=(Match("^[A-Z]+\\Z"),)),
        description="Methods that match.",
    ),
    "hosts": array(
        string(
            description="A host; one `*` may stand for its first or last labels.",
            rules=(
                MatchNone(r"\*.*\*", "invalid wildcard: must have at most one wildcard"),
                MatchAny(
                    (r"^\*\.", r"\.\*\Z", r"^[^*]*\Z"),
                    "invalid wildcard: must be placed at leftmost or rightmost label",
                ),
                Must(route_host_fault),
            ),
        ),
        description="Hosts that match.",
    ),
    "paths": array(
        string(
            description="A beginning of paths, or `~` and a regular expression.",
            rules=(
                MatchNone("//", "must not have empty segments"),
                MatchAny(("^/", "^~/"), "should start with: / (fixed path) or ~/ (regex path)"),
                Must(route_path_fault),
            ),
        ),
        description="Paths that match.",
    ),
    "headers": map_of(
        string(
            rules=(
                MatchNone(
                    "^[Hh][Oo][Ss][Tt]\\Z",
                    "cannot contain 'host' header, which must be specified in the 'hosts' "
                    "attribute",
                ),
                Must(header_name_fault),
            )
        ),
        array(string(rules=(Must(header_value_fault),)), len_min=1),
        description="Headers that match: one of the values; `~*` begins a regular expression.",
    ),
    "regex_priority": integer(
        description="Which of several regular expressions that match goes first: the larger.",
        default=0,
    ),
    "path_handling": string(
        description="How the paths of service, route and request are joined.",
        default="v0",
        one_of=("v0", "v1"),
        supported_values=("v0",),
        limits="v1 is refused",
    ),
}

_HTTP = Variant(
    {},
    (
        OneOfGivenMember(
            "protocols",
            (
                ("https", ("methods", "hosts", "headers", "paths", "snis")),
                ("http", ("methods", "hosts", "headers", "paths")),
            ),
            "must set one of {} when 'protocols' is '{}'",
        ),
    ),
)

_GRPC = Variant(
    {
        "strip_path": boolean(
            description="Never with gRPC.",
            required=True,
            default=False,
            rules=(NotEqual(True, _not_with_grpc("strip_path")),),
        ),
        "methods": set_of(string(), must_be_null=_not_with_grpc("methods")),
    },
    (
        OneOfGivenMember(
            "protocols",
            (
                ("grpcs", ("hosts", "headers", "paths", "snis")),
                ("grpc", ("hosts", "headers", "paths")),
            ),
            "must set one of {} when 'protocols' is '{}'",
        ),
    ),
)


def _variant(document: Mapping[str, Any]) -> Variant:
    """By the first protocol that is known, as Kong does."""
    protocols = document.get("protocols", _FIELDS["protocols"].default)
    if protocols is None:
        raise SchemaViolation({"protocols": REQUIRED})
    listed = protocols if isinstance(protocols, list) else [protocols]
    for name in listed:
        if name in PROTOCOLS:
            return _GRPC if name in GRPC else _HTTP
    if listed and isinstance(listed[0], str):
        raise SchemaViolation({"protocols": f"unknown type: {listed[0]}"})
    return _HTTP


ROUTES = EntitySchema(
    kind="routes",
    endpoint_key="name",
    fields=_FIELDS,
    checks=(
        EmptyUnless(
            "snis",
            "protocols",
            ("grpcs", "https", "tls", "tls_passthrough", "wss"),
            "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or "
            "'tls_passthrough'",
        ),
    ),
    variant=_variant,
)
