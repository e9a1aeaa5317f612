"""The one form of an entity's id."""

from __future__ import annotations

import re
from typing import Any

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def is_uuid(value: Any) -> bool:
    """Whether this is a UUID written as 8-4-4-4-12 hexadecimal digits, in any case."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None
