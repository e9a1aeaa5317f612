"""Tables as Kong prints them into messages: `{id="…"}`. Source: contract admin-api.md §2."""

from __future__ import annotations

import json
import re
from typing import Any


def lua_text(value: Any) -> str:
    """A JSON-shaped value in Lua's notation, names sorted, no blanks."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            members = (f"{_name(name)}={lua_text(value[name])}" for name in sorted(value))
            return f"{{{','.join(members)}}}"
        case list() | tuple():
            return f"{{{','.join(lua_text(member) for member in value)}}}"
    return str(value)


def _name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return name
    return f"[{json.dumps(name, ensure_ascii=False)}]"
