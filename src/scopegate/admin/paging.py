"""Pages of lists: size, offset, tags. Source: contract admin-api.md §2, §7."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from scopegate.admin.errors import bad_offset, bad_size, bad_tags
from scopegate.admin.json_text import read_json
from scopegate.store.protocol import TagFilter

SIZE_DEFAULT = 100
SIZE_LIMIT = 1000
TAG_LIMIT = 5

_TAG = r"[ -+\-.0-~\u0080-\U0010ffff]+"


def page_size(query: Mapping[str, Any]) -> int:
    """`?size=`, 1 to 1000, 100 when absent. Raises AdminError (400)."""
    text = first(query, "size")
    if not text:
        return SIZE_DEFAULT
    try:
        size = float(text)
    except ValueError:
        raise bad_size("size must be a number") from None
    if not size.is_integer() or not 1 <= size <= SIZE_LIMIT:
        raise bad_size(f"size must be an integer between 1 and {SIZE_LIMIT}")
    return int(size)


def decode_offset(offset: str, length: int = 1) -> list[str]:
    """The texts in an offset. Raises AdminError (400)."""
    try:
        decoded = base64.b64decode(offset + "=" * (-len(offset) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise bad_offset(offset, "bad base64 encoding") from None
    try:
        place = read_json(decoded)
    except ValueError:
        place = None
    good = isinstance(place, list) and len(place) == length
    if not good or not all(isinstance(text, str) for text in place):
        raise bad_offset(offset, "bad json encoding")
    return [str(text) for text in place]


def encode_offset(*texts: str) -> str:
    """Unpadded base64 of a JSON list."""
    place = json.dumps(list(texts), separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(place.encode()).decode().rstrip("=")


def tag_filter(query: Mapping[str, Any]) -> TagFilter | None:
    """`?tags=a,b` (all), `?tags=a/b` (one of them). Raises AdminError (400)."""
    if "tags" not in query:
        return None
    text = first(query, "tags")
    if not text:
        raise bad_tags("cannot be null")
    separator = "/" if "/" in text else ","
    tags = tuple(tag for tag in text.split(separator) if tag)
    # Neither separator may stand in a tag, so a mixture of both fails here too.
    if not tags or not all(re.fullmatch(_TAG, tag) for tag in tags):
        raise bad_tags("invalid filter syntax")
    if len(tags) > TAG_LIMIT:
        raise bad_tags(f"cannot query more than {TAG_LIMIT} tags")
    return TagFilter(tags, all=separator == ",")


def page_body(
    documents: list[Any], path: str, offset: str | None, more: str = ""
) -> dict[str, Any]:
    """`{"data", "next"}`, and `offset` unless this is the last page.

    path   of the list, for `next`; `more`: further query arguments for it, encoded
    """
    if offset is None:
        return {"data": documents, "next": None}
    following = f"{path}?offset={quote(offset, safe='')}{more}"
    return {"data": documents, "offset": offset, "next": following}


def first(query: Mapping[str, Any], name: str) -> str | None:
    """The text of an argument, the first when there are several."""
    value = query.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else None
