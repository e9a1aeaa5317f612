"""What the compiler reads of a document."""

from __future__ import annotations

from typing import Any

import pytest

from scopegate.entities.routes import ROUTES
from scopegate.entities.services import SERVICES
from scopegate.entities.snapshot import Route, Service

from .conftest import post

SENT = {"services": {"host": "a.example"}, "routes": {"paths": ["/a"]}}
TYPES: dict[str, Any] = {"services": Service, "routes": Route}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (schema.kind, name)
        for schema in (SERVICES, ROUTES)
        for name, field in schema.fields.items()
        if field.default is not None and not field.required
    ],
)
def test_null_counts_as_the_default_where_there_is_one(kind: str, name: str) -> None:
    typed = TYPES[kind].from_document(post(kind, SENT[kind]))
    assert TYPES[kind].from_document(post(kind, {**SENT[kind], name: None})) == typed
