"""JSON as it is read from clients: strictly, so that what was read can be kept and shown again."""

from __future__ import annotations

import json
import re
from typing import Any


def read_json(encoded: bytes) -> Any:
    """What this text says. Raises ValueError.

    NaN and the infinities are not JSON (RFC 8259 §6); half of a surrogate pair is no character and
    could never be written out again. Of a name that stands twice the last one counts, as in Kong.
    """
    try:
        text = encoded.decode()
        value = json.loads(text, parse_constant=_no_constant)
        if re.search(r"\\u[dD][89a-fA-F]", text):
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
