"""Refusals as Kong words them: a status and `{code, name, message, fields}`.

What is wrong with a document (an unknown field, a missing one, another type) is found in
`entities/checking.py`. The words `unknown field`, and the sentence that is made of all faults, are
in `entities/violations.py`.

Source: contract admin-api.md §2 (error body).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scopegate.admin.lua_text import lua_text
from scopegate.entities.violations import SchemaViolation, errors_as_json
from scopegate.store.protocol import (
    ForeignKeyViolation,
    PrimaryKeyViolation,
    StillReferenced,
    UniqueViolation,
)

NOT_FOUND = "Not found"
METHOD_NOT_ALLOWED = "Method not allowed"
UNEXPECTED = "An unexpected error occurred"


class AdminError(Exception):
    """The request gets this status and this JSON body; None is an empty body."""

    def __init__(self, status: int, body: Mapping[str, Any] | None) -> None:
        super().__init__(f"{status}: {(body or {}).get('message', '')}")
        self.status = status
        self.body = body


def refusal(status: int, message: str) -> AdminError:
    """A refusal that is only a message."""
    return AdminError(status, {"message": message})


def not_found() -> AdminError:
    """404 for an entity or a path."""
    return refusal(404, NOT_FOUND)


def schema_refusal(violation: SchemaViolation) -> AdminError:
    """Code 2: the document breaks its schema."""
    fields = errors_as_json(violation.errors)
    return _kong(400, 2, "schema violation", violation.message, fields=fields)


def missing_entity(key: Mapping[str, str]) -> AdminError:
    """Code 6: what PATCH should change is not there."""
    what = "primary key " if "id" in key else ""
    message = f"could not find the entity with {what}'{lua_text(key)}'"
    return _kong(404, 6, "not found", message, fields=dict(key))


def bad_offset(offset: str, why: str) -> AdminError:
    """Code 7."""
    return _kong(400, 7, "invalid offset", f"'{offset}' is not a valid offset: {why}")


def bad_size(message: str) -> AdminError:
    """Code 9."""
    return _kong(400, 9, "invalid size", message)


def bad_key(field: str, fault: Any) -> AdminError:
    """Code 10: the path names an entity by something that cannot be a name."""
    return _kong(400, 10, f"invalid unique {field}", str(fault))


def bad_tags(fault: str) -> AdminError:
    """Code 11."""
    message = f"invalid option (tags: {fault})"
    return _kong(400, 11, "invalid options", message, options={"tags": fault})


def unresolved_foreign_keys(
    unresolved: Mapping[str, Mapping[str, tuple[str, Any]]],
) -> AdminError:
    """Code 13. `unresolved`: field → unique field of the parent → (kind of parent, value)."""
    fields = {
        field: {
            name: f"the foreign key cannot be resolved with '{lua_text({name: value})}' "
            f"for an existing '{kind}' entity"
            for name, (kind, value) in names.items()
        }
        for field, names in sorted(unresolved.items())
    }
    texts = [
        f"{field}.{name}: {text}"
        for field, names in fields.items()
        for name, text in sorted(names.items())
    ]
    what = "foreign key" if len(texts) == 1 else f"{len(texts)} foreign keys"
    message = f"{what} unresolved ({'; '.join(texts)})"
    return _kong(400, 13, "foreign keys unresolved", message, fields=fields)


StoreRefusal = UniqueViolation | PrimaryKeyViolation | ForeignKeyViolation | StillReferenced


def store_refusal(error: StoreRefusal) -> AdminError:
    """Codes 3, 4 and 5: what the store would not do."""
    match error:
        case UniqueViolation():
            key = dict(error.key)
            message = f"UNIQUE violation detected on '{lua_text(key)}'"
            return _kong(409, 5, "unique constraint violation", message, fields=key)
        case PrimaryKeyViolation():
            id_ = {"id": error.id}
            message = f"primary key violation on key '{lua_text(id_)}'"
            return _kong(400, 3, "primary key violation", message, fields=id_)
        case ForeignKeyViolation():
            id_ = {"id": error.id}
            message = (
                f"the foreign key '{lua_text(id_)}' does not reference an existing "
                f"'{error.referenced}' entity."
            )
            return _kong(400, 4, "foreign key violation", message, fields={error.field: id_})
        case StillReferenced():
            message = f"an existing '{error.by}' entity references this '{error.kind}' entity"
            by = {"@referenced_by": error.by}
            return _kong(400, 4, "foreign key violation", message, fields=by)


def _kong(status: int, code: int, name: str, message: str, **details: Any) -> AdminError:
    return AdminError(status, {"code": code, "name": name, "message": message, **details})
